// @ts-check
// Owns the life of a marketplace event, played through by its owner and a guest with two connections each, one on
// Socket.IO and one on the raw WebSocket: after every step each of the four receives the same frames, and nothing else,
// and each shows the exact counts.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { enterSocketIo, enterWebSocket, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const scope = useScope();
let server;
let host;
let olga;
let gleb;
let event;
let owner; // Olga's two connections
let guest; // Gleb's two connections
let allConnections;
let chatId;
let sent = 0; // how many messages are in the chat

before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
  olga = await host.user('olga', { name: 'Olga', imageUUID: 'picture-of-olga' });
  gleb = await host.user('gleb', { name: 'Gleb' });
  event = await host.event(olga, { name: 'Picnic', iconsUUIDs: ['icon-1', 'icon-2'], location: 'ONLINE' });
  owner = [await enterSocketIo(scope, server, olga), await enterWebSocket(scope, server, olga)];
  guest = [await enterSocketIo(scope, server, gleb), await enterWebSocket(scope, server, gleb)];
  allConnections = [...owner, ...guest];
});

/** The unread counts of both sides: the owner's own and the other side's, the guest's likewise. */
function assertUnread({ ofOwner, ofGuest }) {
  for (const connection of owner) assert.deepEqual(frontEnd(connection).counts(chatId), [ofOwner, ofGuest], connection.name);
  for (const connection of guest) assert.deepEqual(frontEnd(connection).counts(chatId), [ofGuest, ofOwner], connection.name);
}

const inCommon = ({ id, name, iconsUUIDs, location, dateFromS, dateToS }) => (
  { id, name, iconsUUIDs, location, dateFromS, dateToS }
);

/** An update as one side has to receive it. */
const updateFor = (connection, { messages = /** @type {object[]} */ ([]), asked, granted, ofOwner, ofGuest }) => {
  const [mine, other, interlocutor] = owner.includes(connection)
    ? [ofOwner, ofGuest, { id: gleb.pk, name: 'Gleb', imageUUID: null }]
    : [ofGuest, ofOwner, { id: olga.pk, name: 'Olga', imageUUID: 'picture-of-olga' }];
  return {
    event: inCommon(event), eventOwnerId: olga.pk, chatId, isRequestSended: asked, isAccessGranted: granted,
    user: interlocutor, messages, myUnreadCount: mine, interlocutorUnreadCount: other,
  };
};

const unreadFor = (connection, { ofOwner, ofGuest }) => {
  const [mine, other] = owner.includes(connection) ? [ofOwner, ofGuest] : [ofGuest, ofOwner];
  return { chatId, myUnreadCount: mine, interlocutorUnreadCount: other };
};

/** A message as it must be delivered; its date is checked for its form and then ignored. */
function messageFrom(author, text, photos = []) {
  sent += 1;
  const [from, to] = author === olga ? [olga, gleb] : [gleb, olga];
  return { messageId: sent, text, photos, fromUserId: from.pk, toUserId: to.pk };
}

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function undated(update) {
  const messages = update.messages.map(({ date, ...message }) => {
    assert.match(date, DATE);
    return message;
  });
  return { ...update, messages };
}

/** All of these receive the state of the chat, and nothing else. */
async function assertChatUpdate(connections, state) {
  for (const connection of connections) {
    assert.deepEqual(undated(await connection.next('chat_updates')), updateFor(connection, state), connection.name);
  }
}

/** All connections receive these counts. */
async function assertCounts(connections, state) {
  for (const connection of connections) {
    assert.deepEqual(await connection.next('chat_unread'), unreadFor(connection, state), connection.name);
  }
}

/** All connections receive a message, and the counts after it. */
async function assertMessage(message, state) {
  await assertChatUpdate(allConnections, { ...state, messages: [message] });
  await assertCounts(allConnections, state);
  assertUnread(state);
}

/** The acknowledgement on Socket.IO equals the event. */
async function assertAcknowledgedAsEvent(connection, request, body, answer) {
  assert.deepEqual(await connection.ask(request, body), await connection.next(answer));
}

