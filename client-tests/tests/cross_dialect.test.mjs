// @ts-check
// Owns the promise that all dialects are views of the same chats: messages, joins, leavings, reads and changes in one
// show at once in the others.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { chatOf, connectUser, flushInboxes, received, history, sendMessage } from '../clients/fixtures.mjs';
import { ask, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { fromAction, fromEventName, fromType, pair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** A user of Socket.IO, with raw connections of the same user beside it. */
async function everywhere(t, base) {
  const socketio = await connectUser(t, server, base);
  const token = socketio.user.externalUserId;
  const byType = await type.connectType(t, server, base, { token, push: true });
  const byAction = await action.connectAction(t, server, base, { token, acks: true });
  return { name: token, id: socketio.id, socketio, byType, byAction };
}

/** Subscribes to the room in the action dialect, too. */
const subscribe = (who, pk) => action.ask(who.byAction, 'subscribe_to_messages_in_room', { pk });

/** A message of each dialect in one form: its number, text, sender and time. */
const FORM = { socketio: fromEventName, byType: fromType, byAction: fromAction };

/** The messages of a chat on each connection of a user, the answers to its own requests included. */
const DELIVERED = {
  socketio: ({ socketio }, { id }) => received(socketio, { id }),
  byType: ({ byType }, { pk }) => byType.wire.frames
    .filter((frame) => frame.type === 'messageCreated' && frame.data.chat === pk).map(({ data }) => data),
  byAction: ({ byAction }, { pk }) => action.received(byAction).filter(({ room }) => room === pk),
};

const SAY = {
  socketio: (who, chat, text, more) => sendMessage(who.socketio, chat, text, more),
  byType: (who, { pk }, text, more) => type.sendMessage(who.byType, pk, text, more),
  byAction: (who, { pk }, text, more) => action.ask(who.byAction, 'create_message', { pk, message: text, ...more }),
};

const HISTORY = {
  socketio: (who, chat) => history(who.socketio, chat),
  byType: (who, { pk }) => type.messages(who.byType, pk),
  byAction: async (who, { pk }) => (await action.room(who.byAction, pk)).messages,
};

const DIALECTS = Object.keys(SAY);

/** Waits until every connection of these users has received the last of these messages. */
async function untilDelivered(users, chat, last) {
  await Promise.all(users.flatMap((who) => [
    eventually(() => received(who.socketio, chat).some(({ msg }) => msg === last), `'${last}' came by Socket.IO`),
    who.byType.wire.until(({ data }) => data?.text === last, `'${last}' by type`),
    who.byAction.wire.until((frame) => !('errors' in frame) && frame.data?.text === last, `'${last}' by action`),
  ]));
}

/** An open room, with its id in every dialect: made by `maker`, who joins it. */
async function openRoom(maker) {
  const pk = await action.newRoom(maker.byAction);
  await action.ask(maker.byAction, 'join_room', { pk });
  await subscribe(maker, pk);
  const { chats } = await ask(maker.socketio.socket, 'list-chats', {});
  return chats.find((chat) => chat.pk === pk);
}

test('a message sent in any dialect reaches every member in every dialect once, and every history', async (t) => {
  const users = [await everywhere(t, 'alice'), await everywhere(t, 'bob'), await everywhere(t, 'carol')];
  const chat = await chatOf(...users.map(({ socketio }) => socketio));
  for (const who of users) await subscribe(who, chat.pk);

  const sent = [];
  for (const who of users) {
    for (const dialect of DIALECTS) {
      const text = `${who.name} ${dialect} 😀`;
      const { seq, at } = FORM[dialect](await SAY[dialect](who, chat, text));
      sent.push({ seq, text, at });
    }
  }
  assert.deepEqual(sent.map(({ seq }) => seq), sent.map((_, index) => index + 1));
  await untilDelivered(users, chat, sent.at(-1).text);
  await flushInboxes(...users.map(({ socketio }) => socketio));
  for (const who of users) {
    for (const dialect of DIALECTS) {
      const where = `${who.name} ${dialect}`;
      assert.deepEqual(DELIVERED[dialect](who, chat).map(FORM[dialect]), sent, where);
      assert.deepEqual((await HISTORY[dialect](who, chat)).map(FORM[dialect]), sent, where);
    }
  }
});

test('messages sent in all dialects at the same time come in one order, the same everywhere', async (t) => {
  const count = 100;
  const users = [await everywhere(t, 'alice'), await everywhere(t, 'bob')];
  const chat = await chatOf(...users.map(({ socketio }) => socketio));
  for (const who of users) await subscribe(who, chat.pk);
  const stream = async (who, dialect) => {
    for (let index = 0; index < count; index++) await SAY[dialect](who, chat, `${who.name} ${dialect} ${index}`);
  };
  await Promise.all(users.flatMap((who) => DIALECTS.map((dialect) => stream(who, dialect))));
  await SAY.byType(users[0], chat, 'the end');
  await untilDelivered(users, chat, 'the end');
  const expected = (await history(users[0].socketio, chat)).map(FORM.socketio);
  assert.deepEqual(expected.map(({ seq }) => seq), Array.from({ length: 6 * count + 1 }, (_, index) => index + 1));
  for (const who of users) {
    for (const dialect of ['socketio', 'byAction']) {
      assert.deepEqual(DELIVERED[dialect](who, chat).map(FORM[dialect]), expected, `${who.name} ${dialect}`);
    }
    const byType = DELIVERED.byType(who, chat).map(FORM.byType);
    assert.deepEqual(byType.toSorted((a, b) => a.seq - b.seq), expected, 'the answers and the pushes together');
    const pushed = type.pushed(who.byType, 'messageCreated').map(FORM.byType).map(({ seq }) => seq);
    assert.deepEqual(pushed, pushed.toSorted((a, b) => a - b), 'the pushes are in order');
  }
});

test('a message has the same sender and matching ids in each dialect', async (t) => {
  const [alice, bob] = [await everywhere(t, 'alice'), await everywhere(t, 'bob')];
  const chat = await chatOf(alice.socketio, bob.socketio);
  const { seq, user_id } = await SAY.socketio(bob, chat, 'hello');
  const [byType] = await HISTORY.byType(alice, chat);
  const [byAction] = await HISTORY.byAction(alice, chat);
  assert.equal(user_id, bob.id);
  assert.deepEqual([byType.sender.username, byAction.user.username], [bob.name, bob.name]);
  assert.deepEqual([byType.sender.id, byType.id], [byAction.user.id, pair(chat.pk, seq)]);
  assert.equal(byAction.id, byType.id);
});

test('a message sent again in another dialect with the same client_id is stored once', async (t) => {
  const alice = await everywhere(t, 'alice');
  const chat = await chatOf(alice.socketio);
  const answers = [];
  for (const dialect of [...DIALECTS, ...DIALECTS]) {
    answers.push(FORM[dialect](await SAY[dialect](alice, chat, `by ${dialect}`, { client_id: 'c-1' })));
  }
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  assert.equal((await history(alice.socketio, chat)).length, 1);
});

describe('taking part', () => {
  const WAYS_IN = {
    'the action dialect': (who, { pk }) => action.ask(who.byAction, 'join_room', { pk }),
    'the type dialect': (who, { pk }) => type.join(who.byType, pk),
  };

  for (const [dialect, enter] of Object.entries(WAYS_IN)) {
    test(`through ${dialect} begins in all at once, and ends in all at once by leaving`, async (t) => {
      const [alice, bob] = [await everywhere(t, 'alice'), await everywhere(t, 'bob')];
      const chat = await openRoom(alice);
      await subscribe(bob, chat.pk);
      await SAY.socketio(alice, chat, 'before');
      await enter(bob, chat);
      for (const each of DIALECTS) await SAY[each](alice, chat, `in ${each}`);
      for (const each of DIALECTS) await SAY[each](bob, chat, `in ${each} by bob`);
      await untilDelivered([alice, bob], chat, 'in byAction by bob');
      const { chats } = await ask(bob.socketio.socket, 'list-chats', {});
      assert.deepEqual(chats.map(({ pk }) => pk), [chat.pk]);
      assert.deepEqual((await type.chats(bob.byType)).map(({ id }) => id), [chat.pk]);

      await action.ask(bob.byAction, 'leave_room', { pk: chat.pk });
      await SAY.byType(alice, chat, 'after');
      await untilDelivered([alice], chat, 'after');
      assert.equal((await type.refusal(bob.byType, 'newMessage', { chat: chat.pk, text: 'no' })).code, 'forbidden');
      await action.refusal(bob.byAction, 'create_message', { pk: chat.pk, message: 'no' }, 403);
      await refusal(bob.socketio.socket, 'new-message', { room: chat.id, msg: 'no' });
      assert.deepEqual((await ask(bob.socketio.socket, 'list-chats', {})).chats, []);
      assert.deepEqual(await type.chats(bob.byType), []);

      await enter(bob, chat);
      await subscribe(bob, chat.pk);
      await SAY.byAction(alice, chat, 'again');
      await untilDelivered([bob], chat, 'again');
      const both = DIALECTS.flatMap((each) => `in ${each}`);
      const expected = [...both, ...both.map((text) => `${text} by bob`), 'again'];
      for (const each of DIALECTS) {
        assert.deepEqual(DELIVERED[each](bob, chat).map(FORM[each]).map(({ text }) => text), expected, each);
      }
    });
  }

  test('in one dialect is sent to the watchers in the others, once', async (t) => {
    const [alice, bob, carol] = [
      await everywhere(t, 'alice'), await everywhere(t, 'bob'), await everywhere(t, 'carol'),
    ];
    const chat = await openRoom(alice);
    await action.listWindowEnds();
    await type.join(bob.byType, chat.pk);
    await action.listed(alice.byAction, alice, bob);
    await action.ask(carol.byAction, 'join_room', { pk: chat.pk });
    await action.listed(alice.byAction, alice, bob, carol);
    await SAY.byType(bob, chat, 'the end');
    await untilDelivered([alice], chat, 'the end');
    assert.deepEqual(action.memberEvents(alice.byAction), [[alice.name, bob.name], [alice.name, bob.name, carol.name]]);
    const joined = type.pushed(alice.byType, 'chatJoined').filter(({ user }) => user.username !== alice.name);
    assert.deepEqual(joined.map((data) => [data.chat, data.user.username]), [bob, carol].map(({ name }) => (
      [chat.pk, name]
    )));
    const seen = (await type.details(carol.byType, chat.pk)).participants.map(({ username }) => username);
    assert.deepEqual(seen, [alice.name, bob.name, carol.name]);
    assert.deepEqual(await action.members(carol.byAction, chat.pk), seen);
    const [listed] = (await ask(carol.socketio.socket, 'list-chats', {})).chats;
    assert.deepEqual(listed.users, [alice.id, bob.id, carol.id]);
  });

  test('in a chat of Socket.IO needs no joining, and reaches raw connections that were there before', async (t) => {
    const [alice, bob] = [await everywhere(t, 'alice'), await everywhere(t, 'bob')];
    const chat = await chatOf(alice.socketio, bob.socketio);
    await Promise.all([alice, bob].map((who) => subscribe(who, chat.pk)));
    await SAY.byAction(bob, chat, 'hello');
    await untilDelivered([alice, bob], chat, 'hello');
    assert.equal((await type.details(bob.byType, chat.pk)).participants.length, 2);
    const answer = await bob.byType.wire.ask({ type: 'joinChat', data: { chat: chat.pk } });
    assert.equal(answer.type, 'info');
  });
});

test('a user that writes in one dialect has read in the others', async (t) => {
  const [alice, bob] = [await everywhere(t, 'alice'), await everywhere(t, 'bob')];
  for (const dialect of DIALECTS) {
    const chat = await chatOf(alice.socketio, bob.socketio);
    await SAY.socketio(alice, chat, 'one');
    assert.deepEqual(await type.readFlags(alice.byType, chat.pk), [false], dialect);
    await SAY[dialect](bob, chat, 'two');
    assert.deepEqual(await type.readFlags(alice.byType, chat.pk), [true, false], dialect);
  }
});

test('a room that is renamed or deleted in one dialect is so in the others', async (t) => {
  const alice = await everywhere(t, 'alice');
  const chat = await openRoom(alice);
  await action.ask(alice.byAction, 'patch', { pk: chat.pk, data: { name: 'Tea' } });
  assert.equal((await ask(alice.socketio.socket, 'list-chats', {})).chats[0].name, 'Tea');
  await action.ask(alice.byAction, 'delete', { pk: chat.pk }, 204);
  assert.equal((await refusal(alice.socketio.socket, 'new-message', { room: chat.id, msg: 'x' })).code, 'not_found');
  assert.equal((await type.refusal(alice.byType, 'getChatDetails', { chatId: chat.pk })).message, 'Chat not found.');
  assert.deepEqual(await type.chats(alice.byType), []);
  assert.deepEqual((await ask(alice.socketio.socket, 'list-chats', {})).chats, []);
});
