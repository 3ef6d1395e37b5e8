// @ts-check
// Owns the promise that a client which breaks Engine.IO's or Socket.IO's own framing affects only itself: the process
// stays up, other clients are not affected, and its memory is released.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import { RawPolling } from '../clients/engineio.mjs';
import { chatOf, connectUser, connectUsers, flushInboxes, received, sendMessage, seqsOf, upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { seededRandom } from '../harness/random.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

const SEED = Number(process.env.POLYCHAT_FUZZ_SEED ?? 20261122);
const CONNECTIONS = 150;
const PACKETS = 40;

/** The connections that fetch of Node.js keeps for later. */
const KEPT_ALIVE = 5;
const MIB = 1024 * 1024;

const ID = '01890000-0000-7000-8000-000000000000';

/** Valid packets, and invalid ones. */
const SEEDS = [
  '40', '40{"token":"anna"}', '40/events,{"token":"anna"}', '40/nowhere,', '41', '41/events,', '2', '3', '6', '2probe', '5',
  '420["create-user",{"user":{"externalUserId":"vandal"}}]', `427["new-message",{"room":"${ID}","msg":"x"}]`,
  `42["list-messages",{"chat":{"id":"${ID}"}}]`, '42/events,3["open_chat",{"eventId":1}]',
  `42/events,["send_message",{"chatId":"${ID}","message":{"text":"x","photos":["a"]}}]`, '430[]', '43/events,1["x"]',
  '44{"message":"no"}', '451-["new-message",{"_placeholder":true,"num":0}]', '452-/events,7["open_chat",{"num":-1}]',
  '451-["x",{"_placeholder":true,"num":99999999999}]', '461-3[{"_placeholder":true,"num":0}]', '4', '45', '450-["x"]',
  '4599999999999999999999-["x",{}]', '42/events', '42/,["x"]', `42/${'n'.repeat(300)},["x"]`, `42${'9'.repeat(40)}["x"]`,
  `42["x",${'['.repeat(400)}${']'.repeat(400)}]`, 'b4AAAA', 'bAAA=', '\u0000', '😀',
];

const PIECES = ['', '"', '[', ']', '{', '}', ',', '/', '-', '4', '5', '1', '\\', '\u0000', '\x1e', 'b', '_placeholder'];

/** A packet with a piece cut out, doubled or put in. */
function mangled({ below, pick }) {
  let text = pick(SEEDS);
  for (let times = below(3); times > 0; times--) {
    const start = below(text.length + 1);
    const end = Math.min(text.length, start + below(6));
    text = text.slice(0, start) + pick([pick(PIECES), text.slice(start, end).repeat(2)]) + text.slice(pick([start, end]));
  }
  return text;
}

/** A WebSocket that sends mangled packets until it is closed or is done. */
async function badClient({ url }, random) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=${random.pick([4, 4, 4, 3])}&transport=websocket`);
  socket.on('error', () => {}); // the end reports it
  const ended = new Promise((resolve) => { socket.once('close', resolve); });
  await new Promise((resolve) => { socket.once('open', resolve); });
  if (random.below(4) > 0) socket.send('40');
  for (let packets = PACKETS; packets > 0 && socket.readyState === WebSocket.OPEN; packets--) {
    const text = mangled(random);
    if (random.below(6) === 0) socket.send(Buffer.from(text), { binary: true });
    else socket.send(text);
    if (random.below(8) === 0) await new Promise((resolve) => { setImmediate(resolve); });
  }
  if (random.below(2) === 0) socket.close();
  else socket.terminate();
  await within(ended, () => 'the end of the vandal');
}

/** A polling session that posts rubbish: whatever its status, it has an answer. */
async function badPollingClient({ url }, random) {
  const polling = await new RawPolling(url).open();
  await polling.post('40');
  for (let posts = 0; posts < PACKETS / 4; posts++) {
    const payload = Array.from({ length: 1 + random.below(4) }, () => mangled(random)).join(random.pick(['\x1e', '\x1e\x1e', '']));
    const { status } = await polling.post(payload);
    if (status !== 200) {
      assert.ok(status >= 400 && status < 500, `${status} for ${payload}`);
      return;
    }
  }
}

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
