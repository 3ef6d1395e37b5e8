// @ts-check
// Owns the admission to the marketplace: tokens, addresses, and how a connection to `/ws` enters it; the rights of a
// service there, and those of a user.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { uniqueName } from '../clients/fixtures.mjs';
import {
  TRANSPORTS, connectSocketIo, connectWebSocket, enterWebSocket, entered, flush,
} from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { connectRefused } from '../clients/socketio.mjs';
import { refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, SHORT_LIFE_S, now, token, unsigned } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let open;
let closed;
let host; // of the open server
let backend; // of the one that checks tokens
before(async () => {
  open = await startServer(scope);
  closed = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(open);
  backend = new Backend(closed, await token({ sub: 'backend', role: 'service' }));
});

describe('where tokens are checked', () => {
  const WRONG = {
    'none at all': () => undefined,
    'an expired one': (sub) => token({ sub, exp: now() - 60 }),
    'one with another secret': (sub) => token({ sub }, 'another secret of sufficient length'),
    'one without a signature': (sub) => unsigned({ sub }),
    'one without a user': () => token({}),
    'a name in place of one': (sub) => sub,
  };

  for (const [what, make] of Object.entries(WRONG)) {
    test(`${what} is refused on both transports, without a reason`, async (t) => {
      const wrong = await make(uniqueName('alice'));
      const error = await connectRefused(t, `${closed.url}/events`, { auth: { token: wrong } });
      assert.equal(error.message, 'unauthenticated');
      assert.deepEqual(error.data, { code: 'unauthenticated', retryable: false });
      assert.equal(await refusedWith(t, closed, '/ws/events/', { token: wrong }), 401);
    });
  }

  /** A user with a token that has profile claims. */
  async function holder(base, claims) {
    const user = await backend.user(base);
    return { ...user, token: await token({ sub: user.externalUserId, ...claims }) };
  }

  for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
    const enter = (t, user) => entered(connecting(t, closed, user));

    test(`a user acts with its own rights over ${transport}, and has the profile of the token`, async (t) => {
      const owner = await holder('owner', { name: 'Olga', imageUUID: 'picture-1' });
      const [guest, third] = [await holder('guest'), await holder('third')];
      const event = await backend.event(owner);
      const [one, other, nobody] = [await enter(t, owner), await enter(t, guest), await enter(t, third)];
      other.send('open_chat', { eventId: event.id });
      const { chatId, user } = await other.next('chat_updates');
      assert.deepEqual(user, { id: owner.pk, name: 'Olga', imageUUID: 'picture-1' });
      other.send('send_message', { chatId, message: { text: 'hello' } });
      assert.equal((await one.next('chat_updates')).user.id, guest.pk);
      one.send('read_messages', { chatId, lastReadedMessageId: 1 });
      assert.deepEqual(await one.next('chat_unread'), { chatId, myUnreadCount: 1, interlocutorUnreadCount: 0 });
      assert.deepEqual(await one.next('chat_unread'), { chatId, myUnreadCount: 0, interlocutorUnreadCount: 0 });
      nobody.send('send_message', { chatId, message: { text: 'I am not in this' } });
      assert.equal((await nobody.next('debug_info')).code, 'not_found');
      assert.deepEqual(await flush(nobody), []);
      assert.equal((await enter(t, owner)).initial[0].chats[0].messages.length, 1);
    });

    test(`a service over ${transport} is a user like any other: its own sub`, async (t) => {
      const service = await holder('service', { role: 'service' });
      const [owner, guest] = [await holder('owner'), await holder('guest')];
      const event = await backend.event(owner);
      const foreign = await backend.eventChat(event, guest);
      const [watching, connection] = [await enter(t, owner), await enter(t, service)];
      assert.deepEqual(connection.initial, []);
      connection.send('send_message', { chatId: foreign.chatId, message: { text: 'as nobody in particular' } });
      assert.match((await connection.next('debug_info')).code, /^(forbidden|not_found)$/);
      connection.send('open_chat', { eventId: event.id });
      const { chatId } = await connection.next('chat_updates');
      connection.send('send_message', { chatId, message: { text: 'as myself' } });
      const { messages: [message] } = await connection.next('chat_updates');
      assert.deepEqual([message.fromUserId, message.toUserId], [service.pk, owner.pk]);
      const delivered = await watching.next('chat_updates');
      assert.deepEqual([delivered.chatId, delivered.user.id], [chatId, service.pk]);
    });

    test(`a connection over ${transport} ends when its token does`, async (t) => {
      const user = await holder('brief', { exp: now() + SHORT_LIFE_S });
      const connection = await enter(t, user);
      const ended = connection.until(() => false, 'nothing').catch(({ message }) => message);
      assert.match(await within(ended, () => 'the end of the connection'), /the connection ended/);
    });
  }
});

