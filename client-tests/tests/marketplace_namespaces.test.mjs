// @ts-check
// Owns the marketplace as a namespace of Socket.IO: beside the chat's namespace on one connection, with clients of
// version 2, and with packets that no client would send.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Manager } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { PACKET, RawClient } from '../clients/engineio.mjs';
import { history, sendMessage, withInbox } from '../clients/fixtures.mjs';
import { connectionOn, enterSocketIo, entered, flush, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connectRefused } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

async function scene() {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const event = await host.event(owner);
  return { owner, guest, event, ...(await host.eventChat(event, guest)) };
}

const whenOn = (socket, event) => within(new Promise((resolve) => { socket.once(event, resolve); }), () => event);

/** Both namespaces on one connection, for version 4 and for version 2 of the client. */
const MANAGERS = {
  4: (t, transports) => {
    const manager = new Manager(server.url, { transports, reconnection: false });
    t.after(() => manager.engine?.close());
    return (path, { externalUserId }) => manager.socket(path, { auth: { token: externalUserId } });
  },
  2: (t, transports) => {
    let manager;
    return (path, { externalUserId }) => {
      const extraHeaders = { authorization: `Bearer ${externalUserId}` };
      manager ??= new io2.Manager(server.url, {
        transports, reconnection: false, transportOptions: { polling: { extraHeaders }, websocket: { extraHeaders } },
      });
      t.after(() => manager.engine?.close());
      return manager.socket(path, {});
    };
  },
};

async function bothNamespaces(t, user, { client = 4, transports = ['websocket'] } = {}) {
  const socketOf = MANAGERS[client](t, transports);
  const chatSocket = socketOf('/', user);
  const marketSocket = socketOf('/events', user);
  const connection = connectionOn(user, marketSocket);
  await Promise.all([whenOn(chatSocket, 'connect'), entered(connection)]);
  assert.equal(chatSocket.io, marketSocket.io);
  await ask(chatSocket, 'create-user', { user: { externalUserId: user.externalUserId } });
  return { user, connection, chatSocket, marketSocket, chat: withInbox(chatSocket, user) };
}

const KINDS = [
  { client: 4, transports: ['websocket'] }, { client: 4, transports: ['polling'] },
  { client: 4, transports: ['polling', 'websocket'] },
  { client: 2, transports: ['websocket'] }, { client: 2, transports: ['polling'] },
];

for (const kind of KINDS) {
  describe(`two namespaces on one connection of version ${kind.client}, ${kind.transports.join(' then ')}`, () => {
    const both = (t, user) => bothNamespaces(t, user, kind);

    test('both receive everything, each in its own dialect', async (t) => {
      const { owner, guest, chatId } = await scene();
      const [one, other] = [await both(t, owner), await both(t, guest)];
      await one.connection.ask('send_message', { chatId, message: { text: 'by the marketplace' } });
      await sendMessage(other.chat, { id: chatId }, 'by the chat');
      for (const { connection, chat } of [one, other]) {
        await chat.inbox.until(2);
        assert.deepEqual(chat.inbox.map(({ msg }) => msg), ['by the marketplace', 'by the chat']);
        await connection.until(() => frontEnd(connection).head(chatId) === 2, 'two messages');
        assert.deepEqual((await flush(connection)).map(({ event }) => event), [
          'chat_updates', 'chat_unread', 'chat_updates', 'chat_unread',
        ]);
        assert.equal(chat.inbox.length, 2);
      }
      assert.deepEqual(frontEnd(one.connection).counts(chatId), [1, 0]);
      assert.deepEqual(frontEnd(other.connection).counts(chatId), [0, 1]);
    });

    test('leaving the marketplace leaves the chat, and coming back finds what happened meanwhile', async (t) => {
      const { owner, guest, chatId } = await scene();
      const one = await both(t, owner);
      one.marketSocket.disconnect();
      await sendMessage(one.chat, { id: chatId }, 'still in the chat');
      await host.sendMessage({ chatId }, guest, 'you, too');
      await one.chat.inbox.until(2);
      const before = one.connection.frames.length;
      one.marketSocket.connect();
      await whenOn(one.marketSocket, 'connect');
      const { data } = await one.connection.first(({ event }) => event === 'initial_data', 'initial_data again', before);
      assert.deepEqual(data[0].chats[0].messages.map(({ text }) => text), ['still in the chat', 'you, too']);
      assert.deepEqual([data[0].chats[0].myUnreadCount, data[0].chats[0].interlocutorUnreadCount], [1, 0]);
      assert.equal(one.connection.frames.length, before + 1, 'a frame was delivered after the DISCONNECT');
    });

    test('leaving the chat leaves the marketplace', async (t) => {
      const { owner, guest, chatId } = await scene();
      const one = await both(t, owner);
      one.chatSocket.disconnect();
      const answer = await one.connection.ask('send_message', { chatId, message: { text: 'still here' } });
      assert.equal(answer.messages[0].text, 'still here');
      await host.sendMessage({ chatId }, guest, 'me, too');
      await one.connection.until(() => frontEnd(one.connection).head(chatId) === 2, 'two messages');
      assert.equal(one.chat.inbox.length, 0, 'a frame was delivered after the DISCONNECT');
      if (kind.client === 2) return; // it never sends a second CONNECT to this namespace: the server has to connect it
      one.chatSocket.connect();
      await ask(one.chatSocket, 'create-user', { user: { externalUserId: owner.externalUserId } });
      assert.deepEqual((await history(one.chat, { id: chatId })).map(({ msg }) => msg), ['still here', 'me, too']);
    });

    test('many requests in one leave the other its answers, and all of them are answered in order', async (t) => {
      const { owner, chatId } = await scene();
      const one = await both(t, owner);
      for (let index = 0; index < 20; index++) await host.sendMessage({ chatId }, owner, 'x'.repeat(1000));
      await one.connection.until(() => frontEnd(one.connection).head(chatId) === 20, 'twenty messages');
      await flush(one.connection);
      const count = 500;
      for (let index = 0; index < count; index++) {
        one.connection.send('load_history', { chatId, lastMessageId: 1 + (index % 20) });
      }
      assert.equal((await ask(one.chatSocket, 'list-chats', {})).chats.length, 1);
      const frames = await one.connection.take(count);
      assert.deepEqual(frames.map(({ data }) => data.messages.length), frames.map((_, index) => index % 20));
    });
  });
}

