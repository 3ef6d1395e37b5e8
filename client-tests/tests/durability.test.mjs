// @ts-check
// Owns the central promise: an acknowledged message is never lost, however the server ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger, assertKept } from '../chaos/ledger.mjs';
import { startWriters, storedByText } from '../chaos/scenario.mjs';
import { chatOf, connectUsers, fullHistory, sendMessage } from '../clients/fixtures.mjs';
import { TRANSPORT_LOST, ask, connect } from '../clients/socketio.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;

/** Starts a server on one port and one store, any number of times. */
async function restartable(t) {
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(t)).store];
  return () => startServer(t, args);
}

const everyoneIsConnected = (writers) => (
  eventually(() => writers.every(({ connected }) => connected), 'every client is connected', PATIENCE_MS)
);

/** Clients reconnect after a lost transport, but not after a DISCONNECT. */
function assertTransportsLost({ losses }) {
  for (const reason of losses) assert.match(reason, TRANSPORT_LOST);
}

test('a restart keeps users, chats, members and messages', async (t) => {
  const open = await restartable(t);
  const server = await open();
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const stored = [await sendMessage(alice, chat, 'one'), await sendMessage(bob, chat, 'two', { client_id: 'c-2', type: 'image' })];
  assert.deepEqual(await server.stop(), { code: 0, signal: null });

  const again = await open();
  const socket = await connect(t, again.url);
  const { user } = await ask(socket, 'create-user', { user: { externalUserId: bob.user.externalUserId } });
  assert.deepEqual(user, bob.user);
  const { chats } = await ask(socket, 'list-chats', {});
  assert.deepEqual(chats.map(({ id, users }) => ({ id, users })), [{ id: chat.id, users: [alice.id, bob.id] }]);
  assert.deepEqual(await fullHistory({ socket }, chat), stored);

  assert.deepEqual(await sendMessage({ socket }, chat, 'two', { client_id: 'c-2' }), stored[1]);
  assert.equal((await sendMessage({ socket }, chat, 'three')).seq, 3);
});

test('kill -9 under load, five times: every acknowledged message is there exactly once', async (t) => {
  const open = await restartable(t);
  let server = await open();
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  let going = true;
  const work = Promise.all(writers.map((writer) => writer.sendWhile(() => going)));
  work.catch(() => {}); // awaited below

  for (let kills = 0; kills < 5; kills++) {
    await ledger.until(ledger.acknowledged.size + 300, PATIENCE_MS);
    await everyoneIsConnected(writers);
    await server.kill();
    server = await open();
  }
  await ledger.until(ledger.acknowledged.size + 300, PATIENCE_MS);
  going = false;
  await work;

  const stored = await storedByText(t, server, users[0], chats);
  assertKept(ledger, stored);
  assert.equal(stored.size, ledger.acknowledged.size, 'every message was retried until it was acknowledged');
  assert.ok(ledger.losses.length >= 5 * writers.length, 'every writer lived through every kill');
  assertTransportsLost(ledger);
});

test('SIGTERM under load: exit 0, nothing acknowledged is lost, clients come back and can retry', async (t) => {
  const open = await restartable(t);
  const server = await open();
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  const window = Array.from({ length: 8 });
  const work = Promise.all(writers.flatMap((writer) => window.map(() => writer.sendOnce(100_000))));

  await ledger.until(1000, PATIENCE_MS);
  assert.deepEqual(await server.stop(), { code: 0, signal: null });
  await work;
  await eventually(() => ledger.losses.length >= writers.length, 'every client has lost its transport');
  assertTransportsLost(ledger);

  const again = await open();
  const stored = await storedByText(t, again, users[0], chats);
  assertKept(ledger, stored);
  for (const { sent, error } of ledger.refused.values()) {
    assert.equal(error.code, 'unavailable');
    assert.ok(!stored.has(sent.msg), `'${sent.msg}' was refused, and stored`);
  }

  await everyoneIsConnected(writers);
  await ledger.retry();
  const everything = await storedByText(t, again, users[0], chats);
  assertKept(ledger, everything);
  assert.equal(everything.size, ledger.acknowledged.size, 'nothing was stored twice, or without an acknowledgement');
  assert.equal(ledger.refused.size + ledger.unanswered.size, 0);
});
