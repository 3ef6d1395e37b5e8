// @ts-check
// Owns the marketplace in trouble: requests that race, a store that does not answer, restarts, much to begin with.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { storedMessages, unreadCounts, untilShown } from '../clients/expected-unread.mjs';
import {
  TRANSPORTS, connectSocketIo, connectWebSocket, enterSocketIo, enterWebSocket, entered, flush, frontEnd,
} from '../clients/marketplace.mjs';
import { Backend, isProblem } from '../clients/rest.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { lockStore } from '../harness/store-lock.mjs';

const LONG_MS = 60_000;

async function scene(t, args = []) {
  const server = await startServer(t, args);
  const host = new Backend(server);
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  return { server, host, owner, guest, event: await host.event(owner) };
}

describe('requests that race', () => {
  test('to open the same chat open one, and each connection of the guest shows it', async (t) => {
    const { server, host, guest, event } = await scene(t);
    const connections = [];
    for (let made = 0; made < 5; made++) {
      connections.push(await enterSocketIo(t, server, guest), await enterWebSocket(t, server, guest));
    }
    for (const connection of connections) connection.send('open_chat', { eventId: event.id });
    for (const connection of connections) {
      await connection.until(() => frontEnd(connection).shown.size > 0, 'a chat');
      await flush(connection);
    }
    const ids = new Set(connections.flatMap((connection) => [...frontEnd(connection).shown.keys()]));
    assert.equal(ids.size, 1);
    assert.deepEqual((await host.get(`/chats?user=${guest.id}`)).chats.map(({ id }) => id), [...ids]);
  });

  test('to apply make one application; each message with it is kept', async (t) => {
    const { server, host, owner, guest, event } = await scene(t);
    const watching = await enterWebSocket(t, server, owner);
    const connections = await Promise.all(Array.from({ length: 6 }, () => enterSocketIo(t, server, guest)));
    const answers = await Promise.all(connections.map((connection, index) => (
      connection.ask('request_access', { eventId: event.id, message: `may I? ${index}` })
    )));
    const [{ chatId }] = answers;
    for (const answer of answers) assert.deepEqual([answer.chatId, answer.isRequestSended], [chatId, true]);
    const messages = await storedMessages(host, chatId);
    assert.deepEqual(messages.map(({ msg }) => msg).sort(), connections.map((_, index) => `may I? ${index}`));
    for (const connection of [watching, ...connections]) {
      await connection.until(() => frontEnd(connection).head(chatId) === messages.length, 'all of their messages');
    }
    await untilShown(watching, chatId, messages, unreadCounts(messages, { owner, guest }));
    const updates = watching.frames.filter(({ event: name }) => name === 'chat_updates');
    assert.equal(updates.filter(({ data }) => data.messages.length === 0).length, 1);
  });

  test('with the end of their event are answered, and none is an internal error', async (t) => {
    const { server, host, owner, guest, event } = await scene(t);
    const { chatId } = await host.eventChat(event, guest);
    const connections = await Promise.all([guest, owner, guest].map((user) => enterSocketIo(t, server, user)));
    const asking = connections.flatMap((connection, index) => Array.from({ length: 40 }, (_, turn) => {
      const requests = [
        ['send_message', { chatId, message: { text: `${index} ${turn}` } }],
        ['read_messages', { chatId, lastReadedMessageId: turn }],
        ['load_history', { chatId, lastMessageId: turn }], ['request_access', { eventId: event.id }],
      ];
      return connection.ask(...requests[turn % requests.length]);
    }));
    const answers = Promise.all(asking);
    await host.ok(204, 'DELETE', `/events/${event.id}`);
    const codes = new Set((await answers).map(({ code }) => code ?? 'ok'));
    codes.delete('ok');
    codes.delete('forbidden'); // the owner applies for the own event
    assert.deepEqual([...codes], codes.size > 0 ? ['not_found'] : []);
    for (const connection of connections) {
      assert.equal((await connection.ask('load_history', { chatId, lastMessageId: 1 })).code, 'not_found');
    }
  });
});

test('a user who is renamed is called so in the next update', async (t) => {
  const { server, host, owner, guest, event } = await scene(t);
  const { chatId } = await host.eventChat(event, guest);
  await host.sendMessage({ chatId }, guest, 'before');
  const connection = await enterSocketIo(t, server, owner);
  await host.ok(200, 'PATCH', `/users/${guest.id}`, { name: 'Gleb', imageUUID: 'new-picture' });
  await host.sendMessage({ chatId }, guest, 'after');
  assert.deepEqual((await connection.next('chat_updates')).user, { id: guest.pk, name: 'Gleb', imageUUID: 'new-picture' });
  const { initial: [{ chats: [chat] }] } = await enterWebSocket(t, server, owner);
  assert.deepEqual(chat.user, { id: guest.pk, name: 'Gleb', imageUUID: 'new-picture' });
});

