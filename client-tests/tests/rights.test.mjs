// @ts-check
// Owns the table of rights: every operation of every dialect for a member, for another user, and for the host
// application's backend, with tokens; without a token no client is admitted. REST has its own, rest_rights.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction } from '../clients/action.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { TRANSPORTS, entered } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused } from '../clients/socketio.mjs';
import { connectType } from '../clients/type-data.mjs';
import { refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
});

/** The roles of a table, in the order of its columns. */
const ROLES = ['member', 'stranger', 'service'];

/** A user, known already, with a token. */
async function someone(base, claims) {
  const user = await host.user(base);
  return { ...user, token: await token({ sub: user.externalUserId, ...claims }) };
}

/**
 * A new scene for every cell, so that none spoils another: the three, a closed chat and an open room in which only the
 * member takes part (and which it has created), and each with a message of the member's.
 */
async function scene() {
  const [member, stranger] = [await someone('member'), await someone('stranger')];
  const service = await someone('service', { role: 'service' });
  const closed = await host.chat(member);
  const { wire } = await connectAction(scope, server, 'member', { token: member.token, acks: true });
  const { data: { pk } } = await wire.ask({ action: 'create', data: { name: uniqueName('room') } });
  await wire.ask({ action: 'join_room', pk });
  await wire.ask({ action: 'create_message', pk, message: 'in the room' });
  await wire.close();
  await host.sendMessage(closed, member, 'in the chat');
  const { chats } = await host.get(`/chats?user=${member.id}`);
  const open = chats.find((chat) => chat.pk === pk);
  return { member, stranger, service, closed, open };
}

/**
 * One test per row: an operation, then the answer to each role. `attempt` makes the request as that role, and
 * returns 'ok' or the code of the error.
 */
function table(rows, attempt) {
  for (const [what, request, ...expected] of rows) {
    test(what, async (t) => {
      for (const [index, role] of ROLES.entries()) {
        const all = await scene();
        assert.equal(await attempt(t, all[role], request(all, role)), expected[index], role);
      }
    });
  }
}

describe('event-name', () => {
  const other = ({ member, stranger }, role) => (role === 'member' ? stranger : member);
  table([
    // what, request, member, stranger, service
    ['list-messages of a closed chat', ({ closed }) => ['list-messages', { chat: { id: closed.id } }],
      'ok', 'not_found', 'ok'],
    ['list-messages of an open one', ({ open }) => ['list-messages', { chat: { id: open.id } }], 'ok', 'ok', 'ok'],
    ['list-messages for the member', ({ open, member }) => (
      ['list-messages', { chat: { id: open.id }, user: { id: member.id } }]
    ), 'ok', 'forbidden', 'ok'],
    ['new-message to a closed chat', ({ closed }) => ['new-message', { room: closed.id, msg: 'x' }],
      'ok', 'not_found', 'forbidden'],
    ['new-message to an open one', ({ open }) => ['new-message', { room: open.id, msg: 'x' }],
      'ok', 'forbidden', 'forbidden'],
    ['new-message for the member', ({ closed, member }) => (
      ['new-message', { room: closed.id, msg: 'x', user: { id: member.id } }]
    ), 'ok', 'forbidden', 'ok'],
    ['new-message for a user who is no member', ({ closed, stranger }) => (
      ['new-message', { room: closed.id, msg: 'x', user: { id: stranger.id } }]
    ), 'forbidden', 'not_found', 'forbidden'],
    ['list-chats', () => ['list-chats', {}], 'ok', 'ok', 'ok'],
    ['list-chats of somebody else', (all, role) => ['list-chats', { user: { id: other(all, role).id } }],
      'forbidden', 'forbidden', 'ok'],
    ['create-chat with somebody else', (all, role) => ['create-chat', { users: [other(all, role).id] }],
      'ok', 'ok', 'ok'],
    ['create-user with the own id', (all, role) => (
      ['create-user', { user: { externalUserId: all[role].externalUserId, name: 'x' } }]
    ), 'ok', 'ok', 'ok'],
    ['create-user with the id of somebody else', (all, role) => (
      ['create-user', { user: { externalUserId: other(all, role).externalUserId, name: 'x' } }]
    ), 'forbidden', 'forbidden', 'ok'],
    ['create-user with a new id', () => ['create-user', { user: { externalUserId: uniqueName('new') } }],
      'forbidden', 'forbidden', 'ok'],
    ['create-user that fetches somebody else', (all, role) => ['create-user', { user: { id: other(all, role).id } }],
      'forbidden', 'forbidden', 'ok'],
    ['an event that is none', () => ['no-such-event', {}], 'invalid', 'invalid', 'invalid'],
  ], async (t, user, [event, body]) => {
    const socket = await connect(t, server.url, { auth: { token: user.token } });
    const answer = await within(new Promise((resolve) => { socket.emit(event, body, resolve); }), () => event);
    socket.close();
    return answer.error?.code ?? 'ok';
  });

  test('nobody without a token', async (t) => {
    for (const auth of [undefined, {}, { token: '' }]) {
      assert.equal((await connectRefused(t, server.url, { auth })).message, 'unauthenticated');
    }
  });
});