describe('the addresses of the raw WebSocket', () => {
  for (const path of ['/ws/events/', '/ws/events']) {
    test(`${path} begins with initial_data at once`, async (t) => {
      const connection = await enterWebSocket(t, open, await host.user('alice'), { path });
      assert.deepEqual(connection.initial, []);
      assert.deepEqual(await flush(connection), []);
    });
  }

  for (const path of ['/ws', '/ws/']) {
    test(`${path} is of the marketplace once an event came: initial_data first, then the answer`, async (t) => {
      const [owner, guest] = [await host.user('owner'), await host.user('guest')];
      const event = await host.event(owner);
      const { chatId } = await host.eventChat(event, guest);
      await host.sendMessage({ chatId }, owner, 'hello');
      const connection = await connectWebSocket(t, open, guest, { path });
      connection.send('load_history', { chatId, lastMessageId: 2 });
      const [first, second] = await connection.take(2);
      assert.equal(first.event, 'initial_data');
      assert.deepEqual(first.data[0].chats.map((chat) => chat.chatId), [chatId]);
      assert.equal(second.event, 'history');
      await host.sendMessage({ chatId }, owner, 'again');
      assert.equal((await connection.next('chat_updates')).messages[0].messageId, 2);
    });
  }

  test('/ws is not decided by what is no frame of any dialect: nothing of the marketplace is sent', async (t) => {
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const { chatId } = await host.eventChat(await host.event(owner), guest);
    const connection = await connectWebSocket(t, open, guest, { path: '/ws' });
    for (const text of ['hello', '{}', '[]', '{"data":{}}']) {
      connection.wire.sendText(text);
      const [error] = await connection.take();
      assert.deepEqual([error.type, error.code], ['error', 'invalid'], text);
    }
    connection.send('send_message', { chatId, message: { text: 'now' } });
    const delivered = (await connection.take(3)).map(({ event }) => event);
    assert.deepEqual(delivered, ['initial_data', 'chat_updates', 'chat_unread']);
  });

  test('/ws is of the marketplace, too, if the first frame is refused there', async (t) => {
    const user = await host.user('alice');
    const connection = await connectWebSocket(t, open, user, { path: '/ws' });
    connection.send('no_such_thing', {});
    assert.deepEqual((await connection.take(2)).map(({ event }) => event), ['initial_data', 'debug_info']);
  });
});

test('requests that come with the very first packets are answered after initial_data', async (t) => {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const { chatId } = await host.eventChat(await host.event(owner), guest);
  for (const connecting of [connectSocketIo, connectWebSocket]) {
    for (let time = 0; time < 10; time++) {
      const connection = await connecting(t, open, guest);
      for (let sent = 0; sent < 3; sent++) connection.send('load_history', { chatId, lastMessageId: 1 });
      assert.deepEqual((await connection.take(4)).map(({ event }) => event), [
        'initial_data', 'history', 'history', 'history',
      ]);
      connection.close();
    }
  }
});
