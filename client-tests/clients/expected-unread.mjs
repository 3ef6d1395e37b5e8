// @ts-check
// Owns the expected messages and unread counts of an event's chat, computed from its stored messages and from the read
// requests, and the comparison with the state of connections.
import assert from 'node:assert/strict';
import { frontEnd } from './marketplace.mjs';

/** All messages of a chat as they are stored, oldest first. */
export async function storedMessages(host, chatId) {
  return (await host.all(`/chats/${chatId}/messages?after_seq=0`, 'messages', 1000)).flat();
}

/**
 * How many messages are unread on each side: only sending and reading move a side's position. `read` is, by user id, the
 * seq up to which a side has read.
 */
export function unreadCounts(messages, { owner, guest }, read = {}) {
  const unread = ({ id }) => {
    const own = messages.findLast(({ user_id }) => user_id === id)?.seq ?? 0;
    return messages.length - Math.max(own, read[id] ?? 0);
  };
  return { [owner.id]: unread(owner), [guest.id]: unread(guest) };
}

/** `[mine, the interlocutor's]` from a user's point of view. */
export function countsFor(user, unread) {
  const [other] = Object.keys(unread).filter((id) => id !== user.id);
  return [unread[user.id], unread[other]];
}

/** Waits until a connection shows these counts and this many messages in a chat. */
export function untilShown(connection, chatId, messages, unread, ms) {
  const [mine, other] = countsFor(connection.user, unread);
  const fits = () => {
    const [shownMine, shownOther] = frontEnd(connection).counts(chatId) ?? [];
    return frontEnd(connection).head(chatId) === messages.length && shownMine === mine && shownOther === other;
  };
  const delivered = () => `${messages.length} messages and the counts ${mine}, ${other} in ${chatId}; it shows ${
    frontEnd(connection).head(chatId)} and ${frontEnd(connection).counts(chatId)}`;
  return connection.until(fits, delivered(), ms).catch((error) => { throw new Error(`${error.message}\n${delivered()}`); });
}

/** Loads the history before the messages that a connection shows, page by page to the first message. */
async function completed(connection, chatId) {
  const shown = () => frontEnd(connection).shown.get(chatId).messages;
  while (shown().length > 0 && shown()[0].messageId > 1) {
    const before = shown()[0].messageId;
    connection.send('load_history', { chatId, lastMessageId: before });
    await connection.until(() => shown()[0].messageId < before, `the history before ${before}`);
  }
  return shown();
}

/** With its history a connection shows every stored message once, in order, with its sender and its time. */
export async function assertShowsAll(connection, chatId, messages, users) {
  const pkOf = new Map(users.map(({ id, pk }) => [id, pk]));
  const shown = await completed(connection, chatId);
  assert.deepEqual(
    shown.map(({ messageId, text, fromUserId, date }) => [messageId, text, fromUserId, date]),
    messages.map(({ seq, msg, user_id, created_at }) => [seq, msg, pkOf.get(user_id), created_at]),
    connection.name,
  );
}
