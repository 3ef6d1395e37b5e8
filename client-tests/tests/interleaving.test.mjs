// @ts-check
// Owns the promise that a connection gets the messages of a chat in ascending order, the answers to its own among those
// of others, where an answer has the form of a message.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import * as type from '../clients/type-data.mjs';
import { uniqueName, upTo } from '../clients/fixtures.mjs';
import { unpair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { Changes } from '../harness/wait.mjs';

/** How many messages each connection sends without waiting. */
const EACH = 300;

const PATIENCE_MS = 60_000;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** Records the frames of a connection: in `received` the messages, `[chat, seq, request id]`, in `ids` all answers. */
function collecting(dialect, connection) {
  const arrivals = new Changes();
  const collected = { ...connection, received: [], ids: [] };
  connection.wire.listen((frame) => {
    const content = dialect.content(frame);
    const message = dialect.message(content);
    if (message) collected.received.push(message);
    if (Number.isInteger(content.request_id) && content.request_id >= 0) collected.ids.push(content.request_id);
    arrivals.happened();
  });
  /** Waits until so many messages, or answers, have come. */
  collected.until = (what, count) => (
    arrivals.until(() => collected[what].length >= count, () => `${count} ${what} (so far ${collected[what].length})`, PATIENCE_MS)
  );
  return collected;
}

/** Two senders, each with two connections. */
async function fourConnections(t, dialect, more) {
  const tokens = [uniqueName('anna'), uniqueName('boris')];
  return Promise.all([...tokens, ...tokens].map(async (token) => (
    collecting(dialect, await dialect.connect(t, token, more))
  )));
}

/** The type dialect: messages of others come in the same frame as the answers, without their request id. */
const TYPE = {
  connect: (t, token, more) => type.connectType(t, server, token, { push: true, token, ...more }),
  chat: async (/** @type {any[]} */ [anna, boris]) => {
    const chat = await type.newChat(anna);
    for (const each of [anna, boris]) await type.join(each, chat);
    return chat;
  },
  send: ({ wire }, chat, index, more) => (
    wire.send({ type: 'newMessage', data: { chat, text: `${index}`, ...more }, request_id: index })
  ),
  content: (frame) => frame,
  message: ({ type: kind, data, request_id }) => (
    kind === 'messageCreated' && [data.chat, unpair(data.id).seq, request_id]
  ),
  /** How many frames a message is on the connection that sent it. */
  own: 1,
};

/** The action dialect: a message comes to its sender, too, and then the reply has it once more. */
const ACTION = {
  connect: (t, token) => action.connectAction(t, server, token, { acks: true, token }),
  chat: async (everyone) => {
    const pk = await action.newRoom(everyone[0]);
    for (const each of everyone) {
      await action.ask(each, 'join_room', { pk });
      await action.ask(each, 'subscribe_to_messages_in_room', { pk });
    }
    return pk;
  },
  send: ({ wire }, pk, index) => wire.send({ action: 'create_message', pk, message: `${index}`, request_id: index }),
  content: (frame) => frame,
  message: ({ action: kind, data, request_id }) => (
    (kind === 'create_message' || (kind === 'create' && data.room)) && [data.room, unpair(data.id).seq, request_id]
  ),
  own: 2,
};

/** The same in the envelope of a client that multiplexes. */
const STREAM = {
  ...ACTION,
  connect: (t, token) => action.connectAction(t, server, token, { token }),
  chat: async (everyone) => {
    const pk = await action.newRoom(everyone[0]);
    for (const { wire } of everyone) {
      for (const name of ['join_room', 'subscribe_to_messages_in_room']) {
        const request_id = `${name} ${pk}`;
        wire.send({ stream: 'room', payload: { action: name, pk, request_id } });
        await wire.until((frame) => frame.payload?.request_id === request_id, request_id);
      }
    }
    return pk;
  },
  send: ({ wire }, pk, index) => (
    wire.send({ stream: 'room', payload: { action: 'create_message', pk, message: `${index}`, request_id: index } })
  ),
  content: ({ payload, ...frame }) => payload ?? frame,
};

const ascending = (numbers, repeated) => numbers.every((number, index) => (
  index === 0 || number > numbers[index - 1] || (repeated && number === numbers[index - 1])
));

/** Asserts that a connection received every message of this chat, in order. */
function inOrder(dialect, connection, chat, total, sent) {
  const received = connection.received.filter(([room]) => room === chat);
  const seqs = received.map(([, seq]) => seq);
  const fall = seqs.findIndex((seq, index) => index > 0 && seq < seqs[index - 1]);
  assert.ok(ascending(seqs, dialect.own > 1), `after ${seqs[fall - 1]} came ${seqs[fall]}`);
  assert.deepEqual([...new Set(seqs)], upTo(total));
  assert.equal(seqs.length, total + (dialect.own - 1) * sent);
  assert.equal(received.filter(([, , id]) => id !== undefined).length, sent);
}

/** Waits until each connection has received `total` messages, of which it sent `sent`. */
const allReceived = (dialect, everyone, total, sent) => (
  Promise.all(everyone.map((each) => each.until('received', total + (dialect.own - 1) * sent)))
);

/** The request ids in the order of the requests. */
const ASKED = [...Array(EACH).keys()];

for (const [name, dialect] of Object.entries({ type: TYPE, 'action with ?ack=1': ACTION, 'action in an envelope': STREAM })) {
  describe(`in the dialect ${name}`, () => {
    test('two senders on two connections each that do not wait receive one order', async (t) => {
      const everyone = await fourConnections(t, dialect);
      const chat = await dialect.chat(everyone);
      for (let index = 0; index < EACH; index++) for (const each of everyone) dialect.send(each, chat, index);
      await allReceived(dialect, everyone, 4 * EACH, EACH);
      for (const each of everyone) {
        inOrder(dialect, each, chat, 4 * EACH, EACH);
        assert.deepEqual(each.ids, ASKED, 'the answers, in the order of the requests');
      }
    });

    test('so they do in several chats at once', async (t) => {
      const everyone = await fourConnections(t, dialect);
      const chats = [await dialect.chat(everyone), await dialect.chat(everyone), await dialect.chat(everyone)];
      for (let index = 0; index < EACH; index++) {
        for (const [who, each] of everyone.entries()) dialect.send(each, chats[(index + who) % chats.length], index);
      }
      await allReceived(dialect, everyone, 4 * EACH, EACH);
      for (const each of everyone) {
        for (const chat of chats) inOrder(dialect, each, chat, (4 * EACH) / chats.length, EACH / chats.length);
        assert.deepEqual(each.ids, ASKED, 'the answers, in the order of the requests');
      }
    });
  });
}

describe('in the type dialect', () => {
  test('on the address that all dialects share, too', async (t) => {
    const everyone = await fourConnections(t, TYPE, { path: '/ws' });
    // The first frame decides the dialect of a connection: earlier deliveries are not sent.
    for (const each of everyone) await type.chats(each);
    const chat = await TYPE.chat(everyone);
    for (let index = 0; index < EACH; index++) for (const each of everyone) TYPE.send(each, chat, index);
    await allReceived(TYPE, everyone, 4 * EACH, EACH);
    for (const each of everyone) inOrder(TYPE, each, chat, 4 * EACH, EACH);
  });

  test('a message that is sent again is answered with the one stored first, and delays nothing', async (t) => {
    const everyone = await fourConnections(t, TYPE);
    const chat = await TYPE.chat(everyone);
    // The two connections of a user send the same: a message that one stored is a repetition on the other.
    for (let index = 0; index < EACH; index++) {
      for (const each of everyone) TYPE.send(each, chat, index, { client_id: `${index}` });
    }
    await Promise.all(everyone.map((each) => each.until('ids', EACH)));
    const answers = everyone.map(({ received }) => received.filter(([, , id]) => id !== undefined));
    assert.deepEqual(answers[0], answers[2], 'both connections of a user are answered alike');
    assert.deepEqual(answers[1], answers[3]);
    assert.equal((await type.messages(everyone[0], chat)).length, 2 * EACH);
  });

  test('one that receives nothing of others is answered in the order of its requests', async (t) => {
    const [anna, boris, again] = await fourConnections(t, TYPE);
    const quiet = collecting(TYPE, await type.connectType(t, server, 'anna', { token: anna.token }));
    const chat = await TYPE.chat([anna, boris]);
    for (let index = 0; index < EACH; index++) for (const each of [quiet, boris, again]) TYPE.send(each, chat, index);
    await quiet.until('received', EACH);
    assert.deepEqual(quiet.received.map(([, , id]) => id), ASKED);
    assert.ok(ascending(quiet.received.map(([, seq]) => seq), false));
  });

  test('requests of other kinds among the messages are answered in their order', async (t) => {
    const everyone = await fourConnections(t, TYPE);
    const chat = await TYPE.chat(everyone);
    for (let index = 0; index < EACH; index++) {
      for (const each of everyone) {
        if (index % 10 === 9) each.wire.send({ type: 'getChatDetails', data: { chatId: chat }, request_id: index });
        else TYPE.send(each, chat, index);
      }
    }
    await Promise.all(everyone.map((each) => each.until('ids', EACH)));
    for (const each of everyone) assert.deepEqual(each.ids, ASKED);
  });

  test('nobody waits for ever when the chat is deleted meanwhile', async (t) => {
    const owner = await action.connectAction(t, server, 'owner', { acks: true });
    const chat = await action.newRoom(owner);
    const [anna, boris] = await fourConnections(t, TYPE);
    for (const each of [anna, boris]) await type.join(each, chat);
    for (let index = 0; index < EACH; index++) for (const each of [anna, boris]) TYPE.send(each, chat, index);
    await action.ask(owner, 'delete', { pk: chat }, 204);
    for (const each of [anna, boris]) {
      await each.until('ids', EACH);
      assert.deepEqual(each.ids, ASKED);
    }
  });
});
