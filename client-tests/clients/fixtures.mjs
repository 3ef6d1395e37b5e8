// @ts-check
// Owns the fixtures of the event-name dialect: connected users, chats, and the messages that they send and receive.
import { ask, collect, connect } from './socketio.mjs';

let made = 0;

/** An external id that no other test uses. */
export const uniqueName = (base) => `${base}-${++made}`;

/** A new user with a connection, whose inbox collects the messages that it receives. */
export async function connectUser(owner, server, base, options) {
  const socket = await connect(owner, server.url, options);
  const { user } = await ask(socket, 'create-user', { user: { externalUserId: uniqueName(base) } });
  return withInbox(socket, user);
}

/** Another connection of the same user. */
export async function connectAgain(owner, server, { user }, options) {
  const socket = await connect(owner, server.url, options);
  await ask(socket, 'create-user', { user: { externalUserId: user.externalUserId } });
  return withInbox(socket, user);
}

/** Adds an inbox to a connection of this user. */
export const withInbox = (socket, user) => ({ socket, user, id: user.id, inbox: collect(socket, 'new-message') });

/** Several new users. */
export const connectUsers = (owner, server, ...bases) => Promise.all(bases.map((base) => connectUser(owner, server, base)));

/** A chat with these users, created by the first. */
export async function chatOf(...members) {
  const { chat } = await ask(members[0].socket, 'create-chat', {
    chat: { name: 'a chat' }, users: members.map(({ id }) => id),
  });
  return chat;
}

/** Sends a message: the stored message. */
export const sendMessage = ({ socket }, chat, msg, more) => ask(socket, 'new-message', { room: chat.id, msg, ...more });

/** The messages of a chat that a user has received so far. */
export const received = ({ inbox }, chat) => inbox.filter(({ room }) => room === chat.id);

/** The seqs of messages, and the seqs from 1 to `count`. */
export const seqsOf = (messages) => messages.map(({ seq }) => seq);
export const upTo = (count) => Array.from({ length: count }, (_, index) => index + 1);

/** The stored messages of a chat. */
export async function history({ socket }, chat, query) {
  const { messages } = await ask(socket, 'list-messages', { chat: { id: chat.id }, query });
  return messages;
}

/** All messages of a chat, however many, page by page. */
export async function fullHistory({ socket }, chat) {
  const all = [];
  for (;;) {
    const after_seq = all.at(-1)?.seq ?? 0;
    const page = await ask(socket, 'list-messages', { chat: { id: chat.id }, query: { after_seq } });
    all.push(...page.messages);
    if (!page.has_more || page.messages.length === 0) return all;
  }
}

/**
 * Sends one more message to everyone, in a new chat, and waits until all have it: everything sent before has arrived.
 * So a test can state that something was not delivered without guessing how long to wait.
 */
export async function flushInboxes(...everyone) {
  const chat = await chatOf(...everyone);
  const { id } = await sendMessage(everyone[0], chat, 'is anything still under way?');
  await Promise.all(everyone.map(async ({ inbox }) => {
    for (let count = 1; !inbox.some((message) => message.id === id); count = inbox.length + 1) await inbox.until(count);
  }));
}

/**
 * Sends many messages over one connection with at most `window` of them unanswered: the stored messages in order.
 */
export async function sendMany(sender, chat, count, textOf, window = 200) {
  const stored = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      stored[index] = await sendMessage(sender, chat, textOf(index));
    }
  };
  await Promise.all(Array.from({ length: window }, lane));
  return stored;
}

/** How many messages are in flight at once. */
const LANES = 8;

/** Sends messages without a pause until `stop()`, which returns the last seq. */
export function startTraffic(sender, chat) {
  let flowing = true;
  let latest = 0;
  const lane = async () => {
    while (flowing) {
      const { seq } = await sendMessage(sender, chat, 'and on it goes');
      latest = Math.max(latest, seq);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, lane));
  lanes.catch(() => {}); // `stop()` reports it
  return {
    get latest() { return latest; },
    stop: async () => {
      flowing = false;
      await lanes;
      return latest;
    },
  };
}

/** The `count` seqs after `from`. */
export const seqsAfter = (from, count) => Array.from({ length: count }, (_, index) => from + index + 1);
