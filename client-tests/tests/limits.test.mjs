// @ts-check
// Owns the promise about sizes and numbers: requests within a limit pass, requests over it are refused and affect no other client.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction, newRoom, refusal as refusedByAction } from '../clients/action.mjs';
import { PACKET, RawClient, RawPolling } from '../clients/engineio.mjs';
import { chatOf, connectUser, connectUsers, flushInboxes, history, sendMessage } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { TRANSPORT_LOST, ask, connect, nextEvent, refusal } from '../clients/socketio.mjs';
import { connectType, join, refusal as refusedByType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const MESSAGE_BYTES = 16_384;
const FRAME_BYTES = 1_048_576;

describe('a message', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope); });

  for (const client of [4, 2]) {
    for (const transport of ['websocket', 'polling']) {
      test(`of 16,384 bytes passes, one of 16,385 does not (client ${client}, ${transport})`, async (t) => {
        const alice = await connectUser(t, server, 'alice', { client, transports: [transport] });
        const chat = await chatOf(alice);
        const longest = 'x'.repeat(MESSAGE_BYTES);
        assert.equal((await sendMessage(alice, chat, longest)).msg, longest);
        const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg: `${longest}x` });
        assert.equal(error.code, 'too_large');
        assert.match(error.message, /16384/);
        assert.deepEqual((await history(alice, chat)).map(({ msg }) => msg), [longest]);
      });
    }
  }

  test('is measured in bytes, not in characters', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    const smiles = '😀'.repeat(MESSAGE_BYTES / 4);
    assert.equal((await sendMessage(alice, chat, smiles)).msg, smiles);
    const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg: `${smiles}!` });
    assert.equal(error.code, 'too_large');
  });

  test('may be longer or shorter where the server is configured so', async (t) => {
    const other = await startServer(t, ['--max-message-bytes', '10']);
    const alice = await connectUser(t, other, 'alice');
    const chat = await chatOf(alice);
    await sendMessage(alice, chat, '0123456789');
    const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg: '0123456789a' });
    assert.equal(error.code, 'too_large');
    assert.match(error.message, /\b10\b/);
  });
});

describe('a frame', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope); });

  /** A new message whose whole frame is a little below, or over, a size. */
  const body = (chat, bytes) => ({ room: chat.id, msg: 'x'.repeat(bytes) });

  for (const transport of ['websocket', 'polling']) {
    test(`within the limit only gets its message refused (${transport})`, async (t) => {
      const alice = await connectUser(t, server, 'alice', { transports: [transport] });
      const chat = await chatOf(alice);
      const error = await refusal(alice.socket, 'new-message', body(chat, FRAME_BYTES - 1000));
      assert.equal(error.code, 'too_large');
      await sendMessage(alice, chat, 'still connected');
    });

    test(`over the limit ends its own connection only (${transport})`, async (t) => {
      const [bob, alsoBob] = await connectUsers(t, server, 'bob', 'also-bob');
      const alice = await connectUser(t, server, 'alice', { transports: [transport] });
      const chat = await chatOf(alice, bob);
      const lost = nextEvent(alice.socket, 'disconnect');
      alice.socket.emit('new-message', body(chat, FRAME_BYTES + 1));
      assert.match(await lost, TRANSPORT_LOST);

      await flushInboxes(bob, alsoBob);
      assert.ok(bob.socket.connected);
      assert.deepEqual(await history(bob, chat), []);
      const back = await connect(t, server.url, { auth: { token: alice.user.externalUserId } });
      await sendMessage({ socket: back }, chat, 'back again');
    });
  }

  test('over the limit is refused, too, when it comes in parts', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    const packet = (bytes) => `${PACKET.event}1${JSON.stringify(['new-message', body(chat, bytes)])}`;
    const short = await new RawClient(t, server.url).becomes(alice);
    short.sendInTwo(packet(FRAME_BYTES - 1000));
    assert.match(await short.packet(`${PACKET.ack}1`), /too_large/);

    const over = await new RawClient(t, server.url).becomes(alice);
    over.sendInTwo(packet(FRAME_BYTES + 1));
    await within(over.closed, () => 'the end of the connection');
    await sendMessage(alice, chat, 'still here');
  });

  test('may be as long as the handshake announces, which is the value of the option', async (t) => {
    const other = await startServer(t, ['--max-frame-bytes', '50000']);
    for (const [{ url }, bytes] of [[server, FRAME_BYTES], [other, 50_000]]) {
      const { handshake } = await new RawPolling(url).open();
      assert.equal(handshake.maxPayload, bytes);
    }
    const alice = await connectUser(t, other, 'alice');
    const chat = await chatOf(alice);
    await sendMessage(alice, chat, 'x'.repeat(MESSAGE_BYTES));
    const lost = nextEvent(alice.socket, 'disconnect');
    alice.socket.emit('new-message', body(chat, 50_001));
    assert.match(await lost, TRANSPORT_LOST);
  });

  test('that is posted over the limit is refused over HTTP, and other sessions go on', async (t) => {
    const session = await new RawPolling(server.url).open();
    const bob = await connectUser(t, server, 'bob', { transports: ['polling'] });
    const { status } = await session.post('4'.padEnd(FRAME_BYTES + 1, 'x'));
    assert.ok(status >= 400 && status < 500, `status ${status}`);
    await sendMessage(bob, await chatOf(bob), 'still here');
  });
});