for (const end of ['stop', 'kill']) {
  test(`after the server is gone (${end}) and back everything stands as it was acknowledged`, async (t) => {
    const { store } = await storeFile(t);
    const { server, host, owner, guest, event } = await scene(t, ['--store', store]);
    const connection = await enterSocketIo(t, server, guest);
    const { chatId } = await connection.ask('request_access', { eventId: event.id, message: 'May I?' });
    const other = await enterSocketIo(t, server, owner);
    await other.ask('grant_access', { chatId, granted: true });
    for (const text of ['b', 'c', 'd']) await connection.ask('send_message', { chatId, message: { text, photos: ['p'] } });
    await other.ask('read_messages', { chatId, lastReadedMessageId: 2 });
    await host.ok(200, 'PATCH', `/events/${event.id}`, { name: 'Ball' });
    await server[end]();
    const again = await startServer(t, ['--store', store]);
    for (const enter of [enterSocketIo, enterWebSocket]) {
      const { initial: [entry] } = await enter(t, again, owner);
      const [chat] = entry.chats;
      assert.deepEqual([entry.event.name, chat.chatId, chat.isAccessGranted], ['Ball', chatId, true]);
      assert.deepEqual([chat.myUnreadCount, chat.interlocutorUnreadCount], [2, 0]);
      assert.deepEqual(chat.messages.map(({ text, photos }) => [text, ...photos]), [
        ['May I?'], ['b', 'p'], ['c', 'p'], ['d', 'p'],
      ]);
    }
  });
}

test('a store that does not answer is unavailable, over REST too, and nothing is half done', async (t) => {
  const { path, store } = await storeFile(t);
  const { server, host, owner, guest, event } = await scene(t, ['--store', store]);
  const { chatId } = await host.eventChat(event, guest);
  const second = await host.event(owner);
  // On one connection each would wait for the one before it.
  const connections = await Promise.all(Array.from({ length: 3 }, () => enterSocketIo(t, server, guest)));
  const [connection] = connections;
  const lock = await lockStore(t, path);
  const requests = [
    connections[0].ask('send_message', { chatId, message: { text: 'hello', client_id: 'c-1' } }),
    connections[1].ask('request_access', { eventId: second.id }),
    connections[2].ask('open_chat', { eventId: second.id }),
  ];
  const overRest = [
    host.call('POST', '/users', { externalUserId: 'newcomer' }),
    host.call('PATCH', `/events/${event.id}`, { name: 'x' }),
    host.call('POST', '/events', { eventOwnerId: owner.pk, name: 'x', dateFromS: 1, dateToS: 2 }),
  ];
  for (const request of requests) assert.equal((await request).code, 'unavailable');
  for (const answer of await Promise.all(overRest)) {
    isProblem(answer, 503, 'unavailable');
    assert.match(answer.headers.get('retry-after'), /^\d+$/);
  }
  await lock.release();
  const answer = await connection.ask('send_message', { chatId, message: { text: 'hello', client_id: 'c-1' } });
  assert.equal(answer.messages[0].messageId, 1);
  const { initial } = await enterWebSocket(t, server, guest);
  assert.deepEqual(initial.map(({ event: { id } }) => id), [event.id]);
  assert.equal((await host.get('/events')).events.length, 2);
});

describe('much to begin with', () => {
  const LENGTH = 200;
  const CHATS = 3;
  const text = 'x'.repeat(10_000);

  for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
    test(`arrives whole over ${transport}, and the connection stays open`, async (t) => {
      const { server, host, owner, event } = await scene(t);
      const chats = [];
      for (let made = 0; made < CHATS; made++) {
        const guest = await host.user('guest');
        const { chatId } = await host.eventChat(event, guest);
        const writer = await enterWebSocket(t, server, guest);
        for (let sent = 0; sent < LENGTH; sent++) {
          writer.send('send_message', { chatId, message: { text: `${sent} ${text}` } });
        }
        await writer.until(() => frontEnd(writer).head(chatId) === LENGTH, `${LENGTH} messages`, LONG_MS);
        chats.push({ chatId, guest });
      }
      const connection = await entered(connecting(t, server, owner));
      const counts = connection.initial[0].chats.map(({ messages, myUnreadCount }) => [messages.length, myUnreadCount]);
      assert.deepEqual(counts, chats.map(() => [LENGTH, LENGTH]));
      for (const { chatId, guest } of chats) {
        await host.sendMessage({ chatId }, guest, 'and one more');
        await connection.until(() => frontEnd(connection).head(chatId) === LENGTH + 1, 'one more');
        assert.deepEqual(frontEnd(connection).counts(chatId), [LENGTH + 1, 0]);
      }
    });
  }

  test('in many events and chats comes whole', async (t) => {
    const { server, host, owner, guest } = await scene(t);
    for (let made = 0; made < 150; made++) {
      const event = await host.event(owner);
      if (made % 3 > 0) continue;
      const { chatId } = await host.eventChat(event, guest);
      await host.sendMessage({ chatId }, guest, 'hello');
    }
    for (const connecting of [connectSocketIo, connectWebSocket]) {
      const { initial } = await entered(connecting(t, server, owner));
      assert.equal(initial.length, 151);
      assert.equal(initial.flatMap(({ chats }) => chats).length, 50);
      assert.equal((await entered(connecting(t, server, guest))).initial.length, 50);
    }
  });
});
