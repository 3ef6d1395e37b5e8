// @ts-check
// Owns the promise that every frame gets its answer, however it was mangled on its way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, connectAction, newRoom } from '../clients/action.mjs';
import { answersToMangled } from '../clients/malformed.mjs';
import { enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { connectType, join, messages, newChat } from '../clients/type-data.mjs';
import { actionFrames, mangledFrame, marketplaceFrames, typeFrames } from '../data/mutations.mjs';
import { randomNumbers } from '../harness/random.mjs';
import { startServer } from '../harness/server.mjs';

const COUNT = 3000;
const SEED = Number(process.env.POLYCHAT_FUZZ_SEED ?? 20211208);

test(`each of ${COUNT} mangled frames of the type dialect has one answer (seed ${SEED})`, async (t) => {
  const server = await startServer(t);
  const alice = await connectType(t, server, 'alice');
  const chat = await newChat(alice);
  await join(alice, chat);
  const answers = await answersToMangled(alice, typeFrames(chat), { type: 'getChats' }, COUNT, randomNumbers(SEED));
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
  const answers = await answersToMangled(alice, actionFrames(pk), { action: 'list' }, COUNT, randomNumbers(SEED));
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
  const frames = marketplaceFrames(chatId, event.id);
  for (let index = 0; index < COUNT; index++) connection.wire.sendText(mangledFrame(frames[index % frames.length], random));
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
