// @ts-check
// Owns the steps that tests of Engine.IO and Socket.IO by hand have in common: sending in a session, and waiting for
// packets. Does not know where the server is.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET, eventBody } from './engineio.mjs';
import { WebSocketSession } from './engineio-session.mjs';
import { uniqueName } from './fixtures.mjs';
import { OPCODE, frame } from './tcp.mjs';

/** The error about a session that there is not. */
export const NO_SESSION = { code: 1, message: 'Session ID unknown' };

/** Longer than an answer takes that is not held back, or the server needs to notice an end. */
export const MOMENT_MS = 300;
export const moment = () => sleep(MOMENT_MS);

/** Connects to the namespace `/`, which protocol 3 does without a CONNECT. */
export async function connectRoot(session) {
  if (session.eio === 4) await session.send(PACKET.connect);
  await session.packet(PACKET.connect);
  return session;
}

/** Whether a poll is still waiting after a moment. */
export const isHeld = (poll) => Promise.race([poll.then(() => false), sleep(MOMENT_MS, true)]);

/** The texts of the messages in these packets. */
export const textsIn = (packets) => packets.map((packet) => eventBody(packet, 'new-message')?.msg).filter(Boolean);

/** The packet of a request with an ack id, in a namespace that is given with its comma. */
export const createUser = (ack, name = uniqueName('user'), namespace = '') => (
  `${PACKET.event}${namespace}${ack}${JSON.stringify(['create-user', { user: { externalUserId: name } }])}`
);

/** The session answers a request. */
export const assertAlive = (session, namespace = '') => (
  sendAndAwait(session, `${PACKET.ack}${namespace}99[`, `${PACKET.event}${namespace}99["list-chats",{}]`)
);

/** The session has ended: polls and bodies are refused. */
export async function assertSessionOver(session) {
  for (const response of [await session.poll(), await session.post('42["list-chats",{}]')]) {
    assert.equal(response.status, 400, response.body);
    assert.deepEqual(JSON.parse(response.body), NO_SESSION);
  }
}

const startingWith = (session, prefix) => session.packets.filter((packet) => `${packet}`.startsWith(prefix));
export const countOf = (session, prefix) => startingWith(session, prefix).length;

/** Waits for one more packet with this prefix than `earlier`: that packet. */
export async function awaitOneMore(session, prefix, earlier) {
  const enough = () => countOf(session, prefix) > earlier;
  if (session instanceof WebSocketSession) await session.until(enough, `${prefix}… number ${earlier + 1}`);
  else for (let polls = 0; !enough(); polls++) {
    assert.ok(polls < 20, `no ${prefix}… number ${earlier + 1}`);
    assert.equal((await session.poll()).status, 200);
  }
  return startingWith(session, prefix).at(-1);
}

/** Sends packets and waits for one more packet with this prefix: that packet. */
export async function sendAndAwait(session, prefix, ...packets) {
  const earlier = countOf(session, prefix);
  await session.send(...packets);
  return awaitOneMore(session, prefix, earlier);
}

/** Text frames in one TCP segment. */
export const inOneSegment = (session, ...packets) => {
  session.tcp.write(Buffer.concat(packets.map((packet) => frame(packet, { opcode: OPCODE.text }))));
};
