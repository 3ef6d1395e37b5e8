// @ts-check
// Owns the small talk of the tests: people with a connection, chats between them, and what was said and heard.
import { ask, collect, connect } from './socketio.mjs';

let made = 0;

/** An external id that no other test uses. */
export const uniqueName = (base) => `${base}-${++made}`;

/** A user with a connection, which collects what it hears. */
export async function person(owner, server, base, options) {
  const socket = await connect(owner, server.url, options);
  const { user } = await ask(socket, 'create-user', { user: { externalUserId: uniqueName(base) } });
  return as(socket, user);
}

/** One more connection of the same user. */
export async function alsoConnected(owner, server, { user }, options) {
  const socket = await connect(owner, server.url, options);
  await ask(socket, 'create-user', { user: { externalUserId: user.externalUserId } });
  return as(socket, user);
}

/** A connection that collects what this user hears. */
export const as = (socket, user) => ({ socket, user, id: user.id, inbox: collect(socket, 'new-message') });

/** Several users at once. */
export const people = (owner, server, ...bases) => Promise.all(bases.map((base) => person(owner, server, base)));

/** A chat of these people, made by the first of them. */
export async function chatOf(...members) {
  const { chat } = await ask(members[0].socket, 'create-chat', {
    chat: { name: 'a chat' }, users: members.map(({ id }) => id),
  });
  return chat;
}

/** Says something in a chat: the stored message. */
export const say = ({ socket }, chat, msg, more) => ask(socket, 'new-message', { room: chat.id, msg, ...more });

/** What a person has heard of a chat so far. */
export const heard = ({ inbox }, chat) => inbox.filter(({ room }) => room === chat.id);

/** The numbers of messages, and those that they should have. */
export const numbers = (messages) => messages.map(({ seq }) => seq);
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
 * Everyone hears one more message, in a chat of their own: what was under way to them before has arrived.
 * With this a test can say that something did not come, without guessing how long to wait for nothing.
 */
export async function settle(...everyone) {
  const chat = await chatOf(...everyone);
  const { id } = await say(everyone[0], chat, 'is anything still under way?');
  await Promise.all(everyone.map(async ({ inbox }) => {
    for (let count = 1; !inbox.some((message) => message.id === id); count = inbox.length + 1) await inbox.until(count);
  }));
}

/**
 * Says many things over one connection with at most `window` of them unanswered: the stored messages in order.
 */
export async function sayMany(speaker, chat, count, textOf, window = 200) {
  const stored = [];
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const index = next++;
      stored[index] = await say(speaker, chat, textOf(index));
    }
  };
  await Promise.all(Array.from({ length: window }, lane));
  return stored;
}

/** How many messages are under way at once. */
const LANES = 8;

/** Says one thing after the other, without a pause, until it is stopped; then it tells how many there are. */
export function flow(speaker, chat) {
  let flowing = true;
  let latest = 0;
  const lane = async () => {
    while (flowing) {
      const { seq } = await say(speaker, chat, 'and on it goes');
      latest = Math.max(latest, seq);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, lane));
  lanes.catch(() => {}); // whoever stops it hears
  return {
    get latest() { return latest; },
    stop: async () => {
      flowing = false;
      await lanes;
      return latest;
    },
  };
}

/** The numbers after `from`, so many. */
export const following = (from, count) => Array.from({ length: count }, (_, index) => from + index + 1);
