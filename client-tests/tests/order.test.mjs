// @ts-check
// Owns the promise of order: one order for all readers, each message once, nothing lost at the start.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PACKET, RawClient, eventBody, parseAck } from '../clients/engineio.mjs';
import {
  chatOf, connectAgain, connectUser, connectUsers, flushInboxes, fullHistory, received, sendMessage, seqsOf, upTo,
} from '../clients/fixtures.mjs';
import { ask, collect, connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;

const ids = (messages) => messages.map(({ id }) => id);

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

test('50 senders in one chat: every reader receives every message once, in one and the same order', async (t) => {
  const each = 20;
  const names = Array.from({ length: 50 }, (_, index) => `sender-${index}`);
  const senders = await connectUsers(t, server, ...names);
  const poller = await connectUser(t, server, 'poller', { transports: ['polling'] });
  const readers = [...senders, poller];
  const chat = await chatOf(...readers);

  const sent = await Promise.all(senders.map(async (sender, who) => {
    const own = [];
    for (let turn = 0; turn < each; turn++) own.push(await sendMessage(sender, chat, `${who}/${turn}`));
    return own;
  }));

  const total = senders.length * each;
  const stored = await fullHistory(poller, chat);
  assert.deepEqual(seqsOf(stored), upTo(total));
  assert.deepEqual(new Set(ids(stored)), new Set(ids(sent.flat())));
  for (const own of sent) assert.deepEqual(seqsOf(own), seqsOf(own).toSorted((a, b) => a - b));

  for (const reader of readers) {
    await reader.inbox.until(total, PATIENCE_MS);
    assert.deepEqual(reader.inbox, stored);
  }
});

describe('messages that one connection sends without waiting are stored in that order', () => {
  // Between two polls all answers wait in the server: as many as fit.
  for (const { transport, count } of [{ transport: 'websocket', count: 2000 }, { transport: 'polling', count: 200 }]) {
    const texts = upTo(count).map((index) => `number ${index}`);

    test(`${count} with acknowledgements, over ${transport}`, async (t) => {
      const alice = await connectUser(t, server, 'alice', { transports: [transport] });
      const chat = await chatOf(alice);
      const answered = [];
      const all = Promise.all(texts.map((msg) => new Promise((resolve) => {
        alice.socket.emit('new-message', { room: chat.id, msg }, (answer) => { resolve(answered.push(answer)); });
      })));
      await within(all, () => `${count} answers (so far ${answered.length})`, PATIENCE_MS);
      assert.deepEqual(answered.map(({ msg }) => msg), texts);
      assert.deepEqual(seqsOf(answered), upTo(count));
      assert.deepEqual(await fullHistory(alice, chat), answered);
    });

    test(`${count} with plain events, over ${transport}`, async (t) => {
      const alice = await connectUser(t, server, 'alice', { transports: [transport] });
      const chat = await chatOf(alice);
      for (const msg of texts) alice.socket.emit('new-message', chat.id, { msg });
      await alice.inbox.until(count, PATIENCE_MS);
      assert.deepEqual(alice.inbox.map(({ msg }) => msg), texts);
      assert.deepEqual(await fullHistory(alice, chat), [...alice.inbox]);
    });
  }
});

test('requests of different kinds on one connection are handled in the order in which they were sent', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const chat = await chatOf(alice);
  const listed = [];
  for (let turn = 1; turn <= 100; turn++) {
    alice.socket.emit('new-message', { room: chat.id, msg: `${turn}` });
    listed.push(ask(alice.socket, 'list-messages', { chat: { id: chat.id }, query: { limit: 1 } }));
  }
  const latest = (await Promise.all(listed)).map(({ messages }) => messages[0]?.seq);
  assert.deepEqual(latest, upTo(100));
});