const STATUS = { 200: 'ok', 201: 'ok', 204: 'ok', 400: 'invalid', 403: 'forbidden', 404: 'not_found', 405: 'invalid' };

describe('action', () => {
  const on = (action, more) => ({ closed, open }) => [
    { action, pk: open.pk, ...more }, { action, pk: closed.pk, ...more },
  ];
  // In the open room, and after the slash in the closed chat.
  table([
    ['list', () => [{ action: 'list' }], 'ok', 'ok', 'ok'],
    ['create', () => [{ action: 'create', data: { name: 'x' } }], 'ok', 'ok', 'ok'],
    ['retrieve', on('retrieve'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['join_room', on('join_room'), 'ok/ok', 'ok/not_found', 'ok/not_found'],
    ['leave_room', on('leave_room'), 'ok/ok', 'ok/not_found', 'ok/not_found'],
    ['subscribe_to_messages_in_room', on('subscribe_to_messages_in_room'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['subscribe_instance', on('subscribe_instance'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['unsubscribe_instance', on('unsubscribe_instance'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['create_message', on('create_message', { message: 'x' }),
      'ok/ok', 'forbidden/not_found', 'forbidden/forbidden'],
    ['update', on('update', { data: { name: 'x' } }), 'ok/ok', 'forbidden/not_found', 'ok/ok'],
    ['patch', on('patch', { data: { name: 'x' } }), 'ok/ok', 'forbidden/not_found', 'ok/ok'],
    ['delete', on('delete'), 'ok/forbidden', 'forbidden/not_found', 'ok/ok'],
    ['an action that is none', () => [{ action: 'no_such_action' }], 'invalid', 'invalid', 'invalid'],
  ], async (t, user, requests) => {
    const { wire } = await connectAction(t, server, 'x', { token: user.token, acks: true });
    const codes = [];
    for (const request of requests) codes.push(STATUS[(await wire.ask(request)).response_status]);
    await wire.close();
    return codes.join('/');
  });
});

describe('type', () => {
  const on = (type, field, more) => ({ closed, open }) => [
    [type, { [field]: open.pk, ...more }], [type, { [field]: closed.pk, ...more }],
  ];
  table([
    ['getChats', () => [['getChats', {}]], 'ok', 'ok', 'ok'],
    ['createEmptyChat', () => [['createEmptyChat', {}]], 'ok', 'ok', 'ok'],
    ['getChatDetails', on('getChatDetails', 'chatId'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['getChatMessages', on('getChatMessages', 'chatId'), 'ok/ok', 'ok/not_found', 'ok/ok'],
    ['joinChat', on('joinChat', 'chat'), 'ok/ok', 'ok/not_found', 'ok/not_found'],
    ['newMessage', on('newMessage', 'chat', { text: 'x' }), 'ok/ok', 'forbidden/not_found', 'forbidden/forbidden'],
    ['a type that is none', () => [['noSuchType', {}]], 'invalid', 'invalid', 'invalid'],
  ], async (t, user, requests) => {
    const { wire } = await connectType(t, server, 'x', { token: user.token });
    const codes = [];
    for (const [type, data] of requests) codes.push((await wire.ask({ type, data })).code ?? 'ok');
    await wire.close();
    return codes.join('/');
  });
});

test('nobody without a token comes in by a raw WebSocket', async (t) => {
  for (const path of ['/ws', '/ws/chat/room/', '/ws/chats/', '/ws/chat/', '/ws/events/']) {
    assert.equal(await refusedWith(t, server, path), 401, path);
    assert.equal(await refusedWith(t, server, path, { token: 'anna' }), 401, path);
  }
});

describe('marketplace', () => {
  const roles = ['owner', 'guest', 'stranger', 'service'];

  /** An event with its owner, and a guest that has written and requested access; a second event without chats. */
  async function market() {
    const [owner, guest, stranger] = [await someone('owner'), await someone('guest'), await someone('stranger')];
    const service = await someone('service', { role: 'service' });
    const [event, next] = [await host.event(owner), await host.event(owner)];
    const { chatId } = await host.eventChat(event, guest);
    await host.sendMessage({ id: chatId }, guest, 'hello');
    const path = `/events/${event.id}/chats/${chatId}/access`;
    return { owner, guest, stranger, service, event, next, chatId, path };
  }

  /** @type {[string, (market: any) => [string, object], ...string[]][]} */
  const ROWS = [
    // what, request, owner, guest, stranger, service: a service is its own sub here, and sees everything
    ['send_message', ({ chatId }) => ['send_message', { chatId, message: { text: 'x' } }],
      'ok', 'ok', 'not_found', 'forbidden'],
    ['read_messages', ({ chatId }) => ['read_messages', { chatId, lastReadedMessageId: 1 }],
      'ok', 'ok', 'not_found', 'forbidden'],
    ['load_history', ({ chatId }) => ['load_history', { chatId, lastMessageId: 2 }], 'ok', 'ok', 'not_found', 'ok'],
    ['open_chat', ({ next }) => ['open_chat', { eventId: next.id }], 'forbidden', 'ok', 'ok', 'ok'],
    ['request_access', ({ next }) => ['request_access', { eventId: next.id }], 'forbidden', 'ok', 'ok', 'ok'],
    ['grant_access', ({ chatId }) => ['grant_access', { chatId, granted: true }],
      'conflict', 'forbidden', 'not_found', 'conflict'],
    ['an event that is none', () => ['no_such_event', {}], 'invalid', 'invalid', 'invalid', 'invalid'],
  ];

  for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
    for (const [what, request, ...expected] of ROWS) {
      test(`${what} over ${transport}`, async (t) => {
        for (const [index, role] of roles.entries()) {
          const all = await market();
          const connection = await entered(connecting(t, server, all[role]));
          const [event, body] = request(all);
          connection.send(event, body);
          const [delivered] = await connection.take();
          assert.equal(delivered.event === 'debug_info' ? delivered.data.code : 'ok', expected[index], role);
          connection.close();
        }
      });
    }

    test(`nobody is notified of a chat of others over ${transport}`, async (t) => {
      const { stranger, service } = await market();
      for (const user of [stranger, service]) {
        assert.deepEqual((await entered(connecting(t, server, user))).initial, []);
      }
    });
  }

  test('nobody without a token', async (t) => {
    assert.equal((await connectRefused(t, `${server.url}/events`, {})).message, 'unauthenticated');
  });
});

test('a user is not made by a connection that is refused', async (t) => {
  const sub = uniqueName('nobody');
  const expired = await token({ sub, exp: 1 });
  assert.equal((await connectRefused(t, server.url, { auth: { token: expired } })).message, 'unauthenticated');
  assert.equal(await refusedWith(t, server, '/ws/chats/', { token: expired }), 401);
  const start = Date.now();
  const socket = await connect(t, server.url, { auth: { token: await token({ sub }) } });
  const { user } = await ask(socket, 'create-user', { user: {} });
  assert.ok(Date.parse(user.created_at) >= start);
});
