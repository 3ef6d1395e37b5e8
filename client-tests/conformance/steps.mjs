// @ts-check
// Owns the steps that cases of Engine.IO and Socket.IO have in common: sessions of the subject that are connected, and whether
// they go on. Does not know the expected outcome.
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, upgrade } from '../clients/engineio-session.mjs';
import { connectRoot, createUser } from '../clients/engineio-steps.mjs';
import { chatOf, connectUsers, sendMessage, uniqueName } from '../clients/fixtures.mjs';
import { UPGRADE_LINES, exchange, head } from '../clients/tcp.mjs';
import { eventually } from '../harness/wait.mjs';
import { server } from './world.mjs';

export * from '../clients/engineio-steps.mjs';

export const PROTOCOLS = [4, 3];
export const HOST = 'Host: localhost';
export const NOOP = '6';
export const GOES_ON = 'the session goes on';
export const ENDS = 'the session ends';

/** The response to one request; `upgrades`: with the header lines of a WebSocket. */
export const ask = (t, target, { method = 'GET', lines = /** @type {string[]} */ ([]), upgrades = false } = {}) => (
  exchange(t, server, head(method, target, [HOST, ...lines, ...(upgrades ? UPGRADE_LINES : [])]))
);

/** The ways to have a session. */
export const TRANSPORTS = {
  'a WebSocket': (t, options) => WebSocketSession.open(t, server, options),
  polling: (t, options) => PollingSession.open(t, server, options),
  'a WebSocket after polling': async (t, options) => upgrade(t, server, await PollingSession.open(t, server, options)),
};

/** Sessions of a user, connected to `/`. */
export const polling = async (t, eio, options = {}) => (
  connectRoot(await PollingSession.open(t, server, { eio, token: uniqueName('bob'), ...options }))
);
export const socket = async (t, eio, options = {}) => (
  connectRoot(await WebSocketSession.open(t, server, { eio, token: uniqueName('bob'), ...options }))
);

/** A polling session of a chat's member; `write` sends a message into the chat. */
export async function member(t, eio) {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const session = await polling(t, eio, { token: bob.user.externalUserId });
  return { session, write: (text) => sendMessage(alice, chat, text) };
}

/** A user whose name makes the packet long. */
export const longUser = (ack, length) => {
  const empty = createUser(ack, '');
  return createUser(ack, 'x'.repeat(length - empty.length));
};

/** Whether a WebSocket goes on: a request, sent behind whatever is tested, is answered or the end comes. */
export async function fateOf(session) {
  await session.send(`${PACKET.event}98["list-chats",{}]`);
  const answered = () => session.packets.some((packet) => `${packet}`.startsWith(`${PACKET.ack}98[`));
  await eventually(() => answered() || session.end, 'an answer, or the end');
  return answered() ? GOES_ON : ENDS;
}

/** Whether a polling session goes on. */
export async function pollingFate(session) {
  const { status } = await session.post(`${PACKET.event}98["list-chats",{}]`);
  if (status !== 200) return ENDS;
  for (;;) {
    const { status: polled, packets } = await session.poll();
    if (polled !== 200 || packets.includes(PACKET.close)) return ENDS;
    if (packets.some((packet) => packet.startsWith(`${PACKET.ack}98[`))) return GOES_ON;
  }
}

/** The outcome for a WebSocket that sends these packets. */
export async function fateAfter(session, ...packets) {
  await session.send(...packets);
  return fateOf(session);
}

/** A response in words: its status, and its code if it has one. */
export function inWords(response) {
  if (response === undefined) return 'no response';
  const code = /^\{"code":(\d),"message":"([^"]*)"\}$/.exec(response.body);
  return code ? `${response.status}, code ${code[1]}` : `${response.status}`;
}