describe('a chat', () => {
  test('has at most as many members as the server allows', async (t) => {
    const server = await startServer(t, ['--max-members', '3']);
    const four = await connectUsers(t, server, 'a', 'b', 'c', 'd');
    const users = four.map(({ id }) => id);
    const make = (members) => ({ chat: { name: 'full' }, users: members });

    const error = await refusal(four[0].socket, 'create-chat', make(users));
    assert.equal(error.code, 'too_large');
    assert.match(error.message, /\b3\b/);
    assert.deepEqual((await ask(four[0].socket, 'list-chats', {})).chats, []);

    const { chat } = await ask(four[0].socket, 'create-chat', make([...users.slice(0, 3), users[0]]));
    assert.equal(chat.users.length, 3);
  });
});

describe('requests at once', () => {
  const AT_ONCE = 24;
  const outcomes = (answers) => {
    const refused = answers.filter(({ status }) => status >= 400);
    for (const { status, body } of refused) assert.deepEqual([status, body.code], [413, 'too_large']);
    return answers.length - refused.length;
  };
  const times = (count, made) => Promise.all(Array.from({ length: count }, (_, index) => made(index)));

  test('do not put more members into a chat than the server allows', async (t) => {
    const host = new Backend(await startServer(t, ['--max-members', '10']));
    const users = await times(AT_ONCE + 4, () => host.user('member'));
    const ids = users.map(({ id }) => id);
    const chat = await host.ok(201, 'POST', '/chats', { users: ids.slice(0, 4) });
    const add = (index) => host.call('POST', `/chats/${chat.id}/members`, { users: [ids[4 + index]] });
    assert.equal(outcomes(await times(AT_ONCE, add)), 6);
    assert.equal((await host.get(`/chats/${chat.id}`)).users.length, 10);
  });

  test('do not put a user into more chats than the server allows', async (t) => {
    const host = new Backend(await startServer(t, ['--max-chats-per-user', '5']));
    const [busy, ...others] = await times(AT_ONCE + 1, () => host.user('busy'));
    const chats = await Promise.all(others.map(({ id }) => host.ok(201, 'POST', '/chats', { users: [id] })));
    const added = times(AT_ONCE / 2, (index) => (
      host.call('POST', `/chats/${chats[index].id}/members`, { users: [busy.id] })));
    const made = times(AT_ONCE / 2, (index) => (
      host.call('POST', '/chats', { users: [others[AT_ONCE / 2 + index].id, busy.id] })));
    assert.equal(outcomes([...await added, ...await made]), 5);
    assert.equal((await host.get(`/chats?user=${busy.id}`)).chats.length, 5);
  });
});

describe('a user', () => {
  test('makes no more rooms than the server allows, though it joins none', async (t) => {
    const server = await startServer(t, ['--max-chats-per-user', '5']);
    const typing = await connectType(t, server, 'maker');
    const create = () => typing.wire.ask({ type: 'createEmptyChat', data: {} });
    const answers = [];
    for (let made = 0; made < 20; made += 1) answers.push(await create());
    assert.deepEqual(answers.slice(0, 5).map(({ type }) => type), Array(5).fill('emptyChatCreated'));
    for (const { code } of answers.slice(5)) assert.equal(code, 'too_large');
    await join(typing, answers[0].data.id);
    assert.equal((await create()).code, 'too_large');
  });

  test('takes part in at most as many chats as the server allows, however it came there', async (t) => {
    const server = await startServer(t, ['--max-chats-per-user', '2']);
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const host = new Backend(server);
    const full = (error, who) => {
      assert.equal(error.code, 'too_large');
      assert.match(error.message ?? error.detail, /\b2\b/);
      if (who) assert.ok((error.message ?? error.detail).includes(who.id));
    };
    const chats = [await chatOf(alice), await chatOf(alice)];
    const bobs = await chatOf(bob);
    full(await refusal(alice.socket, 'create-chat', { chat: {}, users: [alice.id] }));
    full(await refusal(bob.socket, 'create-chat', { chat: {}, users: [bob.id, alice.id] }), alice);
    full(await host.refused(413, 'too_large', 'POST', '/chats', { users: [alice.id] }), alice);
    full(await host.refused(413, 'too_large', 'POST', `/chats/${bobs.id}/members`, { users: [alice.id] }), alice);
    const event = await host.event(bob.user);
    full(await host.refused(413, 'too_large', 'POST', `/events/${event.id}/chats`, { userId: alice.id }), alice);

    const token = alice.user.externalUserId;
    const rooms = await connectAction(t, server, 'carol');
    const pk = await newRoom(rooms);
    const typing = await connectType(t, server, 'alice', { token });
    full(await refusedByType(typing, 'joinChat', { chat: pk }));
    full(await refusedByType(typing, 'createEmptyChat', {}));
    const acting = await connectAction(t, server, 'alice', { token });
    assert.match((await refusedByAction(acting, 'join_room', { pk }, 413))[0], /\b2\b/);

    // With one chat less there is room for another, and a member of one already is not refused.
    await host.ok(204, 'DELETE', `/chats/${chats[0].id}`);
    await join(typing, pk);
    assert.equal((await typing.wire.ask({ type: 'joinChat', data: { chat: pk } })).type, 'info');
  });
});
