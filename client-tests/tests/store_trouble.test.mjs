// @ts-check
// Owns the promise about a store that stops answering: sends wait or are refused, nothing is half done, and the server
// reports its health and shuts down in order all the same.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import {
  chatOf, connectAgain, connectUsers, flushInboxes, received, history, sendMessage, sendMany, seqsOf, upTo,
} from '../clients/fixtures.mjs';
import { arrival, ask, connectRefused, refusal } from '../clients/socketio.mjs';
import { probe } from '../harness/http.mjs';
import { slowDisk } from '../harness/preload.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { lockStore, transactions } from '../harness/store-lock.mjs';
import { eventually } from '../harness/wait.mjs';

/** How long the server waits for the store before it reports that it is not ready. */
const READY_MS = 2000;

/** Enough for several of the store's attempts. */
const PATIENCE_MS = 30_000;

/** How long the store tries to get a lock: a call that ends sooner has not waited for it. */
const BUSY_MS = 5000;

/** Two members of a chat with one message, on a server whose store can be locked. */
async function startScene(t, ...args) {
  const { path, store } = await storeFile(t);
  const server = await startServer(t, ['--store', store, ...args]);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  return { path, server, alice, bob, chat, first: await sendMessage(alice, chat, 'first') };
}

/** A promise that nobody awaits yet, and whether it is settled. */
function underWay(promise) {
  const state = { promise, settled: false };
  const settled = () => { state.settled = true; };
  promise.then(settled, settled);
  return state;
}

/** The duration, in milliseconds. */
async function duration(promise) {
  const start = Date.now();
  await promise;
  return Date.now() - start;
}

const isReady = async ({ url }) => (await probe(`${url}/readyz`)).status === 200;

describe('while somebody else has locked the store', () => {
  test('the server is alive, not ready with a reason, and reads; a send waits for the release', async (t) => {
    const { path, server, alice, bob, chat, first } = await startScene(t);
    const lock = await lockStore(t, path);
    const sending = underWay(sendMessage(alice, chat, 'second'));

    assert.equal((await probe(`${server.url}/livez`)).status, 200);
    assert.deepEqual(await history(bob, chat), [first]);
    const readiness = probe(`${server.url}/readyz`);
    assert.ok(await duration(readiness) < READY_MS + 1500);
    const { status, body } = await readiness;
    assert.equal(status, 503);
    assert.match(body, /store/);
    assert.equal((await probe(`${server.url}/livez`)).status, 200);
    assert.ok(!sending.settled, 'the send was answered while the store was locked');

    await lock.release();
    const second = await sending.promise;
    assert.equal(second.seq, 2);
    await eventually(() => isReady(server), 'the server is ready again');
    await bob.inbox.until(2);
    assert.deepEqual([...bob.inbox], [first, second]);
  });

  test('a send that waits in vain is refused as unavailable, stores nothing, and may be sent again', async (t) => {
    const { path, alice, bob, chat, first } = await startScene(t);
    const lock = await lockStore(t, path);
    const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg: 'second', client_id: 'once' });
    assert.equal(error.code, 'unavailable');
    assert.match(error.message, /store/);
    assert.deepEqual(await history(bob, chat), [first]);

    await lock.release();
    const sent = [first, await sendMessage(alice, chat, 'second', { client_id: 'once' }), await sendMessage(bob, chat, 'third')];
    assert.deepEqual(seqsOf(sent), upTo(3));
    await flushInboxes(alice, bob);
    for (const member of [alice, bob]) assert.deepEqual(received(member, chat), sent);
    assert.deepEqual(await history(bob, chat), sent);
  });

  test('a send is refused no later because many have asked whether the server is ready', async (t) => {
    const { path, server, alice, chat } = await startScene(t);
    await lockStore(t, path);
    const asked = await Promise.all(upTo(6).map(() => probe(`${server.url}/readyz`)));
    assert.deepEqual(new Set(asked.map(({ status }) => status)), new Set([503]));
    const error = await refusal(alice.socket, 'new-message', { room: chat.id, msg: 'second' });
    assert.equal(error.code, 'unavailable');
  });

  test('what was refused as unavailable is not done later', async (t) => {
    const { path, store } = await storeFile(t);
    const server = await startServer(t, ['--store', store]);
    const everyone = await connectUsers(t, server, 'alice', 'bob', 'carol');
    const lock = await lockStore(t, path);
    const answers = await Promise.all(everyone.map(({ socket, id }) => (
      socket.timeout(PATIENCE_MS).emitWithAck('create-chat', { chat: { name: 'Tea' }, users: [id] })
    )));
    await lock.release();
    assert.deepEqual(answers.map(({ error }) => error?.code), ['unavailable', 'unavailable', 'unavailable']);
    for (const each of everyone) {
      const chat = await chatOf(each);
      assert.deepEqual((await ask(each.socket, 'list-chats', {})).chats.map(({ id }) => id), [chat.id]);
    }
  });
});

