// @ts-check
// Owns the move of a front end with `{type, data}` frames: its client of several chats, its host application, and each
// difference that the chapter names.
import assert from 'node:assert/strict';
import { TypeClient } from '../clients/seeds/type.mjs';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { eventually } from '../harness/wait.mjs';
import { TYPE } from './moving_in.databases.mjs';
import { ANNA, BORIS, MINTS, NAMES, execute, startHost } from './moving_in.host.mjs';
import { LIVE, REST, commonStops, page, placedAt, serverOf, show } from './moving_in.page.mjs';
import { changesOf, evaluate } from './moving_in.walk.mjs';

export const chapter = 'Front end: type, data';

const OLD = ['Hello', 'Привет!', 'not read yet'];
const VERA = 17;

const make = (call, user, { id, users }) => call('POST', '/chats', {
  externalChatId: `chat-${id}`, pk: id, users: users.map((one) => `external:${one}`),
});

/** The client of the original, with the address of the document. */
async function connected(t, place, host, id) {
  const [{ after }] = changesOf(chapter);
  const url = await evaluate(placedAt(place, after), { fetch: host.fetchAs(id) }, 'url');
  const client = page(t, new TypeClient(url, { id })).connect();
  await eventually(() => client.chats, 'the chats are listed');
  return client;
}

const shown = async (client, texts) => {
  await show(() => client.messagesOf(7).map(({ text }) => text), texts);
  return client.messagesOf(7);
};

/** The page of Boris shows the old conversation as it was, and what he had not read. */
async function assertImported(boris) {
  const messages = await shown(boris, OLD);
  assert.deepEqual(messages.map(({ sender, timestamp, is_read }) => [sender.id, timestamp, is_read]), [
    [ANNA, '2024-05-01T10:00:00.000Z', true], [ANNA, '2024-05-01T10:00:01.500Z', true],
    [ANNA, '2024-05-01T10:00:02.000Z', false],
  ]);
  assert.equal(boris.unread(7), 1);
}

/** Both talk with the new address. */
async function talk(t, place, host) {
  const [anna, boris] = [await connected(t, place, host, ANNA), await connected(t, place, host, BORIS)];
  for (const client of [anna, boris]) {
    client.open(7);
    await eventually(() => client.details.get(7), 'the chat is on the screen');
    await eventually(() => client.loads > client.chats.length, 'its messages are loaded');
    await shown(client, [...OLD, REST]);
  }
  anna.write(7, LIVE[0]);
  await shown(boris, [...OLD, REST, LIVE[0]]);
  boris.write(7, LIVE[1]);
  const messages = await shown(anna, [...OLD, REST, ...LIVE]);
  await shown(boris, [...OLD, REST, ...LIVE]);
  assert.deepEqual(messages.map((message) => anna.isMine(message)), [true, true, true, false, true, false]);
  assert.deepEqual(messages.map(({ sender }) => sender.username), messages.map(({ sender }) => NAMES[sender.id]));
  assert.deepEqual(boris.others.filter(({ type }) => type === 'error'), []);
}

/** What the chapter says about differences. */
async function assertDifferences(t, place, host) {
  const server = serverOf(place);
  assert.equal(await refusedWith(t, server, PATH.type), 401);
  const dialled = async (id, query) => {
    const token = await (await host.fetchAs(id)('/chat-token')).text();
    return dial(t, server, PATH.type, { token, query });
  };
  const [anna, boris, vera] = [await dialled(ANNA, { push: '0' }), await dialled(BORIS), await dialled(VERA)];
  assert.deepEqual((await vera.ask({ type: 'getChats', data: {} })).data, []);
  const isRefused = async (request, message) => {
    const { type, message: actual, code, retryable } = await vera.ask(request);
    assert.deepEqual([type, retryable], ['error', false]);
    assert.match(actual, message);
    return code;
  };
  assert.equal(await isRefused({ type: 'newMessage', data: { chat: 7, text: 'Hello' } }, /^Chat not found\.$/), 'not_found');
  assert.equal(await isRefused({ type: 'getChatDetails', data: {} }, /^Chat ID is required\.$/), 'invalid');
  const unread = { type: 'getChatMessages', data: { chatId: 7, date_from: 'garbage' } };
  const { type } = await boris.ask(unread);
  assert.equal(type, 'error');
  const { data: created } = await vera.ask({ type: 'createEmptyChat', data: {} });
  assert.deepEqual(created.participants, []);

  // 503 is the old id of a message of this chat.
  const joined = await boris.ask({ type: 'joinChat', data: { chat: '7', last_read_message: 503 } });
  assert.equal(joined.type, 'info');
  const { data: sent } = await boris.ask({ type: 'newMessage', data: { chat: '7', text: 'with a text as the chat' } });
  assert.equal(sent.chat, 7);
  await anna.ask({ type: 'getChats', data: {} });
  assert.deepEqual(anna.frames.map((frame) => frame.type), ['chatsList'], 'nothing unasked with push=0');
  const pushed = await dialled(ANNA);
  const news = pushed.until((frame) => frame.type === 'messageCreated', 'a message');
  boris.send({ type: 'newMessage', data: { chat: 7, text: 'pushed' } });
  assert.equal((await news).data.text, 'pushed');
}

/** The stops of the walk. */
export async function stops(t, place) {
  execute(place, TYPE.before);
  const host = await startHost(t, place, { mint: MINTS.node, make });
  const [{ before }] = changesOf(chapter);
  const later = ['with a text as the chat', 'pushed'];
  return {
    ...commonStops(t, place, host, { database: TYPE, ids: [501, 502, 503, 504], live: [...LIVE, ...later] }),
    'The line to change.': async () => {
      const uses = { window: { location: { host: 'old.example' } }, accessToken: 'T' };
      assert.equal(await evaluate(before, uses, 'url'), 'wss://old.example/ws/chats/?token=T');
    },
    'Rooms.': async () => {
      const chat = await host.create(ANNA, { id: 12, users: [ANNA, BORIS] });
      assert.deepEqual([chat.pk, chat.policy], [12, 'closed']);
      const boris = await connected(t, place, host, BORIS);
      assert.deepEqual(boris.chats.map(({ id }) => id).sort((a, b) => a - b), [9, 12]);
      boris.leave();
    },
    '2. Import': async () => {
      const boris = await connected(t, place, host, BORIS);
      await assertImported(boris);
      boris.leave();
    },
    '5. Switch the URL': () => talk(t, place, host),
    '6. Look.': () => assertDifferences(t, place, host),
  };
}
