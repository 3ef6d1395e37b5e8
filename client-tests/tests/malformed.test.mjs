// @ts-check
// Owns the promise that malformed frames, hundreds on one connection, have one answer each, an error, in every dialect,
// and that the connection continues.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectAction, newRoom } from '../clients/action.mjs';
import { PACKET, RawClient, parseAck } from '../clients/engineio.mjs';
import { enterWebSocket, flush } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { connectType, join, newChat } from '../clients/type-data.mjs';
import { ANY_VALUES } from '../data/bad-frames.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const LEAST = 300;
const ID = '01890000-0000-7000-8000-000000000000';

const scope = useScope();
const server = await startServer(scope);

/** Every beginning of these texts that is not all of one: of JSON objects none is JSON. */
function brokenOff(texts, least = LEAST) {
  const beginnings = (text) => Array.from({ length: text.length }, (_, end) => text.slice(0, end));
  const frames = [...new Set(texts.flatMap(beginnings))].filter((frame) => !texts.includes(frame));
  assert.ok(frames.length >= least, `only ${frames.length} frames`);
  return frames;
}

/** Whether every parser takes it for JSON, not only JavaScript. */
const isJson = (text) => !/e400/.test(text);

/** The answers of a raw connection to these frames, one after the other. */
async function answersTo(wire, frames) {
  wire.takeRest(); // earlier frames do not count
  const from = wire.frames.length;
  for (const frame of frames) wire.sendText(frame);
  for (let count = 0; count < frames.length; count++) await wire.take();
  return wire.frames.slice(from);
}

test('in the type dialect', async (t) => {
  const alice = await connectType(t, server, 'alice');
  const chat = await newChat(alice);
  await join(alice, chat);
  alice.wire.takeRest();
  const frames = brokenOff([
    { type: 'newMessage', data: { chat, text: 'hello', is_read: true, client_id: 'c' }, request_id: 'r' },
    { type: 'getChatMessages', data: { chatId: chat, date_from: 'yesterday', date_to: '2026-01-01', last: 2 } },
    { type: 'joinChat', data: { chat, last_read_message: null } }, { type: 'createEmptyChat', data: {} },
    { type: 'getChatDetails', data: { chatId: `${chat}` }, request_id: { any: ['thing'] } },
  ].map((frame) => JSON.stringify(frame)));
  const answers = await answersTo(alice.wire, frames);
  assert.deepEqual(new Set(answers.map(({ type, code }) => `${type} ${code}`)), new Set(['error invalid']));
  assert.equal((await alice.wire.ask({ type: 'getChats', data: {} })).data.length, 1);
});

test('in the action dialect', async (t) => {
  const alice = await connectAction(t, server, 'alice', { acks: true });
  const pk = await newRoom(alice);
  alice.wire.takeRest();
  const frames = brokenOff([
    { action: 'create_message', message: 'hello', pk, client_id: 'c', request_id: 1 },
    { action: 'subscribe_instance', pk: `${pk}`, request_id: 'r' }, { action: 'join_room', pk, request_id: 2 },
    { action: 'create', data: { name: 'a room', team: 3 }, request_id: 3 }, { action: 'delete', pk, request_id: 4 },
    { stream: 'room', payload: { action: 'patch', pk, data: { name: 'another' }, request_id: 5 } },
  ].map((frame) => JSON.stringify(frame)));
  const answers = await answersTo(alice.wire, frames);
  for (const { errors, data, response_status: status } of answers) {
    assert.deepEqual([status, data, errors.length], [400, null, 1]);
  }
  assert.equal((await alice.wire.ask({ action: 'list' })).response_status, 200);
});

test('in the marketplace dialect', async (t) => {
  const olga = await new Backend(server).user('olga');
  const connection = await enterWebSocket(t, server, olga);
  const frames = brokenOff(marketplace.map(([event, data]) => JSON.stringify({ event, data })));
  const answers = await answersTo(connection.wire, frames);
  assert.deepEqual(new Set(answers.map(({ event, data }) => `${event} ${data.code}`)), new Set(['debug_info invalid']));
  connection.takeRest();
  assert.deepEqual(await flush(connection), []);
});

/** @type {[string, object][]} */
const marketplace = [
  ['send_message', { chatId: ID, message: { text: 'hello', photos: ['a'], attachedPhotos: ['b'], client_id: 'c' } }],
  ['read_messages', { chatId: ID, lastReadedMessageId: '1' }], ['load_history', { chatId: ID, lastMessageId: 3 }],
  ['request_access', { eventId: 1, message: 'May I?' }], ['grant_access', { chatId: ID, granted: true }],
];

/** By dialect: the namespace with its comma, and the events. @type {Record<string, [string, string[]]>} */
const NAMES = {
  'event-name': ['', ['create-user', 'create-chat', 'list-chats', 'list-messages', 'new-message']],
  marketplace: ['/events,', marketplace.map(([event]) => event)],
};

/** JSON that is no body of any request; broken JSON is no packet of Socket.IO, and may end the connection. */
const NO_BODIES = ANY_VALUES.filter((value) => !/^[{"n]|e400/.test(value));

for (const [dialect, [namespace, names]] of Object.entries(NAMES)) {
  test(`in the ${dialect} dialect over Socket.IO`, async (t) => {
    const { externalUserId } = await new Backend(server).user('gleb');
    const client = new RawClient(t, server.url);
    await client.packet(PACKET.connect);
    const [event, ack] = [PACKET.event, PACKET.ack].map((packet) => `${packet}${namespace}`);
    if (namespace !== '') {
      client.send(`${PACKET.connect}${namespace}${JSON.stringify({ token: externalUserId })}`);
      await client.packet(`${event}["initial_data"`);
    }
    const begun = brokenOff(names, 0).flatMap((name) => [`["${name}"]`, ...ANY_VALUES.filter(isJson)
      .map((value) => `["${name}",${value}]`)]);
    const frames = [...begun, ...names.flatMap((name) => NO_BODIES.map((value) => `["${name}",${value}]`))];
    assert.ok(frames.length >= LEAST);
    for (const [index, frame] of frames.entries()) client.send(`${event}${index}${frame}`);
    const last = frames.length;
    client.send(`${event}${last}["no_such_event",{}]`);
    await client.packet(`${ack}${last}[`);
    const answers = client.received.filter((packet) => packet.startsWith(ack))
      .map((packet) => parseAck(packet.replace(namespace, '')));
    assert.deepEqual(answers.map(({ number }) => number), [...frames.keys(), last]);
    assert.deepEqual(new Set(answers.map(({ body }) => body.error.code)), new Set(['invalid']));
  });
}