test('a namespace that is refused leaves the other on the same connection', async (t) => {
  const { owner } = await scene();
  const manager = new Manager(server.url, { transports: ['websocket'], reconnection: false });
  t.after(() => manager.engine?.close());
  const [chatSocket, nobody] = [manager.socket('/'), manager.socket('/events')];
  const [refused] = await Promise.all([whenOn(nobody, 'connect_error'), whenOn(chatSocket, 'connect')]);
  assert.equal(refused.message, 'unauthenticated');
  const { user } = await ask(chatSocket, 'create-user', { user: { externalUserId: owner.externalUserId } });
  assert.equal(user.id, owner.id);
});

test('a namespace that does not exist is refused', async (t) => {
  for (const path of ['/event', '/events2', '/Events', '/nowhere']) {
    const error = await connectRefused(t, `${server.url}${path}`, { auth: { token: 'alice' } });
    assert.equal(error.message, 'Invalid namespace', path);
  }
});

describe('a client of version 2', () => {
  const play = async (t, options) => {
    const { owner, guest, event, chatId } = await scene();
    const one = await enterSocketIo(t, server, owner, { client: 2, ...options });
    const other = await enterSocketIo(t, server, guest, { client: 2, ...options });
    assert.deepEqual(one.initial[0].chats.map(({ chatId: id }) => id), [chatId]);
    const answer = await other.ask('send_message', { chatId, message: { text: 'hello', photos: ['p-1'] } });
    assert.equal(answer.messages[0].text, 'hello');
    for (const connection of [one, other]) {
      assert.deepEqual((await connection.next('chat_updates')).messages, answer.messages);
      await connection.next('chat_unread');
    }
    assert.deepEqual(await one.ask('read_messages', { chatId, lastReadedMessageId: 1 }), {
      chatId, myUnreadCount: 0, interlocutorUnreadCount: 0,
    });
    assert.equal((await one.ask('open_chat', { eventId: event.id })).error.code, 'forbidden');
    assert.deepEqual(await other.next('chat_unread'), { chatId, myUnreadCount: 0, interlocutorUnreadCount: 0 });
    assert.deepEqual(await flush(other), []);
  };

  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    test(`takes part in the marketplace with its token in a header, by ${transports.join(' then ')}`, async (t) => {
      await play(t, { transports });
    });

    // A page in a browser cannot set headers: so its client of version 2 sends its token like this.
    test(`takes part in the marketplace with its token in the query, by ${transports.join(' then ')}`, async (t) => {
      await play(t, { transports, namedIn: 'query' });
    });
  }
});

test('a token in the query of the connection is good for the marketplace with version 4, too', async (t) => {
  const { owner } = await scene();
  for (const transports of [['websocket'], ['polling']]) {
    const connection = await enterSocketIo(t, server, owner, { namedIn: 'query', transports });
    assert.equal(connection.initial.length, 1);
  }
});

describe('packets that the official client would not send, in the marketplace', () => {
  const RUBBISH = {
    'an event without a body': '["send_message"]', 'an event without a name': '[]', 'a number for a name': '[7,{}]',
    'JSON that ends too early': '["send_message",{"chatId":', 'a broken escape': '["open_chat",{"eventId":"\\ud8"}]',
    'no list': '{"send_message":{}}', 'a text': 'hello', 'nothing': '',
    'a list nested too deeply': `["send_message",${'['.repeat(20_000)}${']'.repeat(20_000)}]`,
  };
  for (const [what, rest] of Object.entries(RUBBISH)) {
    test(`${what}: the sender is notified, if only by the end of the connection, and others continue`, async (t) => {
      const { owner, guest, chatId } = await scene();
      const badClient = new RawClient(t, server.url);
      await badClient.packet(PACKET.connect);
      badClient.send(`${PACKET.connect}/events,{"token":"${guest.externalUserId}"}`);
      await badClient.packet(`${PACKET.event}/events,["initial_data"`);
      badClient.send(`${PACKET.event}/events,${rest}`);
      const delivered = badClient.packet(`${PACKET.event}/events,["debug_info"`).then((packet) => (
        assert.match(packet, /"code":"(invalid|not_found)"/)
      ));
      await Promise.race([delivered, within(badClient.closed, () => 'an answer or the end')]);
      const connection = await enterSocketIo(t, server, owner);
      assert.equal((await connection.ask('send_message', { chatId, message: { text: 'hello' } })).chatId, chatId);
    });
  }
});
