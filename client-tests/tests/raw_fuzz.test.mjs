// Owns the promise that every frame gets exactly one answer, however it was mangled on its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newRoom, actor, ask } from '../lib/by-action.mjs';
import { ANY_VALUES } from '../lib/bad-frames.mjs';
import { newChat, join, messages, typist } from '../lib/by-type.mjs';
import { startServer } from '../lib/server.mjs';

const COUNT = 3000;
const SEED = Number(process.env.POLYCHAT_FUZZ_SEED ?? 20211208);

/** The same random numbers for the same seed, below 1 (mulberry32). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

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

/** Sends many mangled frames and one that is whole: what came before its answer. */
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
  const alice = await typist(t, server, 'alice');
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
  const alice = await actor(t, server, 'alice', { acks: true });
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
