// @ts-check
// Owns the client of the action dialect: connections, requests, and the exact form of the frames.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { uniqueName } from './fixtures.mjs';
import { PATH, dial } from './websocket.mjs';
import { checker } from '../data/shapes.mjs';

const FORMATTED = /^\d\d-\d\d-\d{4} \d\d:\d\d:\d\d$/;
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;

const REPLY = ['errors', 'data', 'action', 'response_status', 'request_id'];
const REFUSAL = [...REPLY, 'code', 'retryable'];

const id = (value) => Number.isSafeInteger(value) && value >= 1;
const text = (value) => typeof value === 'string';
const iso = (value) => text(value) && ISO.test(value) && !Number.isNaN(Date.parse(value));
const formatted = (value) => text(value) && FORMATTED.test(value);
const user = (value) => { isUser(value); return true; };
const everyone = (value) => Array.isArray(value) && value.every(user);
const oldMessages = (value) => Array.isArray(value) && value.every((each) => isOldMessage(each));
const idOrNull = (value) => value === null || id(value);

const MESSAGE = { id, user, text, create_date: iso, room: id };

export const isUser = checker({ id, username: text, avatar: text, github: text }, 'the user');
export const isMessage = checker(MESSAGE, 'the message');
const isOldMessage = checker({ ...MESSAGE, created_at_formatted: formatted }, 'the message of the room');
export const isRoom = checker({
  pk: id, name: text, user: idOrNull, team: idOrNull, messages: oldMessages, member: everyone,
}, 'the room');

/** A reply: exactly five keys, seven of a refusal, `errors` a list, and empty when all is well. */
export function isReply(frame, action, status) {
  assert.deepEqual(Object.keys(frame), status >= 400 ? REFUSAL : REPLY, JSON.stringify(frame));
  assert.equal(frame.response_status, status, JSON.stringify(frame));
  assert.equal(frame.action, action);
  assert.ok(Array.isArray(frame.errors));
  assert.equal(frame.errors.length > 0, status >= 400, JSON.stringify(frame));
  return frame;
}

/** A message event: exactly three keys; the message. */
export function isMessageEvent(frame) {
  assert.deepEqual(Object.keys(frame).sort(), ['action', 'data', 'pk'], JSON.stringify(frame));
  assert.equal(frame.action, 'create');
  assert.equal(frame.pk, isMessage(frame.data).id);
  return frame.data;
}

/** A member event: exactly one key; the user names. */
export function isMemberEvent(frame) {
  assert.deepEqual(Object.keys(frame), ['join_user'], JSON.stringify(frame));
  return frame.join_user.map((each) => isUser(each).username);
}

/** A user with a connection of this dialect; with `acks` every request is answered. */
export async function connectAction(owner, server, base, { acks = false, token = uniqueName(base), path = PATH.action } = {}) {
  const wire = await dial(owner, server, path, { token, query: acks ? { ack: '1' } : {} });
  return { wire, token, name: token };
}

/** The data of the reply to a request, which must succeed. */
export async function ask({ wire }, action, fields, status = 200) {
  return isReply(await wire.ask({ action, ...fields }), action, status).data;
}

/** The errors of a request, which must be refused with this status. */
export async function refusal({ wire }, action, fields, status) {
  const reply = isReply(await wire.ask({ action, ...fields }), action, status);
  assert.equal(reply.data, null);
  return reply.errors;
}

/** Sends a request without a request id. */
export const send = ({ wire }, action, fields) => wire.send({ action, ...fields });

/** Waits until all earlier requests are done, and their frames have been received. */
export const flush = ({ wire }) => wire.ask({ action: 'no_such_action' });

/** Sends a request, and waits until it is done. */
export async function sendAndFlush(who, action, fields) {
  send(who, action, fields);
  await flush(who);
}

let made = 0;

/** A new open room: its pk. */
export async function newRoom(who, base = 'room') {
  return isRoom(await ask(who, 'create', { data: { name: `${base} ${++made}` } }, 201)).pk;
}

export const room = async (who, pk) => isRoom(await ask(who, 'retrieve', { pk }));

/** The names of a room's members. */
export const members = async (who, pk) => (await room(who, pk)).member.map(({ username }) => username);

/** Joins and subscribes as every front end does. */
export async function enter(who, pk) {
  send(who, 'join_room', { pk });
  send(who, 'subscribe_to_messages_in_room', { pk });
  await ask(who, 'subscribe_instance', { pk }, 201);
}

/** The messages and the member lists that this connection has received so far. */
export const received = ({ wire }) => (
  wire.frames.filter((frame) => frame.action === 'create' && !('errors' in frame)).map(isMessageEvent)
);
export const memberEvents = ({ wire }) => wire.frames.filter((frame) => 'join_user' in frame).map(isMemberEvent);

/** How long no further member event follows one; the next is sent at the end. */
export const LIST_WINDOW_MS = 250;

/** Waits until the next change of the members is followed by a member event at once, if none waits for its window. */
export const listWindowEnds = () => sleep(LIST_WINDOW_MS + 10);

/** Waits until the newest member event has these users, and the next change is followed by another at once. */
export async function listed({ wire }, ...users) {
  const names = JSON.stringify(users.map(({ name }) => name));
  const newest = () => wire.frames.findLast((frame) => 'join_user' in frame);
  await wire.until((frame) => frame === newest() && JSON.stringify(isMemberEvent(frame)) === names, `a list of ${names}`);
  await listWindowEnds();
}

/** Waits until this connection has received this text: all messages received by then. */
export async function untilReceived(who, words, ms) {
  await who.wire.until((frame) => frame.data?.text === words && !('errors' in frame), `the message '${words}'`, ms);
  return received(who);
}
