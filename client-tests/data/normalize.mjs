// @ts-check
// Owns the common form of a message (seq, text, time) to which each dialect's form is normalised for comparison, and the
// integer ids of messages: which chat and which seq an id stands for.
import assert from 'node:assert/strict';

/** Szudzik's pairing function. */
export const pair = (a, b) => (a < b ? b * b + a : a * a + a + b);

/** The chat's pk and the message's seq of which an integer id was made. */
export function unpair(id) {
  let root = Math.floor(Math.sqrt(id));
  if (root * root > id) root -= 1;
  const rest = id - root * root;
  const [pk, seq] = rest < root ? [rest, root] : [root, rest - root];
  return { pk, seq };
}

/** Of the event-name dialect and of REST. */
export const fromEventName = ({ seq, msg, created_at }) => ({ seq, text: msg, at: Date.parse(created_at) });

export const fromType = ({ id, chat, text, timestamp }) => {
  assert.equal(unpair(id).pk, chat);
  return { seq: unpair(id).seq, text, at: Date.parse(timestamp) };
};

export const fromAction = ({ id, room, text, create_date }) => {
  assert.equal(unpair(id).pk, room);
  return { seq: unpair(id).seq, text, at: Date.parse(create_date) };
};

export const fromMarketplace = ({ messageId, text, date }) => ({ seq: messageId, text, at: Date.parse(date) });
