// @ts-check
// Owns the promise that every frame gets its answer, however it was mangled on its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, connectAction, newRoom } from '../clients/action.mjs';
import { enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { connectType, join, messages, newChat } from '../clients/type-data.mjs';
import { ANY_VALUES } from '../data/bad-frames.mjs';
import { randomNumbers } from '../harness/random.mjs';
import { startServer } from '../harness/server.mjs';

const COUNT = 3000;
const SEED = Number(process.env.POLYCHAT_FUZZ_SEED ?? 20211208);

const PIECES = [...'"\\{}[],:- ', '\\u0000', '\\ud800', '\u0000', '\u2028', '😀', 'e9',
  ...ANY_VALUES.filter((value) => value.length < 50)];

/** A frame, mangled a little: pieces cut out, doubled, put in, put in place of others. */
function mangled(frame, random) {
  const below = (limit) => Math.floor(random() * limit);
  let text = JSON.stringify(frame);
  for (let times = below(4); times >= 0; times--) {
    const start = below(text.length);
    const end = Math.min(text.length, start + below(12));
    const pieces = ['', text.slice(start, end).repeat(2), PIECES[below(PIECES.length)]];
    text = text.slice(0, start) + pieces[below(3)] + text.slice(below(2) === 0 ? start : end);
  }
  return text;
}

/** Sends many mangled frames and one that is whole: the frames before its answer. */
async function answersToMangled({ wire }, frames, whole) {
  const random = randomNumbers(SEED);
  const before = wire.frames.length;
  for (let index = 0; index < COUNT; index++) wire.sendText(mangled(frames[index % frames.length], random));
  const last = await wire.ask(whole);
  const answers = wire.frames.slice(before);
  assert.equal(answers.at(-1), last);
  return answers.slice(0, -1);
}

test(`each of ${COUNT} mangled frames of the type dialect has one answer (seed ${SEED})`, async (t) => {
  const server = await startServer(t);
  const alice = await connectType(t, server, 'alice');
  const chat = await newChat(alice);
  await join(alice, chat);
  const answers = await answersToMangled(alice, [
    { type: 'getChats', data: {} }, { type: 'createEmptyChat', data: {}, request_id: 1 },
    { type: 'joinChat', data: { chat, last_read_message: null } }, { type: 'getChatDetails', data: { chatId: chat } },
    { type: 'newMessage', data: { chat, text: 'hello', is_read: false, client_id: 'c-1' } },
    { type: 'getChatMessages', data: { chatId: chat, date_from: '2024-01-05', date_to: 'yesterday', last: 3 } },
  ], { type: 'getChats' });
  assert.equal(answers.length, COUNT);
  const inside = answers.filter(({ code }) => code === 'internal');
  assert.deepEqual(inside, []);
  assert.ok(answers.some(({ type }) => type === 'error') && answers.some(({ type }) => type !== 'error'));
  assert.ok((await messages(alice, chat)).length > 0);
});

test(`each of ${COUNT} mangled frames of the action dialect has one answer (seed ${SEED})`, async (t) => {
  const server = await startServer(t);
  const alice = await connectAction(t, server, 'alice', { acks: true });
  const pk = await newRoom(alice);
  const answers = await answersToMangled(alice, [
    { action: 'join_room', pk, request_id: 1 }, { action: 'retrieve', pk, request_id: 'a' },
    { action: 'create_message', message: 'hello', pk, client_id: 'c-1' }, { action: 'list', data: {} },
    { action: 'create', data: { name: 'Tea', team: 3 } }, { action: 'leave_room', pk },
    { stream: 'room', payload: { action: 'retrieve', pk, data: {}, request_id: [1] } },
  ], { action: 'list' });
  assert.equal(answers.length, COUNT);
  const replies = answers.map((answer) => answer.payload ?? answer);
  for (const reply of replies) assert.ok('errors' in reply, JSON.stringify(reply).slice(0, 200));
  assert.deepEqual(replies.filter(({ response_status }) => response_status === 500), []);
  assert.ok((await ask(alice, 'list', {})).length > 0);
});

test(`each of ${COUNT} mangled frames of the marketplace has its answer (seed ${SEED})`, async (t) => {
  const server = await startServer(t);
  const host = new Backend(server);
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const event = await host.event(owner);
  const { chatId } = await host.eventChat(event, guest);
  const connection = await enterWebSocket(t, server, guest);
  connection.send('request_access', { eventId: event.id });
  await connection.next('chat_updates');
  const random = randomNumbers(SEED);
  const frames = [
    { event: 'send_message', data: { chatId, message: { text: 'hello', photos: ['p-1'], attachedPhotos: ['p-2'] } } },
    { event: 'read_messages', data: { chatId, lastReadedMessageId: 1 } },
    { event: 'load_history', data: { chatId, lastMessageId: 3 } }, { event: 'open_chat', data: { eventId: event.id } },
    { event: 'request_access', data: { eventId: event.id } }, { event: 'grant_access', data: { chatId, granted: true } },
  ];
  for (let index = 0; index < COUNT; index++) connection.wire.sendText(mangled(frames[index % frames.length], random));
  connection.send('the end', {});
  await connection.first(({ data }) => data.event === 'the end', 'the last answer');
  const answers = connection.takeRest();
  assert.deepEqual(answers.filter(({ data }) => data.code === 'internal'), []);
  // A stored message is delivered together with the counts.
  const stored = answers.filter(({ event: name, data }) => name === 'chat_updates' && data.messages.length > 0).length;
  assert.equal(answers.length, COUNT + stored + 1);
  assert.equal((await host.all(`/chats/${chatId}/messages`, 'messages', 1000)).flat().length, stored);
  assert.ok(stored > 0 && answers.some(({ event: name }) => name === 'debug_info'));
});
