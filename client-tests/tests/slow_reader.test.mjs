// @ts-check
// Owns the promise about slow readers: they are disconnected, and cost the others and the server nothing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient, RawPolling, eventBody } from '../clients/engineio.mjs';
import {
  chatOf, connectAgain, connectUsers, fullHistory, history, sendMessage, sendMany, seqsOf, upTo,
} from '../clients/fixtures.mjs';
import { TRANSPORT_LOST, connect, nextEvent } from '../clients/socketio.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

const MOST_MEMORY = 64 * 1024 * 1024;
const PATIENCE_MS = 60_000;

const kilobyte = (index) => `${index} `.padEnd(1000, 'x');

/** The numbers of the messages in some packets. */
const seqsIn = (packets) => seqsOf(packets.map((packet) => eventBody(packet, 'new-message')).filter(Boolean));

test('a slow reader is cut off and the others lose nothing', async (t) => {
  const count = 20_000;
  const server = await startServer(t);
  const [alice, bob, sleeper] = await connectUsers(t, server, 'alice', 'bob', 'sleeper');
  const chat = await chatOf(alice, bob, sleeper);
  const withSleeper = server.openSockets();
  sleeper.socket.close();
  await eventually(() => server.openSockets() < withSleeper, 'the sleeper has left');
  const others = server.openSockets();

  const stalled = await new RawClient(t, server.url).becomes(sleeper);
  stalled.pause();
  const before = server.memory().now;
  const sent = await sendMany(alice, chat, count, kilobyte);
  await bob.inbox.until(count, PATIENCE_MS);

  assert.deepEqual(seqsOf(bob.inbox), upTo(count));
  assert.deepEqual([...bob.inbox], sent);
  await eventually(() => server.openSockets() <= others, 'the server lets go of the stalled connection');
  const growth = server.memory().peak - before;
  assert.ok(growth < MOST_MEMORY, `the server grew by ${growth} bytes`);

  stalled.resume();
  await within(stalled.closed, () => 'the end of the stalled connection', PATIENCE_MS);
  const seqs = seqsIn(stalled.received);
  assert.ok(seqs.length < count, 'the stalled connection received everything');
  assert.deepEqual(seqs, upTo(seqs.length), 'nothing is missing before the cut');
  await sendMessage(alice, chat, 'life goes on');
  await bob.inbox.until(count + 1);
});

test('an official client that was disconnected reconnects and can request what it missed', async (t) => {
  const server = await startServer(t, ['--max-outbox-bytes', '262144']);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const socket = await connect(t, server.url, {
    auth: { token: bob.user.externalUserId }, reconnection: true, reconnectionDelay: 100,
  });
  const transport = socket.io.engine.transport.ws;
  const lost = nextEvent(socket, 'disconnect', PATIENCE_MS);
  const back = lost.then(() => nextEvent(socket, 'connect', PATIENCE_MS));

  transport.pause();
  const sockets = server.openSockets();
  const sent = await sendMany(alice, chat, 12_000, kilobyte, 50);
  await eventually(() => server.openSockets() < sockets, 'the server lets go of the stalled client');
  transport.resume();
  assert.match(await lost, TRANSPORT_LOST);
  await back;

  const again = { socket };
  assert.deepEqual(await history(again, chat, { after_seq: 11_990 }), sent.slice(11_990));
  assert.deepEqual(seqsOf(await fullHistory(again, chat)), upTo(12_000));
  const seqs = nextEvent(socket, 'new-message');
  const greeting = await sendMessage(alice, chat, 'welcome back');
  assert.deepEqual(await seqs, greeting);
});

