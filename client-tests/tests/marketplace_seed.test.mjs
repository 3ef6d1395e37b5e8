// @ts-check
// Owns the comparison with the JSON of the marketplace's own document: every frame it shows is sent with these keys,
// every request it shows is understood as it stands there, on both transports.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { TRANSPORTS, entered, flush } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SAMPLES, assertLikeSample } from './marketplace_seed.samples.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

/** A user with an event, and a guest, both with pictures, and the chat between them. */
async function scene() {
  const owner = await host.user('owner', { name: 'User 1', imageUUID: 'uuid1' });
  const guest = await host.user('guest', { name: 'User 2', imageUUID: 'uuid2' });
  const { event: { name, iconsUUIDs, location, dateFromS, dateToS } } = SAMPLES.initial_data[0];
  // The document's own numbers end before they begin.
  const event = await host.event(owner, { name, iconsUUIDs, location, dateFromS: dateToS, dateToS: dateFromS });
  const { chatId } = await host.eventChat(event, guest);
  return { owner, guest, event, chatId };
}

/** A sample of a request, about this chat. */
const request = (name, chatId, fields) => ({ ...SAMPLES[name], chatId, ...fields });

for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    const enter = async (t, user) => entered(connecting(t, server, user));

    test('the document\'s requests are understood to the letter', async (t) => {
      const { guest, chatId } = await scene();
      const connection = await enter(t, guest);
      connection.send('send_message', request('send_message', chatId));
      const { messages } = await connection.next('chat_updates');
      assert.deepEqual([messages[0].text, messages[0].photos], ['Текст сообщения', ['uuid1', 'uuid2', 'uuid3']]);
      await connection.next('chat_unread');
      connection.send('read_messages', request('read_messages', chatId));
      assert.deepEqual(await connection.next('chat_unread'), { chatId, myUnreadCount: 0, interlocutorUnreadCount: 1 });
      connection.send('load_history', request('load_history', chatId));
      assert.deepEqual((await connection.next('history')).messages, messages);
      assert.deepEqual(await flush(connection), []);
    });

    test('chat_updates and chat_unread have every key of the document, on both sides', async (t) => {
      const { owner, guest, event, chatId } = await scene();
      const [one, other] = [await enter(t, owner), await enter(t, guest)];
      for (const author of [other, one]) {
        author.send('send_message', request('send_message', chatId));
        for (const connection of [one, other]) {
          const update = await connection.next('chat_updates');
          assertLikeSample(update, SAMPLES.chat_updates);
          // The fields that a front end needs to show a chat for the first time, as initial_data has them.
          assertLikeSample({ ...update, ...update.event }, SAMPLES.initial_data[0].chats[0]);
          assert.deepEqual([update.event.id, update.eventOwnerId, update.chatId], [event.id, owner.pk, chatId]);
          assertLikeSample(await connection.next('chat_unread'), SAMPLES.chat_unread);
        }
      }
      other.send('request_access', { eventId: event.id });
      for (const connection of [one, other]) {
        const update = await connection.next('chat_updates');
        assert.deepEqual([update.isRequestSended, update.messages], [true, []]);
        assertLikeSample({ ...update, messages: SAMPLES.chat_updates.messages }, SAMPLES.chat_updates);
      }
    });

    test('initial_data has every key of the document, for the owner and for the guest', async (t) => {
      const { owner, guest, chatId } = await scene();
      await host.sendMessage({ chatId }, guest, 'Привет!', { photos: ['uuid1', 'uuid2'] });
      for (const user of [owner, guest]) {
        const { initial } = await enter(t, user);
        assertLikeSample(initial, SAMPLES.initial_data);
        const [{ event, eventOwnerId, chats: [chat] }] = initial;
        const { dateFromS, dateToS, ...rest } = event;
        const { id, name, iconsUUIDs, location } = { ...SAMPLES.initial_data[0].event, id: event.id };
        assert.deepEqual(rest, { id, name, iconsUUIDs, location });
        assert.ok(dateFromS < dateToS);
        const [me, interlocutor] = user === owner ? [owner, guest] : [guest, owner];
        const counts = user === owner ? [1, 0] : [0, 1];
        assert.equal(eventOwnerId, owner.pk);
        const { pk, imageUUID } = interlocutor;
        assert.deepEqual(chat.user, { id: pk, name: interlocutor.name, imageUUID });
        assert.deepEqual([chat.myUnreadCount, chat.interlocutorUnreadCount], counts, me.name);
        const [{ date, ...message }] = chat.messages;
        assert.deepEqual(message, {
          messageId: 1, text: 'Привет!', photos: ['uuid1', 'uuid2'], fromUserId: guest.pk, toUserId: owner.pk,
        });
        assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000, date);
      }
    });

    test('history has every key of the document', async (t) => {
      const { owner, guest, chatId } = await scene();
      for (const user of [guest, owner, guest]) await host.sendMessage({ chatId }, user, 'old', { photos: ['uuid1'] });
      const connection = await enter(t, owner);
      connection.send('load_history', request('load_history', chatId));
      const history = await connection.next('history');
      assertLikeSample(history, SAMPLES.history);
      assert.equal(history.chatId, chatId);
      const sides = history.messages.map(({ messageId, fromUserId, toUserId }) => [messageId, fromUserId, toUserId]);
      assert.deepEqual(sides, [[1, guest.pk, owner.pk], [2, owner.pk, guest.pk], [3, guest.pk, owner.pk]]);
    });

    test('numbers may come as strings, as they stand in an address', async (t) => {
      const { owner, guest, event, chatId } = await scene();
      const [one, other] = [await enter(t, owner), await enter(t, guest)];
      for (const text of ['a', 'b', 'c']) await host.sendMessage({ chatId }, owner, text);
      await other.take(6);
      other.send('open_chat', { eventId: `${event.id}` });
      assert.equal((await other.next('chat_updates')).chatId, chatId);
      other.send('read_messages', { chatId, lastReadedMessageId: '2' });
      assert.deepEqual(await other.next('chat_unread'), { chatId, myUnreadCount: 1, interlocutorUnreadCount: 0 });
      other.send('load_history', { chatId, lastMessageId: '3' });
      assert.deepEqual((await other.next('history')).messages.map(({ messageId }) => messageId), [1, 2]);
      other.send('request_access', { eventId: `${event.id}` });
      assert.equal((await other.next('chat_updates')).isRequestSended, true);
      assert.deepEqual(await flush(other), []);
      await one.first(({ data }) => data.isRequestSended, 'the application');
    });

    test('a message sent again with its client_id is stored once, and answered to the sender only', async (t) => {
      const { owner, guest, chatId } = await scene();
      const [one, other, second] = [await enter(t, owner), await enter(t, guest), await enter(t, guest)];
      const send = (text) => other.send('send_message', { chatId, message: { text, client_id: 'mine-1' } });
      send('first');
      const first = await other.next('chat_updates');
      assert.deepEqual([first.messages[0].text, first.messages[0].client_id], ['first', 'mine-1']);
      await other.next('chat_unread');
      send('second');
      assert.deepEqual((await other.next('chat_updates')).messages, first.messages);
      other.send('send_message', { chatId, message: { text: 'last' } });
      for (const connection of [one, second]) {
        const texts = [];
        while (texts.at(-1) !== 'last') {
          texts.push((await connection.next('chat_updates')).messages[0].text);
          await connection.next('chat_unread');
        }
        assert.deepEqual(texts, ['first', 'last']);
      }
    });
  });
}
