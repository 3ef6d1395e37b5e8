// @ts-check
// Owns clients that send mutated input: raw WebSockets whose every frame has an answer, and Socket.IO clients that break the
// framing on either transport.
import assert from 'node:assert/strict';
import { WebSocket } from 'ws';
import { RawPolling } from './engineio.mjs';
import { mangledFrame, mangledPacket } from '../data/mutations.mjs';
import { within } from '../harness/wait.mjs';

/** Sends many mangled frames and one that is whole: the frames before its answer. */
export async function answersToMangled({ wire }, frames, whole, count, random) {
  const before = wire.frames.length;
  for (let index = 0; index < count; index++) wire.sendText(mangledFrame(frames[index % frames.length], random));
  const last = await wire.ask(whole);
  const answers = wire.frames.slice(before);
  assert.equal(answers.at(-1), last);
  return answers.slice(0, -1);
}

/** How many packets such a client sends. */
const PACKETS = 40;

/** A WebSocket that sends mangled packets until it is closed or is done: how many. */
export async function badClient({ url }, random) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=${random.pick([4, 4, 4, 3])}&transport=websocket`);
  socket.on('error', () => {}); // the end reports it
  const ended = new Promise((resolve) => { socket.once('close', resolve); });
  await new Promise((resolve) => { socket.once('open', resolve); });
  if (random.below(4) > 0) socket.send('40');
  let sent = 0;
  for (; sent < PACKETS && socket.readyState === WebSocket.OPEN; sent++) {
    const text = mangledPacket(random);
    if (random.below(6) === 0) socket.send(Buffer.from(text), { binary: true });
    else socket.send(text);
    if (random.below(8) === 0) await new Promise((resolve) => { setImmediate(resolve); });
  }
  if (random.below(2) === 0) socket.close();
  else socket.terminate();
  await within(ended, () => 'the end of the connection');
  return sent;
}

/** A polling session that posts rubbish, which has an answer, whatever its status: how many packets. */
export async function badPollingClient({ url }, random) {
  const polling = await new RawPolling(url).open();
  await polling.post('40');
  let sent = 0;
  for (let posts = 0; posts < PACKETS / 4; posts++) {
    const packets = Array.from({ length: 1 + random.below(4) }, () => mangledPacket(random));
    const payload = packets.join(random.pick(['\x1e', '\x1e\x1e', '']));
    sent += packets.length;
    const { status } = await polling.post(payload);
    if (status !== 200) {
      assert.ok(status >= 400 && status < 500, `${status} for ${payload}`);
      break;
    }
  }
  return sent;
}