test('a client that stops polling never finds a gap: its session ends instead', async (t) => {
  const count = 3000;
  const server = await startServer(t, ['--max-outbox-bytes', '262144']);
  const [alice, bob, sleeper] = await connectUsers(t, server, 'alice', 'bob', 'sleeper');
  const chat = await chatOf(alice, bob, sleeper);
  const stalled = await (await new RawPolling(server.url).open()).becomes(sleeper);

  await sendMany(alice, chat, count, kilobyte, 50);
  await bob.inbox.until(count, PATIENCE_MS);
  assert.deepEqual(seqsOf(bob.inbox), upTo(count));

  const received = [];
  let ended = false;
  for (let polls = 0; polls < count && !ended; polls++) {
    const { status, packets } = await stalled.poll();
    received.push(...packets);
    ended = status !== 200;
  }
  assert.ok(ended, 'the session went on');
  const seqs = seqsIn(received);
  assert.ok(seqs.length < count, 'everything was kept for it');
  assert.deepEqual(seqs, upTo(seqs.length));

  const back = await connectAgain(t, server, sleeper, { transports: ['polling'] });
  assert.deepEqual(seqsOf(await fullHistory(back, chat)), upTo(count));
});

test('a reader that is merely busy for a while receives everything', async (t) => {
  const server = await startServer(t);
  const [alice, sleeper] = await connectUsers(t, server, 'alice', 'sleeper');
  const chat = await chatOf(alice, sleeper);
  const busy = await new RawClient(t, server.url).becomes(sleeper);
  busy.pause();
  await sendMany(alice, chat, 200, kilobyte);
  busy.resume();
  await eventually(() => seqsIn(busy.received).length >= 200, 'the busy reader has received everything');
  assert.deepEqual(seqsIn(busy.received), upTo(200));
});

describe('slow readers cost the server little memory, however many there are', () => {
  const readers = {
    'that stop reading': async (t, server, user) => {
      const client = await new RawClient(t, server.url).becomes(user);
      client.pause();
    },
    'that stop polling': async (t, server, user) => {
      await (await new RawPolling(server.url).open()).becomes(user);
    },
  };
  for (const [what, stall] of Object.entries(readers)) {
    test(what, async (t) => {
      const count = 2000;
      const server = await startServer(t);
      const [alice, sleeper] = await connectUsers(t, server, 'alice', 'sleeper');
      const chat = await chatOf(alice, sleeper);
      sleeper.socket.close();
      for (let stalled = 0; stalled < 16; stalled++) await stall(t, server, sleeper);
      const before = server.memory().now;
      await sendMany(alice, chat, count, (index) => `${index} `.padEnd(16_000, 'x'), 10);
      const growth = server.memory().peak - before;
      assert.ok(growth < MOST_MEMORY, `the server grew by ${growth} bytes`);
    });
  }
});

test('who does read is not cut off, however much is said at once', async (t) => {
  // The server writes far more in one batch than may wait for one connection, but less than the sockets' buffers hold: the
  // second that it waits for a reader is not this process's, which may not get the processor.
  const server = await startServer(t, ['--max-outbox-messages', '20']);
  const senders = await connectUsers(t, server, 'alice', 'bob', 'carol', 'dave');
  const lost = [];
  for (const { socket } of senders) socket.on('disconnect', (reason) => lost.push(reason));
  const chat = await chatOf(...senders);
  const textOf = (index) => `message ${index}`;
  const sent = await Promise.all(senders.map((sender) => sendMany(sender, chat, 50, textOf, 50)));
  for (const { inbox } of senders) {
    await inbox.until(200, PATIENCE_MS);
    assert.deepEqual(seqsOf(inbox), upTo(200));
  }
  assert.equal(sent.flat().length, 200);
  assert.deepEqual(lost, []);
});

test('readers that come and go while others talk cost nobody a message', async (t) => {
  const count = 2000;
  const server = await startServer(t);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  let writing = true;
  const passersBy = (async () => {
    for (let visits = 0; writing && visits < 1000; visits++) {
      const connection = await connectAgain(t, server, bob);
      connection.socket.close();
    }
  })();
  await sendMany(alice, chat, count, kilobyte, 20);
  writing = false;
  await passersBy;
  await bob.inbox.until(count, PATIENCE_MS);
  assert.deepEqual(seqsOf(bob.inbox), upTo(count));
});