describe('a message sent again with its client_id', () => {
  test('is the one stored first, whatever the text, and is delivered to nobody a second time', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const first = await sendMessage(alice, chat, 'hello', { client_id: 'once' });
    const again = await sendMessage(alice, chat, 'hello?', { client_id: 'once' });
    assert.deepEqual(again, first);
    const other = await sendMessage(alice, chat, 'more', { client_id: 'twice' });
    await flushInboxes(alice, bob);
    for (const member of [alice, bob]) assert.deepEqual(received(member, chat), [first, other]);
    assert.deepEqual(await fullHistory(bob, chat), [first, other]);
  });

  test('counts for its sender and its chat only', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const [here, there] = [await chatOf(alice, bob), await chatOf(alice, bob)];
    const client_id = 'x'.repeat(64);
    const sent = [
      await sendMessage(alice, here, 'alice here', { client_id }),
      await sendMessage(bob, here, 'bob here', { client_id }),
      await sendMessage(alice, there, 'alice there', { client_id }),
    ];
    assert.equal(new Set(ids(sent)).size, 3);
    assert.deepEqual(sent.map(({ msg }) => msg), ['alice here', 'bob here', 'alice there']);
  });

  test('from two connections at the same time is stored once', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const alsoAlice = await connectAgain(t, server, alice);
    const chat = await chatOf(alice);
    const rounds = upTo(100);
    const pairs = await Promise.all(rounds.map((round) => Promise.all(
      [alice, alsoAlice].map((each) => sendMessage(each, chat, `round ${round}`, { client_id: `${round}` })),
    )));
    for (const [here, there] of pairs) assert.deepEqual(here, there);
    await flushInboxes(alice, alsoAlice);
    const stored = await fullHistory(alice, chat);
    assert.deepEqual(seqsOf(stored), rounds);
    for (const connection of [alice, alsoAlice]) assert.deepEqual(received(connection, chat), stored);
  });
});

describe('the first event is never lost', () => {
  const count = 200;

  test('of 200 clients that emit the moment they see CONNECT, with an acknowledgement', async (t) => {
    const answers = upTo(count).map((index) => new Promise((resolve) => {
      const request = JSON.stringify(['create-user', { user: { externalUserId: `eager-${index}` } }]);
      new RawClient(t, server.url, (packet, client) => {
        if (packet === PACKET.connect) client.send(`${PACKET.event}7${request}`);
        if (packet.startsWith(PACKET.ack)) resolve(parseAck(packet));
      });
    }));
    const answered = await within(Promise.all(answers), () => `${count} answers`, PATIENCE_MS);
    const names = answered.map(({ number, body }) => `${number} ${body.user.externalUserId}`);
    assert.deepEqual(names, upTo(count).map((index) => `7 eager-${index}`));
  });

  test('of 200 clients that emit the moment they see CONNECT, without', async (t) => {
    const answers = upTo(count).map((index) => new Promise((resolve) => {
      const request = JSON.stringify(['create-user', { user: { externalUserId: `plain-${index}` } }]);
      new RawClient(t, server.url, (packet, client) => {
        if (packet === PACKET.connect) client.send(`${PACKET.event}${request}`);
        const body = eventBody(packet, 'create-user');
        if (body) resolve(body.user.externalUserId);
      });
    }));
    const names = await within(Promise.all(answers), () => `${count} answers`, PATIENCE_MS);
    assert.deepEqual(names, upTo(count).map((index) => `plain-${index}`));
  });

  test('of 500 clients, one at a time, to which an idle server could not answer faster', async (t) => {
    for (const index of upTo(500)) {
      const request = JSON.stringify(['create-user', { user: { externalUserId: `prompt-${index}` } }]);
      const client = new RawClient(t, server.url, (packet, self) => {
        if (packet === PACKET.connect) self.send(`${PACKET.event}7${request}`);
      });
      await client.packet(`${PACKET.ack}7`);
    }
  });

  test('of an official client that sends in its connect handler, in the name of its token', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    const inOrder = await connect(t, server.url, { auth: { token: alice.user.externalUserId } });
    const mine = collect(inOrder, 'new-message');
    inOrder.emit('new-message', chat.id, { msg: 'first' });
    await Promise.all([mine.until(1), alice.inbox.until(1)]);
    assert.deepEqual(mine, alice.inbox);
  });
});
