// @ts-check
// Owns the ids that the host application chooses: integer ids of users, chats and events, chats by its own names, and
// rooms that its backend makes for the front ends.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  ask as askRaw, connectAction, enter, members, refusal as refusalRaw, send,
} from '../clients/action.mjs';
import { received, uniqueName, withInbox } from '../clients/fixtures.mjs';
import { TRANSPORTS, connectWebSocket, entered } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused, refusal } from '../clients/socketio.mjs';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const FROM = 1000;
const GREATEST = Number.MAX_SAFE_INTEGER;

const scope = useScope();
let open; // numbers of the host, own ones from FROM on
let plain; // the options as they are
let closed; // checks tokens
let host;
let plainHost;
let backend;
before(async () => {
  const numbers = ['--numeric-external-ids', '--own-numbers-from', `${FROM}`];
  const start = async (...options) => startServer(scope, ['--store', (await storeFile(scope)).store, ...options]);
  [open, plain] = [await start(...numbers), await start()];
  closed = await start('--auth', 'jwt', '--jwt-secret', SECRET);
  host = new Backend(open);
  plainHost = new Backend(plain);
  backend = new Backend(closed, await token({ sub: 'backend', role: 'service' }));
});

const createUser = (backendOf, externalUserId, more) => backendOf.ok(200, 'POST', '/users', { externalUserId, ...more });

/** A number that no test has used. */
let next = 100;
const unused = () => ++next;

/** The first `chat_updates` of this chat with a message. */
async function nextMessage(connection, chatId) {
  const fits = ({ event, data }) => event === 'chat_updates' && data.chatId === chatId && data.messages.length > 0;
  return (await connection.first(fits, `a message in ${chatId}`)).data;
}

describe('the front end of a marketplace compares the numbers of the host', () => {
  for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
    test(`over ${transport}: the owner is 14, the guest 16`, async (t) => {
      const [owner, guest] = [await createUser(host, '14'), await createUser(host, '16')];
      assert.deepEqual([owner.pk, guest.pk], [14, 16]);
      const event = await host.event(owner);
      const { chatId } = await host.eventChat(event, guest);
      const enterAs = (user) => entered(connecting(t, open, user));
      const [mine, theirs] = [await enterAs(owner), await enterAs(guest)];
      for (const connection of [mine, theirs]) {
        const entry = connection.initial.find((each) => each.event.id === event.id);
        assert.equal(entry.eventOwnerId, 14);
        assert.equal(entry.chats[0].user.id, connection === mine ? 16 : 14);
      }
      theirs.send('send_message', { chatId, message: { text: 'Hello' } });
      const update = await nextMessage(mine, chatId);
      const [{ fromUserId, toUserId }] = update.messages;
      assert.deepEqual([update.eventOwnerId, fromUserId, toUserId], [14, 16, 14]);
    });
  }
});

