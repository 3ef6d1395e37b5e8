// @ts-check
// Owns the promise that a client which breaks Engine.IO's or Socket.IO's own framing affects only itself: the process
// stays up, other clients are not affected, and its memory is released.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatOf, connectUser, connectUsers, flushInboxes, received, sendMessage, seqsOf, upTo } from '../clients/fixtures.mjs';
import { badClient, badPollingClient } from '../clients/malformed.mjs';
import { Backend } from '../clients/rest.mjs';
import { seededRandom } from '../harness/random.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const SEED = Number(process.env.POLYCHAT_FUZZ_SEED ?? 20261122);
const CONNECTIONS = 150;

/** The connections that fetch of Node.js keeps for later. */
const KEPT_ALIVE = 5;
const MIB = 1024 * 1024;

test(`whatever packets come, others go on and nothing is left of it (seed ${SEED})`, async (t) => {
  const server = await startServer(t);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const random = seededRandom(SEED);
  const rampage = async () => {
    for (let count = 0; count < CONNECTIONS; count++) {
      await (count % 5 === 4 ? badPollingClient : badClient)(server, random);
      if (count % 10 === 0) await sendMessage(alice, chat, `still here ${count}`);
    }
  };
  const sockets = server.openSockets();
  await rampage();
  const { now: settledAt } = server.memory();
  await rampage();
  await flushInboxes(alice, bob);
  const sent = received(bob, chat);
  assert.deepEqual(seqsOf(sent), upTo(2 * CONNECTIONS / 10));
  assert.deepEqual(received(alice, chat), sent);
  assert.ok(alice.socket.connected && bob.socket.connected);
  await connectUser(t, server, 'newcomer');
  await eventually(() => server.openSockets() <= sockets + KEPT_ALIVE, `no more than ${sockets} sockets are open`);
  // The second round needed no more memory than the first.
  assert.ok(server.memory().now < settledAt + 32 * MIB, `${settledAt} grew to ${server.memory().now}`);
  const { chats } = await new Backend(server).get('/chats');
  assert.deepEqual(chats.length, 2, 'a vandal made a chat');
});
