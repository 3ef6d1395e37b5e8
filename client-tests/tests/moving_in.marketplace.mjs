// @ts-check
// Owns the move of a marketplace's front end: its client of events and guests, its host application, and each difference
// that the chapter names.
import assert from 'node:assert/strict';
import { MarketplaceClient } from '../clients/seeds/marketplace.mjs';
import { eventually } from '../harness/wait.mjs';
import { MARKETPLACE } from './moving_in.databases.mjs';
import { ANNA, BORIS, MINTS, NAMES, ORIGIN, execute, startHost } from './moving_in.host.mjs';
import { LIVE, REST, commonStops, page, placedAt, show } from './moving_in.page.mjs';
import { MISSING, changesOf, evaluate } from './moving_in.walk.mjs';

export const chapter = 'Front end: marketplace';

const OLD = ['Привет!', 'Hello', 'May I come?'];
const UUID = /^[0-9a-f-]{36}$/;

const make = (call, user, { id, name }) => call('POST', '/events', {
  id, name, eventOwnerId: `external:${user}`, dateFromS: 1772359200, dateToS: 1772366400,
});

/** The client of the original, with the lines of the document. */
async function connected(t, place, host, id) {
  const [{ after }] = changesOf(chapter);
  const io = (url, options) => page(t, new MarketplaceClient(url, '', id, {
    forceNew: true, extraHeaders: { origin: ORIGIN }, ...options,
  }));
  const client = await evaluate(placedAt(place, after), { fetch: host.fetchAs(id), io }, 'socket');
  await eventually(() => client.entries, 'the chats have come');
  return client;
}

const chatOf = (client, eventId) => client.entries.find(({ event }) => event.id === eventId)?.chats[0];
const textsOf = (client) => chatOf(client, 10).messages.map(({ text }) => text);
const countsOf = (client) => {
  const { myUnreadCount, interlocutorUnreadCount } = chatOf(client, 10);
  return [myUnreadCount, interlocutorUnreadCount];
};

/** Anna's page shows the old conversation as it was, and what she had not read. */
function assertImported(anna) {
  const { user, messages, isRequestSended, isAccessGranted } = chatOf(anna, 10);
  assert.deepEqual([user.id, isRequestSended, isAccessGranted], [BORIS, true, false]);
  assert.deepEqual(messages.map(({ messageId, fromUserId, toUserId, date }) => [messageId, fromUserId, toUserId, date]), [
    [1, BORIS, ANNA, '2025-03-01T13:51:53.285Z'], [2, ANNA, BORIS, '2025-03-01T13:52:00.000Z'],
    [3, BORIS, ANNA, '2025-03-01T13:53:00.000Z'],
  ]);
  assert.deepEqual([textsOf(anna), messages[0].photos], [OLD, ['uuid1', 'uuid2']]);
  assert.deepEqual(countsOf(anna), [1, 0], 'one message of Boris is not read');
}

/** Both talk with the new address. */
async function talk(t, place, host) {
  const [anna, boris] = [await connected(t, place, host, ANNA), await connected(t, place, host, BORIS)];
  assert.deepEqual([anna.foreignEvents, boris.ownEvents], [[], []]);
  const { chatId } = chatOf(anna, 10);
  assert.match(chatId, UUID);
  assert.deepEqual([chatOf(anna, 10).user.name, chatOf(boris, 10).user.name], [NAMES[BORIS], NAMES[ANNA]]);
  anna.read(chatId);
  await eventually(() => countsOf(anna)[0] === 0, 'Anna has read');
  boris.write('external:picnic-16', LIVE[0]);
  await show(() => textsOf(anna), [...OLD, REST, LIVE[0]]);
  anna.write(chatId, LIVE[1]);
  for (const client of [anna, boris]) {
    await show(() => textsOf(client), [...OLD, REST, ...LIVE]);
    assert.deepEqual(chatOf(client, 10).messages.map(({ messageId }) => messageId), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(client.errors, []);
  }
  await eventually(() => `${countsOf(boris)}` === '1,0', 'the counts are those of the server');
}

/** What the chapter says about differences. */
async function assertDifferences(t, place, host) {
  const [anna, boris] = [await connected(t, place, host, ANNA), await connected(t, place, host, BORIS)];
  const { chatId } = chatOf(boris, 10);
  const updates = [];
  for (const { socket } of [anna, boris]) socket.on('chat_updates', (update) => updates.push(update));
  boris.write(chatId, 'with pictures', { photos: ['a', 'b'], attachedPhotos: ['b', 'c'] });
  await eventually(() => updates.length === 2, 'both have the update');
  for (const { messages, user, isAccessGranted, myUnreadCount, interlocutorUnreadCount } of updates) {
    assert.deepEqual(messages.map(({ text, photos }) => [text, photos]), [['with pictures', ['a', 'b', 'c']]]);
    assert.deepEqual([isAccessGranted, [ANNA, BORIS].includes(user.id)], [false, true]);
    assert.deepEqual([myUnreadCount, interlocutorUnreadCount].map(Number.isInteger), [true, true]);
  }
  boris.socket.emit('read_messages', { chatId: 'nowhere', lastReadedMessageId: 1 });
  const [error] = await eventually(() => boris.errors.length > 0 && boris.errors, 'the error has come');
  assert.deepEqual(Object.keys(error).sort(), ['code', 'event', 'message', 'retryable']);
  assert.deepEqual([error.code, error.event], ['not_found', 'read_messages']);
}

/** The stops of the walk. */
export async function stops(t, place) {
  execute(place, MARKETPLACE.before);
  const hasPhp = !MISSING.includes('php');
  if (!hasPhp) t.diagnostic('the tokens are those of Node.js, since php is not installed');
  const host = await startHost(t, place, { mint: hasPhp ? MINTS.php : MINTS.node, make });
  const [{ before }] = changesOf(chapter);
  return {
    ...commonStops(t, place, host, { database: MARKETPLACE, ids: [1, 2, 3, 4], live: [...LIVE, 'with pictures'] }),
    'The line to change.': async () => {
      const uses = { window: { location: { origin: 'https://old.example' } }, io: (...given) => given };
      assert.deepEqual(await evaluate(before, uses, 'socket'), ['https://old.example']);
    },
    'Rooms.': async () => {
      const event = await host.create(ANNA, { id: 12, name: 'Walk' });
      assert.deepEqual([event.id, event.eventOwnerId], [12, ANNA]);
      const boris = await connected(t, place, host, BORIS);
      assert.deepEqual(boris.foreignEvents.map(({ event: { id } }) => id), [11]);
      assert.equal(chatOf(boris, 11).user.id, ANNA);
      boris.leave();
    },
    '2. Import': async () => {
      const anna = await connected(t, place, host, ANNA);
      assertImported(anna);
      anna.leave();
    },
    '5. Switch the URL': () => talk(t, place, host),
    '6. Look.': () => assertDifferences(t, place, host),
  };
}