describe('an event, step by step', () => {
  const plain = { asked: false, granted: false };
  const asked = { asked: true, granted: false };
  const granted = { asked: true, granted: true };

  test('its owner begins with it and no chats, the guest with nothing', () => {
    const own = { event: inCommon(event), eventOwnerId: olga.pk, chats: [] };
    for (const { initial } of owner) assert.deepEqual(initial, [own]);
    for (const { initial } of guest) assert.deepEqual(initial, []);
  });

  test('a guest that opens a chat is notified of it on all connections; the owner is not yet', async () => {
    const answer = await guest[0].ask('open_chat', { eventId: event.id });
    chatId = answer.chatId;
    await assertChatUpdate(guest, { ...plain, ofOwner: 0, ofGuest: 0 });
    assert.deepEqual(answer, updateFor(guest[0], { ...plain, ofOwner: 0, ofGuest: 0 }));
  });

  test('opening it again is answered to the one who asked only', async () => {
    guest[1].send('open_chat', { eventId: event.id });
    await assertChatUpdate([guest[1]], { ...plain, ofOwner: 0, ofGuest: 0 });
  });

  test('the first message shows the owner the chat, and counts as unread there', async () => {
    guest[0].send('send_message', { chatId, message: { text: 'Is there room for one more?' } });
    const message = messageFrom(gleb, 'Is there room for one more?');
    await assertMessage(message, { ...plain, ofOwner: 1, ofGuest: 0 });
  });

  test('the next ones, from the other connection, count on', async () => {
    guest[1].send('send_message', { chatId, message: { text: 'I bring cake' } });
    await assertMessage(messageFrom(gleb, 'I bring cake'), { ...plain, ofOwner: 2, ofGuest: 0 });
    await guest[0].ask('send_message', { chatId, message: { text: 'And tea' } });
    await assertMessage(messageFrom(gleb, 'And tea'), { ...plain, ofOwner: 3, ofGuest: 0 });
  });

  test('what the owner reads on one connection is read on the other, and the guest sees it', async () => {
    owner[1].send('read_messages', { chatId, lastReadedMessageId: 2 });
    const state = { ofOwner: 1, ofGuest: 0 };
    await assertCounts(allConnections, state);
    assertUnread(state);
  });

  test('reading backwards moves nothing, and is answered to the one who asked only', async () => {
    const answer = await owner[0].ask('read_messages', { chatId, lastReadedMessageId: 1 });
    assert.deepEqual(answer, { chatId, myUnreadCount: 1, interlocutorUnreadCount: 0 });
    await assertCounts([owner[0]], { ofOwner: 1, ofGuest: 0 });
    assertUnread({ ofOwner: 1, ofGuest: 0 });
  });

  test('an answer marks as read what came before it', async () => {
    owner[0].send('send_message', { chatId, message: { text: 'You are welcome' } });
    await assertMessage(messageFrom(olga, 'You are welcome'), { ...plain, ofOwner: 0, ofGuest: 1 });
  });

  test('reading past the end reads to the end, and no further', async () => {
    guest[1].send('read_messages', { chatId, lastReadedMessageId: 1_000_000 });
    await assertCounts(allConnections, { ofOwner: 0, ofGuest: 0 });
    owner[1].send('send_message', { chatId, message: { text: 'Bring a chair' } });
    await assertMessage(messageFrom(olga, 'Bring a chair'), { ...plain, ofOwner: 0, ofGuest: 1 });
  });

  test('nobody can grant what was not asked for', async () => {
    const { error } = await owner[0].ask('grant_access', { chatId, granted: true });
    assert.equal(error.code, 'conflict');
    assert.equal((await owner[0].next('debug_info')).code, 'conflict');
  });

  test('an application shows on both sides, with its message as any other', async () => {
    guest[0].send('request_access', { eventId: event.id, message: 'May I come?' });
    await assertChatUpdate(allConnections, { ...asked, ofOwner: 0, ofGuest: 1 });
    await assertMessage(messageFrom(gleb, 'May I come?'), { ...asked, ofOwner: 1, ofGuest: 0 });
  });

  test('applying again is answered to the one who asked only', async () => {
    guest[1].send('request_access', { eventId: event.id });
    await assertChatUpdate([guest[1]], { ...asked, ofOwner: 1, ofGuest: 0 });
  });

  test('the owner agrees, and both sides are notified', async () => {
    owner[1].send('grant_access', { chatId, granted: true });
    await assertChatUpdate(allConnections, { ...granted, ofOwner: 1, ofGuest: 0 });
  });

  test('agreeing again is answered to the one who asked only', async () => {
    assert.equal((await owner[0].ask('grant_access', { chatId, granted: true })).isAccessGranted, true);
    await assertChatUpdate([owner[0]], { ...granted, ofOwner: 1, ofGuest: 0 });
  });

  test('the owner takes the access back: the application stays', async () => {
    owner[0].send('grant_access', { chatId, granted: false });
    await assertChatUpdate(allConnections, { ...asked, ofOwner: 1, ofGuest: 0 });
    owner[1].send('grant_access', { chatId, granted: true });
    await assertChatUpdate(allConnections, { ...granted, ofOwner: 1, ofGuest: 0 });
  });

  test('photos come with a message, the attached ones after the others, each once', async () => {
    const message = { text: 'The place', photos: ['p-1', 'p-2'], attachedPhotos: ['p-2', 'p-3', 'p-1', 'p-4'] };
    owner[1].send('send_message', { chatId, message });
    const expected = messageFrom(olga, 'The place', ['p-1', 'p-2', 'p-3', 'p-4']);
    await assertMessage(expected, { ...granted, ofOwner: 0, ofGuest: 1 });
  });

  test('photos need no text', async () => {
    guest[1].send('send_message', { chatId, message: { attachedPhotos: ['p-9'] } });
    await assertMessage(messageFrom(gleb, '', ['p-9']), { ...granted, ofOwner: 1, ofGuest: 0 });
    guest[1].send('send_message', { chatId, message: { text: '', photos: ['p-8'], attachedPhotos: [] } });
    await assertMessage(messageFrom(gleb, '', ['p-8']), { ...granted, ofOwner: 2, ofGuest: 0 });
  });

  test('the history before the first message is empty, before the third one has two', async () => {
    assert.deepEqual(await guest[0].ask('load_history', { chatId, lastMessageId: 1 }), { chatId, messages: [] });
    assert.deepEqual(await guest[0].next('history'), { chatId, messages: [] });
    for (const connection of [owner[0], guest[1]]) {
      connection.send('load_history', { chatId, lastMessageId: 3 });
      const { messages } = await connection.next('history');
      assert.deepEqual(messages.map(({ messageId, text }) => [messageId, text]), [
        [1, 'Is there room for one more?'], [2, 'I bring cake'],
      ]);
    }
  });

  test('the acknowledgement on Socket.IO has the content of the event', async () => {
    const answer = await owner[0].ask('send_message', { chatId, message: { text: 'See you' } });
    const state = { ...granted, ofOwner: 0, ofGuest: 1 };
    const message = messageFrom(olga, 'See you');
    assert.deepEqual(undated(answer), updateFor(owner[0], { ...state, messages: [message] }));
    await assertMessage(message, state);
    await assertAcknowledgedAsEvent(owner[0], 'load_history', { chatId, lastMessageId: 2 }, 'history');
    await assertAcknowledgedAsEvent(guest[0], 'open_chat', { eventId: event.id }, 'chat_updates');
    await assertAcknowledgedAsEvent(guest[0], 'read_messages', { chatId, lastReadedMessageId: 3 }, 'chat_unread');
  });

  test('nobody was sent anything else in all this time', async () => {
    owner[0].send('send_message', { chatId, message: { text: 'The end' } });
    await assertMessage(messageFrom(olga, 'The end'), { ...granted, ofOwner: 0, ofGuest: 2 });
    for (const connection of allConnections) assert.deepEqual(connection.takeRest(), []);
  });

  test('a connection that is made afterwards finds everything as it is', async () => {
    for (const connection of allConnections) {
      for (const enter of [enterSocketIo, enterWebSocket]) {
        const fresh = await enter(scope, server, connection.user);
        assert.equal(fresh.initial.length, 1);
        assert.deepEqual(fresh.initial[0].event, inCommon(event));
        assert.deepEqual(frontEnd(fresh).shown.get(chatId), frontEnd(connection).shown.get(chatId));
      }
    }
  });
});
