// @ts-check
// Owns the promise that a marketplace chat is a chat like any other: its messages and reads show in the other three
// dialects at once, and those of the other dialects in the marketplace, counts included.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { received, history, sendMessage, withInbox } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket, flush, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, collect, connect, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { pair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

/** A user with a connection in each dialect, two in the marketplace. */
async function everywhere(t, base) {
  const user = await host.user(base, { name: base });
  const token = user.externalUserId;
  const socket = await connect(t, server.url);
  await ask(socket, 'create-user', { user: { externalUserId: token } });
  return {
    ...user,
    chat: { ...withInbox(socket, user), made: collect(socket, 'create-chat') },
    byType: await type.connectType(t, server, base, { token, push: true }),
    byAction: await action.connectAction(t, server, base, { token, acks: true }),
    market: await enterSocketIo(t, server, user),
    rawMarket: await enterWebSocket(t, server, user),
  };
}

/** An owner, a guest and a third user, everywhere; the guest has opened a chat about an event, and all subscribe. */
async function scene(t) {
  const [owner, guest, third] = [
    await everywhere(t, 'owner'), await everywhere(t, 'guest'), await everywhere(t, 'third'),
  ];
  const event = await host.event(owner);
  const { chatId } = await guest.market.ask('open_chat', { eventId: event.id });
  await guest.chat.made.until(1);
  const [{ chat }] = guest.chat.made;
  for (const who of [owner, guest]) await action.ask(who.byAction, 'subscribe_to_messages_in_room', { pk: chat.pk });
  return { owner, guest, third, event, chatId, chat, pk: chat.pk };
}

const markets = (...users) => users.flatMap(({ market, rawMarket }) => [market, rawMarket]);

/** Waits until these connections to the marketplace show this many messages, and these counts from their side. */
async function untilCounts({ owner, guest, chatId }, head, ofOwner, ofGuest) {
  for (const [user, counts] of [[owner, [ofOwner, ofGuest]], [guest, [ofGuest, ofOwner]]]) {
    for (const connection of markets(user)) {
      const fits = () => (
        frontEnd(connection).head(chatId) === head && `${frontEnd(connection).counts(chatId)}` === `${counts}`
      );
      await connection.until(fits, `${head} messages and the counts ${counts}, not ${frontEnd(connection).counts(chatId)}`);
    }
  }
}

const WAYS = {
  'the event-name dialect': (who, { chatId }, text) => sendMessage(who.chat, { id: chatId }, text),
  'the action dialect': (who, { pk }, text) => action.ask(who.byAction, 'create_message', { pk, message: text }),
  'the type dialect': (who, { pk }, text) => type.sendMessage(who.byType, pk, text),
  REST: (who, { chatId }, text) => host.sendMessage({ chatId }, who, text),
};

for (const [dialect, send] of Object.entries(WAYS)) {
  test(`what either side sends in ${dialect} is delivered to the marketplace once, with exact counts`, async (t) => {
    const set = await scene(t);
    const { owner, guest, chatId } = set;
    await send(guest, set, 'one');
    await untilCounts(set, 1, 1, 0);
    await send(guest, set, 'two');
    await untilCounts(set, 2, 2, 0);
    await send(owner, set, 'three');
    await untilCounts(set, 3, 0, 1);
    for (const connection of markets(owner, guest)) {
      const shown = frontEnd(connection).shown.get(chatId).messages;
      assert.deepEqual(shown.map(({ messageId, text, photos, fromUserId, toUserId }) => (
        [messageId, text, photos, fromUserId, toUserId]
      )), [
        [1, 'one', [], guest.pk, owner.pk], [2, 'two', [], guest.pk, owner.pk], [3, 'three', [], owner.pk, guest.pk],
      ]);
    }
    for (const connection of markets(set.third)) assert.deepEqual(await flush(connection), []);
  });
}