describe('the number of a user', () => {
  test('is the next free one from --own-numbers-from on, for users, chats and events', async () => {
    const users = [];
    for (const base of ['anna', 'boris', 'vera']) users.push(await host.user(base));
    for (const { pk } of users) assert.ok(pk >= FROM && pk < FROM + 100, `${pk}`);
    assert.equal(new Set(users.map(({ pk }) => pk)).size, 3);
    const { pk } = await host.chat(...users);
    assert.ok(pk >= FROM, `${pk}`);
    assert.ok((await host.event(users[0])).id >= FROM);
  });

  test('may be chosen once, and one that is huge exhausts nothing', async () => {
    const huge = await createUser(plainHost, uniqueName('huge'), { pk: GREATEST });
    assert.equal(huge.pk, GREATEST);
    const number = (await plainHost.user('own')).pk + 2;
    const chosen = await createUser(plainHost, uniqueName('chosen'), { pk: number });
    assert.equal(chosen.pk, number);
    const own = [(await plainHost.user('own')).pk, (await plainHost.user('own')).pk];
    assert.deepEqual(own, [number - 1, number + 1]);
    const again = await createUser(plainHost, chosen.externalUserId, { pk: number });
    assert.deepEqual(again, chosen);
    assert.deepEqual(await createUser(plainHost, chosen.externalUserId, { pk: `${number}` }), chosen, 'as a string');
    const taken = { externalUserId: uniqueName('other'), pk: number };
    await plainHost.refused(409, 'conflict', 'POST', '/users', taken);
    const other = { externalUserId: chosen.externalUserId, pk: unused(), name: 'Changed' };
    await plainHost.refused(409, 'conflict', 'POST', '/users', other);
    assert.deepEqual(await plainHost.get(`/users/${number}`), chosen);
    for (const pk of [0, -1, 1.5, GREATEST + 1, 'x']) {
      await plainHost.refused(400, 'invalid', 'POST', '/users', { externalUserId: uniqueName('bad'), pk });
    }
  });

  test('may be chosen by create-user, and { pk } alone fetches', async (t) => {
    const socket = await connect(t, plain.url, { auth: { token: uniqueName('anna') } });
    const [externalUserId, pk] = [uniqueName('boris'), unused()];
    const { user } = await ask(socket, 'create-user', { user: { externalUserId, pk } });
    assert.equal(user.pk, pk);
    assert.deepEqual(await ask(socket, 'create-user', { user: { pk } }), { user });
    const none = await refusal(socket, 'create-user', { user: { pk: unused() } });
    assert.equal(none.code, 'not_found');
    const taken = await refusal(socket, 'create-user', { user: { externalUserId: uniqueName('vera'), pk } });
    assert.equal(taken.code, 'conflict');
  });

  test('may be claimed by the token of a new user, and by no other', async (t) => {
    const pk = unused();
    const sub = uniqueName('anna');
    const holder = (claims) => token({ exp: Math.floor(Date.now() / 1000) + 60, ...claims });
    const socket = await connect(t, closed.url, { auth: { token: await holder({ sub, pk }) } });
    const { user } = await ask(socket, 'create-user', { user: {} });
    assert.equal(user.pk, pk);
    const later = await connect(t, closed.url, { auth: { token: await holder({ sub, pk: unused() }) } });
    assert.equal((await ask(later, 'create-user', { user: {} })).user.pk, pk, 'the number stays');

    const taken = await holder({ sub: uniqueName('boris'), pk });
    const error = await connectRefused(t, closed.url, { auth: { token: taken } });
    assert.equal(error.message, 'conflict');
    assert.equal(await refusedWith(t, closed, '/ws/chats/', { token: taken }), 409);
    const strange = await holder({ sub: uniqueName('vera'), pk: 'none' });
    const other = await connect(t, closed.url, { auth: { token: strange } });
    assert.ok((await ask(other, 'create-user', { user: {} })).user.pk > 0, 'a claim of another kind is not meant');
    const own = { user: { externalUserId: sub, pk: unused() } };
    assert.equal((await refusal(socket, 'create-user', own)).code, 'conflict');
  });
});