test('a flood that cannot be stored for a while is held back, and stored in its order afterwards', async (t) => {
  const count = 10_000;
  const { path, server, alice, chat } = await startScene(t);
  const lock = await lockStore(t, path);
  const sending = sendMany(alice, chat, count, (index) => `${index}`, count);
  sending.catch(() => {}); // awaited below
  assert.ok(!await isReady(server)); // answered after two seconds, in which a server that reads on has read all
  await lock.release();
  const sent = await sending;
  assert.deepEqual(seqsOf(sent), upTo(count + 1).slice(1));
  assert.deepEqual(sent.map(({ msg }) => msg), sent.map((_, index) => `${index}`));
});

describe('while the disk has not confirmed what is written', () => {
  test('nothing is acknowledged, and afterwards it is', async (t) => {
    const disk = await slowDisk(t);
    const { path, store } = await storeFile(t);
    const server = await startServer(t, ['--store', store], { env: disk.env });
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const first = await sendMessage(alice, chat, 'first');

    await disk.stall();
    const sending = underWay(sendMessage(alice, chat, 'second'));
    await disk.waitsFor(`${path}-wal`);
    await history(bob, chat);
    assert.ok(!sending.settled, 'acknowledged before the disk has it');
    assert.deepEqual(received(bob, chat), [first], 'delivered before it is durable');
    await disk.goOn();
    assert.equal((await sending.promise).seq, 2);
    await bob.inbox.until(2);
  });
});

test('200 messages that wait for the store together share a few transactions', async (t) => {
  const { path, store } = await storeFile(t);
  const before = await startServer(t, ['--store', store]);
  const users = await connectUsers(t, before, ...upTo(50).map((index) => `sender-${index}`));
  const chat = await chatOf(...users);
  await before.stop(); // so that the log of transactions begins anew, and has room for all that follows

  const server = await startServer(t, ['--store', store]);
  const senders = await Promise.all(users.map((user) => connectAgain(t, server, user)));
  const start = transactions(path);
  for (let turn = 0; turn < 40; turn++) await sendMessage(senders[0], chat, `alone ${turn}`);
  const alone = transactions(path);
  assert.equal(alone.count - start.count, 40, 'each message that is awaited has a transaction of its own');

  const lock = await lockStore(t, path);
  const sending = Promise.all(senders.flatMap((sender, who) => (
    upTo(4).map((turn) => sendMessage(sender, chat, `${who}/${turn}`))
  )));
  sending.catch(() => {}); // awaited below
  assert.ok(!await isReady(server)); // answered after two seconds: by then all messages have arrived
  await lock.release();
  const sent = await sending;
  const together = transactions(path);

  assert.deepEqual(seqsOf(sent).toSorted((a, b) => a - b), upTo(240).slice(40));
  assert.equal(together.age, start.age, 'the log of transactions began anew: more was written than it has room for');
  const shared = together.count - alone.count;
  assert.ok(shared <= 200 / 10, `${shared} transactions for 200 messages`);
});

describe('SIGTERM while a send waits for a locked store', () => {
  /** A server that is shutting down, and a send that it waits for. */
  async function ending(t, ...args) {
    const { path, server, alice, bob, chat } = await startScene(t, ...args);
    const lock = await lockStore(t, path);
    const sending = underWay(sendMessage(alice, chat, 'the last'));
    await arrival(alice.socket);
    const reading = await history(bob, chat);
    assert.equal(reading.length, 1);
    const ended = underWay(server.stop());
    return { server, bob, chat, lock, sending, ended };
  }

  const handshake = ({ url }) => probe(`${url}/socket.io/?EIO=4&transport=polling`);

  test('refuses what is new, finishes what is under way, and ends well', async (t) => {
    const { server, bob, chat, lock, sending, ended } = await ending(t);
    await eventually(async () => (await handshake(server)).status === 503, 'a handshake is refused', READY_MS);
    const readiness = probe(`${server.url}/readyz`);
    assert.ok(await duration(readiness) < READY_MS, 'the store was asked first');
    const { status, body } = await readiness;
    assert.equal(status, 503);
    assert.match(body, /shutting down/);
    await connectRefused(t, server.url);
    const error = await refusal(bob.socket, 'new-message', { room: chat.id, msg: 'too late' });
    assert.equal(error.code, 'unavailable');
    await setTimeout(3000); // longer than it waits for anything else
    assert.ok(!sending.settled, 'the send was answered while the store was locked');
    assert.ok(!ended.settled, 'the server did not wait for the send');

    await lock.release();
    assert.equal((await sending.promise).seq, 2);
    assert.deepEqual(await ended.promise, { code: 0, signal: null });
  });

  test('ends at once, and not well, when it comes a second time', async (t) => {
    const { server, sending, ended } = await ending(t);
    await eventually(async () => (await handshake(server)).status === 503, 'the first signal has arrived', READY_MS);
    assert.ok(await duration(server.stop()) < READY_MS);
    const { code, signal } = await ended.promise;
    assert.equal(signal, null);
    assert.notEqual(code, 0);
    assert.ok(!sending.settled, 'the send was answered');
  });

  test('ends within --shutdown-timeout, though the store does not answer', async (t) => {
    const { ended } = await ending(t, '--shutdown-timeout', '1s');
    const took = await duration(ended.promise);
    assert.ok(took < BUSY_MS - 1000, `${took} ms`);
  });
});
