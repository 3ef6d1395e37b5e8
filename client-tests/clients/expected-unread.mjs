// @ts-check
// Owns how things really stand in an event's chat, worked out from its stored messages and from what was asked to be
// read, and the comparison of what connections show with that.
import assert from 'node:assert/strict';
import { screen } from './marketplace.mjs';

/** All messages of a chat as they are stored, oldest first. */
export async function stored(host, chatId) {
  return (await host.all(`/chats/${chatId}/messages?after_seq=0`, 'messages', 1000)).flat();
}

/**
 * How many messages each side has not read: sending and reading move a side's position, nothing else does.
 * `read` is how far each side asked to be (by user id), as far as that was not past the end.
 */
export function unreadCounts(messages, { owner, guest }, read = {}) {
  const unread = ({ id }) => {
    const own = messages.findLast(({ user_id }) => user_id === id)?.seq ?? 0;
    return messages.length - Math.max(own, read[id] ?? 0);
  };
  return { [owner.id]: unread(owner), [guest.id]: unread(guest) };
}

/** `[mine, the interlocutor's]` as a user has to see them. */
export function countsFor(user, unread) {
  const [other] = Object.keys(unread).filter((id) => id !== user.id);
  return [unread[user.id], unread[other]];
}

/** Waits until a connection shows these counts and this many messages in a chat. */
export function untilShown(visitor, chatId, messages, unread, ms) {
  const [mine, other] = countsFor(visitor.user, unread);
  const fits = () => {
    const [shownMine, shownOther] = screen(visitor).counts(chatId) ?? [];
    return screen(visitor).head(chatId) === messages.length && shownMine === mine && shownOther === other;
  };
  const told = () => `${messages.length} messages and the counts ${mine}, ${other} in ${chatId}; it shows ${
    screen(visitor).head(chatId)} and ${screen(visitor).counts(chatId)}`;
  return visitor.until(fits, told(), ms).catch((error) => { throw new Error(`${error.message}\n${told()}`); });
}

/** Loads what is before the messages that a connection shows, page by page to the first one. */
async function completed(visitor, chatId) {
  const shown = () => screen(visitor).shown.get(chatId).messages;
  while (shown().length > 0 && shown()[0].messageId > 1) {
    const before = shown()[0].messageId;
    visitor.tell('load_history', { chatId, lastMessageId: before });
    await visitor.until(() => shown()[0].messageId < before, `the history before ${before}`);
  }
  return shown();
}

/** With its history a connection shows every stored message once, in order, with its sender and its time. */
export async function assertShowsAll(visitor, chatId, messages, users) {
  const pkOf = new Map(users.map(({ id, pk }) => [id, pk]));
  const shown = await completed(visitor, chatId);
  assert.deepEqual(
    shown.map(({ messageId, text, fromUserId, date }) => [messageId, text, fromUserId, date]),
    messages.map(({ seq, msg, user_id, created_at }) => [seq, msg, pkOf.get(user_id), created_at]),
    visitor.name,
  );
}