test('what is said in the marketplace comes to the other dialects once, in order, with its photos', async (t) => {
  const { owner, guest, third, chatId, chat, pk } = await scene(t);
  const texts = ['one', 'two', 'three', 'the end'];
  for (const [index, who] of [guest, owner, guest, owner].entries()) {
    const photos = index === 1 ? ['p-1', 'p-2'] : [];
    await who.market.ask('send_message', { chatId, message: { text: texts[index], photos } });
  }
  const photosOf = (message) => (Object.hasOwn(message, 'photos') ? message.photos : undefined);
  const expected = [undefined, ['p-1', 'p-2'], undefined, undefined];
  for (const who of [owner, guest]) {
    await eventually(() => received(who.chat, chat).length === 4, 'four messages came by Socket.IO');
    await who.byType.wire.until(({ data }) => data?.text === 'the end', 'the end');
    await action.untilReceived(who.byAction, 'the end');
    const delivered = {
      'event-name live': received(who.chat, chat).map((each) => ({ ...each, text: each.msg })),
      'event-name history': (await history(who.chat, chat)).map((each) => ({ ...each, text: each.msg })),
      'type live': type.pushed(who.byType, 'messageCreated'),
      'type history': await type.messages(who.byType, pk),
      'action live': action.received(who.byAction),
      'action history': (await action.room(who.byAction, pk)).messages,
    };
    for (const [where, messages] of Object.entries(delivered)) {
      assert.deepEqual(messages.map(({ text }) => text), texts, where);
      assert.deepEqual(messages.map(photosOf), expected, where);
    }
    const { messages } = await host.get(`/chats/${chatId}/messages`);
    assert.deepEqual(messages.map(({ photos }) => photos), [[], ['p-1', 'p-2'], [], []]);
  }
  assert.deepEqual(received(third.chat, chat), []);
});

describe('a chat about an event', () => {
  test('is sent as a new chat to the other connections of both its members', async (t) => {
    const { owner, guest, third, chatId, chat } = await scene(t);
    await owner.chat.made.until(1);
    for (const who of [owner, guest]) {
      assert.deepEqual(who.chat.made.map(({ chat: made }) => made), [chat]);
      const { chats } = await ask(who.chat.socket, 'list-chats', {});
      assert.deepEqual(chats.map(({ id }) => id), [chatId]);
      assert.deepEqual((await type.chats(who.byType)).map(({ id }) => id), [chat.pk]);
    }
    assert.deepEqual([chat.id, [...chat.users].sort()], [chatId, [owner.id, guest.id].sort()]);
    assert.equal(third.chat.made.length, 0);
  });

  test('opened over REST appears to both, and a message there reaches both', async (t) => {
    const [owner, guest] = [await everywhere(t, 'owner'), await everywhere(t, 'guest')];
    const event = await host.event(owner);
    const { chatId, pk } = await host.eventChat(event, guest);
    for (const who of [owner, guest]) await who.chat.made.until(1);
    assert.equal(owner.chat.made[0].chat.pk, pk);
    assert.equal((await guest.rawMarket.next('chat_updates')).chatId, chatId);
    await type.sendMessage(guest.byType, pk, 'hello');
    await untilCounts({ owner, guest, chatId }, 1, 1, 0);
  });

  test('shows its two members only, and is not there for a third user in any dialect', async (t) => {
    const { owner, third, chatId, pk } = await scene(t);
    assert.deepEqual((await action.room(owner.byAction, pk)).member.length, 2);
    await action.refusal(third.byAction, 'retrieve', { pk }, 404);
    await action.refusal(third.byAction, 'join_room', { pk }, 404);
    await action.refusal(third.byAction, 'create_message', { pk, message: 'x' }, 404);
    for (const request of ['getChatDetails', 'joinChat', 'getChatMessages']) {
      assert.equal((await type.refusal(third.byType, request, { chatId: pk, chat: pk })).code, 'not_found', request);
    }
    assert.equal((await refusal(third.chat.socket, 'new-message', { room: chatId, msg: 'x' })).code, 'not_found');
    assert.equal((await refusal(third.chat.socket, 'list-messages', { chat: { id: chatId } })).code, 'not_found');
  });

  test('is left by nobody, and nobody is added to it or removed', async (t) => {
    const { owner, guest, third, chatId, pk } = await scene(t);
    for (const who of [owner, guest]) await action.refusal(who.byAction, 'leave_room', { pk }, 403);
    await host.refused(403, 'forbidden', 'POST', `/chats/${chatId}/members`, { users: [third.id] });
    await host.refused(403, 'forbidden', 'DELETE', `/chats/${chatId}/members/${guest.id}`);
    assert.equal((await host.get(`/chats/${chatId}`)).users.length, 2);
    await guest.market.ask('send_message', { chatId, message: { text: 'still here' } });
    await untilCounts({ owner, guest, chatId }, 1, 1, 0);
  });

  test('that is read in the type dialect is read in the marketplace, and the other way round', async (t) => {
    const set = await scene(t);
    const { owner, guest, chatId, pk } = set;
    for (const text of ['one', 'two', 'three']) await guest.market.ask('send_message', { chatId, message: { text } });
    await untilCounts(set, 3, 3, 0);
    for (const connection of markets(owner, guest)) await flush(connection);
    const answer = await owner.byType.wire.ask({
      type: 'joinChat', data: { chat: pk, last_read_message: pair(pk, 2) },
    });
    assert.equal(answer.type, 'info');
    for (const connection of markets(owner)) {
      assert.deepEqual(await connection.next('chat_unread'), { chatId, myUnreadCount: 1, interlocutorUnreadCount: 0 });
    }
    for (const connection of markets(guest)) {
      assert.deepEqual(await connection.next('chat_unread'), { chatId, myUnreadCount: 0, interlocutorUnreadCount: 1 });
    }
    assert.deepEqual(await type.readFlags(guest.byType, pk), [true, true, false]);
    await owner.market.ask('read_messages', { chatId, lastReadedMessageId: 3 });
    await untilCounts(set, 3, 0, 0);
    assert.deepEqual(await type.readFlags(guest.byType, pk), [true, true, true]);
  });

  test('is deleted with its event in every dialect', async (t) => {
    const { owner, guest, event, chatId, pk } = await scene(t);
    await guest.market.ask('send_message', { chatId, message: { text: 'hello' } });
    await host.ok(204, 'DELETE', `/events/${event.id}`);
    for (const who of [owner, guest]) {
      assert.deepEqual((await ask(who.chat.socket, 'list-chats', {})).chats, []);
      assert.deepEqual(await type.chats(who.byType), []);
      await action.refusal(who.byAction, 'retrieve', { pk }, 404);
      assert.equal((await who.market.ask('load_history', { chatId, lastMessageId: 2 })).code, 'not_found');
    }
    await host.refused(404, 'not_found', 'GET', `/chats/${chatId}`);
  });
});