describe('a chat of the host', () => {
  test('has its name there: found or created, and named by it everywhere', async (t) => {
    const [anna, boris] = [await plainHost.user('anna'), await plainHost.user('boris')];
    const externalChatId = uniqueName('team: 7/ö');
    const body = { name: 'Team', users: [anna.id, boris.id], externalChatId, pk: unused() };
    const made = await plainHost.ok(201, 'POST', '/chats', body);
    assert.deepEqual([made.externalChatId, made.pk], [externalChatId, body.pk]);
    assert.deepEqual(await plainHost.ok(200, 'POST', '/chats', { ...body, name: 'Another' }), made);
    await plainHost.refused(409, 'conflict', 'POST', '/chats', { ...body, pk: unused() });
    assert.deepEqual(await plainHost.ok(200, 'POST', '/chats', { externalChatId }), made, 'without users');
    const address = `/chats/external:${encodeURIComponent(externalChatId)}`;
    assert.deepEqual(await plainHost.get(address), made);
    await plainHost.refused(404, 'not_found', 'GET', '/chats/external:none');

    const room = `external:${externalChatId}`;
    const socket = await connect(t, plain.url, { auth: { token: anna.externalUserId } });
    const me = withInbox(socket, anna);
    const sent = await ask(socket, 'new-message', { room, msg: 'one' });
    assert.equal(sent.room, made.id);
    await ask(socket, 'new-message', room, { msg: 'two' });
    await ask(socket, 'new-message', { chat: { id: room }, msg: 'three' });
    await me.inbox.until(3);
    assert.deepEqual(received(me, made).map(({ msg }) => msg), ['one', 'two', 'three']);
    const { messages } = await ask(socket, 'list-messages', { chat: { id: room } });
    assert.equal(messages.length, 3);
    const later = await connect(t, plain.url, { auth: { token: anna.externalUserId } });
    const { chats } = await ask(later, 'sync', { chats: { [room]: 1, 'external:none': 0 } });
    assert.deepEqual([chats[room].messages.length, chats['external:none'].error?.code], [2, 'not_found']);
    const found = await ask(socket, 'create-chat', { chat: { externalChatId }, users: [anna.id] });
    assert.equal(found.chat.id, made.id);
    assert.equal(found.chat.users.length, 2);

    const stranger = await connect(t, plain.url, { auth: { token: uniqueName('gleb') } });
    const hidden = await refusal(stranger, 'new-message', { room, msg: 'hello' });
    const none = await refusal(stranger, 'new-message', { room: 'external:none', msg: 'hello' });
    assert.deepEqual([hidden.code, hidden.message], ['not_found', `no such chat ${room}`]);
    assert.deepEqual([none.code, none.message], ['not_found', 'no such chat external:none']);
  });

  test('is not made, nor are its members, under a number that another has', async () => {
    const taken = await plainHost.chat(await plainHost.user('anna'));
    const externalUserId = uniqueName('new');
    const body = { users: [{ externalUserId }], pk: taken.pk };
    await plainHost.refused(409, 'conflict', 'POST', '/chats', body);
    await plainHost.refused(404, 'not_found', 'GET', `/users/external:${externalUserId}`);
    await createUser(plainHost, uniqueName('host'), { pk: 4242 });
    const other = await createUser(host, uniqueName('own'), { pk: 4242 });
    await host.refused(409, 'conflict', 'POST', '/chats', { users: [{ externalUserId }, 'external:4242'] });
    await host.refused(404, 'not_found', 'GET', `/users/external:${externalUserId}`);
    assert.equal(other.pk, 4242);
  });

  test('is made once by many requests at once', async () => {
    const user = await plainHost.user('anna');
    for (let round = 0; round < 10; round++) {
      const body = { users: [user.id], externalChatId: uniqueName('team'), ...(round % 2 && { pk: unused() }) };
      const answers = await Promise.all(Array.from({ length: 8 }, () => plainHost.call('POST', '/chats', body)));
      assert.equal(new Set(answers.map(({ body: { id } }) => id)).size, 1);
      assert.equal(answers.filter(({ status }) => status === 201).length, 1);
    }
  });

  test('is not made under a name of the host by a user', async (t) => {
    const [anna, boris] = [await backend.user('anna'), await backend.user('boris')];
    const socket = await connect(t, closed.url, { auth: { token: await token({ sub: anna.externalUserId }) } });
    const externalChatId = uniqueName('team');
    const request = { chat: { externalChatId }, users: [anna.id] };
    assert.equal((await refusal(socket, 'create-chat', request)).code, 'not_found');
    const of = (user) => backend.ok(201, 'POST', '/chats', { users: [user.id], externalChatId: uniqueName('team') });
    const [own, others] = [await of(anna), await of(boris)];
    const find = (chat) => ({ chat: { externalChatId: chat.externalChatId }, users: [] });
    assert.equal((await ask(socket, 'create-chat', find(own))).chat.id, own.id);
    assert.equal((await refusal(socket, 'create-chat', find(others))).code, 'not_found');
  });

  test('of an event is named by the host, too', async (t) => {
    const [owner, guest] = [await plainHost.user('owner'), await plainHost.user('guest')];
    const event = await plainHost.ok(201, 'POST', '/events', {
      id: unused(), eventOwnerId: owner.pk, name: 'Picnic', dateFromS: 1, dateToS: 2,
    });
    await plainHost.refused(409, 'conflict', 'POST', '/events', {
      id: event.id, eventOwnerId: owner.pk, name: 'Picnic', dateFromS: 1, dateToS: 2,
    });
    const externalChatId = uniqueName('talk');
    const opened = await plainHost.ok(201, 'POST', `/events/${event.id}/chats`, { userId: guest.id, externalChatId });
    const me = await entered(connectWebSocket(t, plain, guest));
    me.send('send_message', { chatId: `external:${externalChatId}`, message: { text: 'Hello' } });
    assert.equal((await nextMessage(me, opened.chatId)).messages[0].text, 'Hello');
    me.send('load_history', { chatId: `external:${externalChatId}`, lastMessageId: 2 });
    const { data: history } = await me.first(({ event: name }) => name === 'history', 'the history');
    assert.equal(history.chatId, opened.chatId);
    const chats = `/events/${event.id}/chats`;
    await plainHost.ok(200, 'POST', chats, { userId: guest.id, externalChatId });
    await plainHost.refused(409, 'conflict', 'POST', chats, { userId: guest.id, externalChatId: uniqueName('talk') });
  });
});

