// Owns the one form into which what each dialect tells of a message is brought, to be compared: its number, text and
// time. It knows no connection.
import assert from 'node:assert/strict';
import { unpair } from './ids.mjs';

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