test('chats that are about no event do not appear in the marketplace', async (t) => {
  const [anna, boris] = [await everywhere(t, 'anna'), await everywhere(t, 'boris')];
  const chat = await host.chat(anna, boris);
  for (const send of Object.values(WAYS)) await send(anna, { chatId: chat.id, pk: chat.pk }, 'hello');
  await eventually(() => received(boris.chat, chat).length === 4, 'four messages came by Socket.IO');
  for (const connection of markets(anna, boris)) assert.deepEqual(await flush(connection), []);
  assert.deepEqual((await enterWebSocket(t, server, boris)).initial, []);
});

test('all dialects may write at once: the marketplace shows every message, and exact counts', async (t) => {
  const set = await scene(t);
  const { owner, guest, chatId } = set;
  const lanes = Object.values(WAYS).flatMap((send) => [owner, guest].map(async (who) => {
    for (let index = 0; index < 30; index++) await send(who, set, `${who.name} ${index}`);
  }));
  await Promise.all(lanes);
  await host.sendMessage({ chatId }, guest, 'the end');
  const { messages } = await host.get(`/chats/${chatId}/messages?limit=1000`);
  assert.equal(messages.length, 241);
  const unread = messages.length - messages.findLast(({ user_id }) => user_id === owner.id).seq;
  await untilCounts(set, 241, unread, 0);
  for (const connection of markets(owner, guest)) {
    const shown = frontEnd(connection).shown.get(chatId).messages;
    assert.deepEqual(shown.map(({ text }) => text), messages.map(({ msg }) => msg), connection.name);
  }
});