describe('a room of the backend', () => {
  test('is open to the action and the type front ends, and can be left and joined again', async (t) => {
    const made = await plainHost.ok(201, 'POST', '/chats', { name: 'Lobby', policy: 'open', pk: unused() });
    assert.deepEqual([made.policy, made.users], ['open', []]);
    const anna = await connectAction(t, plain, 'anna');
    await enter(anna, made.pk);
    send(anna, 'create_message', { pk: made.pk, message: 'Hello' });
    const boris = uniqueName('boris');
    const wire = await dial(t, plain, PATH.type, { token: boris });
    for (let time = 0; time < 2; time++) {
      const joined = await wire.ask({ type: 'joinChat', data: { chat: made.pk } });
      assert.equal(joined.type, time === 0 ? 'chatJoined' : 'info', JSON.stringify(joined));
    }
    send(anna, 'leave_room', { pk: made.pk });
    await enter(anna, made.pk);
    assert.deepEqual(await members(anna, made.pk), [boris, anna.name]);
  });

  test('that is closed ends for those who only look at it', async (t) => {
    const anna = await plainHost.user('anna');
    const made = await plainHost.ok(201, 'POST', '/chats', { policy: 'open', users: [anna.id] });
    const stranger = await connectAction(t, plain, 'stranger');
    await askRaw(stranger, 'subscribe_instance', { pk: made.pk }, 201);
    assert.equal((await plainHost.ok(200, 'PATCH', `/chats/${made.id}`, { policy: 'closed' })).policy, 'closed');
    await plainHost.ok(200, 'PATCH', `/chats/${made.id}`, { name: 'Secret' });
    await refusalRaw(stranger, 'retrieve', { pk: made.pk }, 404);
    assert.ok(!stranger.wire.texts.some((text) => text.includes('Secret')));
    await plainHost.ok(200, 'PATCH', `/chats/${made.id}`, { policy: 'open' });
    await askRaw(stranger, 'retrieve', { pk: made.pk });
  });

  test('has no policy of another kind, nor of a user', async () => {
    await plainHost.refused(400, 'invalid', 'POST', '/chats', { policy: 1 });
    await plainHost.refused(400, 'invalid', 'POST', '/chats', { policy: 'secret' });
    await plainHost.refused(400, 'invalid', 'POST', '/chats', { policy: 'closed' });
    const event = await plainHost.event(await plainHost.user('owner'));
    const { chatId } = await plainHost.eventChat(event, await plainHost.user('guest'));
    await plainHost.refused(403, 'forbidden', 'PATCH', `/chats/${chatId}`, { policy: 'open' });
  });
});
