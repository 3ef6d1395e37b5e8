// @ts-check
// Owns the exact form of the server's users, chats and messages: their fields, types and formats.
import assert from 'node:assert/strict';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const id = (value) => typeof value === 'string' && UUID_V7.test(value);
const time = (value) => typeof value === 'string' && TIME.test(value) && !Number.isNaN(Date.parse(value));
const text = (value) => typeof value === 'string';
const count = (value) => Number.isSafeInteger(value) && value >= 1;
const ids = (value) => Array.isArray(value) && value.length > 0 && value.every(id);

const USER = {
  id, externalUserId: text, username: text, name: text, avatar: text, created_at: time, modified_at: time,
};
const CHAT = { id, pk: count, name: text, users: ids, created_at: time, modified_at: time };
const MESSAGE = {
  id, seq: count, room: id, msg: text, type: text, user_id: id, created_at: time, modified_at: time,
};

/** A function that asserts that an object has these fields, each of them valid. */
export function checker(fields, what) {
  return (object) => {
    assert.equal(typeof object, 'object', `${what} is no object: ${object}`);
    for (const [field, fits] of Object.entries(fields)) {
      assert.ok(Object.hasOwn(object, field), `${what} lacks '${field}': ${JSON.stringify(object)}`);
      assert.ok(fits(object[field]), `${what} has a strange '${field}': ${JSON.stringify(object)}`);
    }
    return object;
  };
}

/** Fields beyond these are allowed; missing or renamed ones are not. */
export const isUser = checker(USER, 'the user');
export const isChat = checker(CHAT, 'the chat');
export const isMessage = checker(MESSAGE, 'the message');

/** A body that consists of exactly these keys. */
export function hasOnly(body, ...keys) {
  assert.deepEqual(Object.keys(body).sort(), keys.sort());
  return body;
}
