// @ts-check
// Owns the promise that there is no gap and no double between the initial data and live frames, however many clients
// write meanwhile, and that counts are exact on every connection at rest, however reads, writes, decisions and
// connections overlapped. Random choices follow from the seed in the test's name.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { assertShowsAll, countsFor, storedMessages, unreadCounts, untilShown } from '../clients/expected-unread.mjs';
import {
  connectSocketIo, connectWebSocket, enterSocketIo, enterWebSocket, entered, flush, frontEnd,
} from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { seededRandom } from '../harness/random.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';

const SEED = Number(process.env.POLYCHAT_SEED ?? 20250301);
const LONG_MS = 60_000;

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--store', (await storeFile(scope)).store]);
  host = new Backend(server);
});

const WAYS_IN = [
  (t, user) => connectSocketIo(t, server, user),
  (t, user) => connectWebSocket(t, server, user),
  (t, user) => connectSocketIo(t, server, user, { transports: ['polling'] }),
  (t, user) => connectWebSocket(t, server, user),
  (t, user) => connectSocketIo(t, server, user, { client: 2 }),
];

/** An owner with events, and guests, each with a chat about one of them. */
async function market({ events: eventCount, guests: guestCount }) {
  const owner = await host.user('owner');
  const events = [];
  for (let made = 0; made < eventCount; made++) events.push(await host.event(owner));
  const eventChats = [];
  for (let made = 0; made < guestCount; made++) {
    const guest = await host.user('guest');
    eventChats.push({ owner, guest, ...(await host.eventChat(events[made % eventCount], guest)) });
  }
  return { owner, events, eventChats };
}

/** Sends several messages at a time while `goesOn()`, each acknowledged; returns all texts. */
async function sendWhile(t, user, chatId, goesOn, lanes = 3) {
  const connection = await enterSocketIo(t, server, user);
  const texts = [];
  const lane = async () => {
    while (goesOn()) {
      const text = `${user.name} ${texts.length}`;
      texts.push(text);
      const answer = await connection.ask('send_message', { chatId, message: { text } });
      assert.equal(answer.error, undefined, JSON.stringify(answer.error));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  connection.close();
  return texts;
}

/** Connects again and again, each time in another way; some stay, the others leave at once. */
async function comeAndGo(t, user, { times, stay }) {
  const staying = [];
  for (let time = 0; time < times; time++) {
    const connection = await entered(WAYS_IN[time % WAYS_IN.length](t, user));
    if (time % Math.floor(times / stay) === 0) staying.push(connection);
    else await leave(connection);
  }
  return staying;
}

/** Leaves once a few frames have come, which must fit the initial data. */
async function leave(connection) {
  await connection.until(() => connection.frames.length > 4, 'a few frames');
  assert.ok(frontEnd(connection).shown.size > 0);
  connection.close();
}

test('a client that connects while many write receives every message once and in order, and exact counts at rest', async (t) => {
  const { owner, eventChats } = await market({ events: 2, guests: 6 });
  // One chat is longer than the initial data.
  for (let index = 0; index < 250; index++) await host.sendMessage(eventChats[0], eventChats[0].guest, `before ${index}`);
  let joining = true;
  const goesOn = () => joining;
  const writing = Promise.all(eventChats.flatMap(({ guest, chatId }, index) => [
    sendWhile(t, guest, chatId, goesOn),
    ...(index % 2 === 0 ? [sendWhile(t, owner, chatId, goesOn, 1)] : []),
  ]));
  writing.catch(() => {}); // it is awaited below
  const comers = [owner, owner, eventChats[0].guest, eventChats[1].guest].map((user) => (
    comeAndGo(t, user, { times: 15, stay: 5 })
  ));
  const staying = (await Promise.all(comers).finally(() => { joining = false; })).flat();
  const sent = (await writing).flat();

  let count = 0;
  for (const { guest, chatId } of eventChats) {
    await host.sendMessage({ chatId }, guest, 'the end');
    const messages = await storedMessages(host, chatId);
    const unread = unreadCounts(messages, { owner, guest });
    const texts = messages.map(({ msg }) => msg);
    assert.equal(new Set(texts).size, texts.length);
    count += texts.filter((text) => !/^(before|the end)/.test(text)).length;
    for (const connection of staying.filter(({ user }) => [owner.id, guest.id].includes(user.id))) {
      await untilShown(connection, chatId, messages, unread, LONG_MS);
      await assertShowsAll(connection, chatId, messages, [owner, guest]);
    }
  }
  assert.equal(count, sent.length);
  assert.ok(count > 200, `only ${count} messages were written meanwhile: this showed little`);
  t.diagnostic(`${count} messages, ${staying.length} connections compared`);
});

test('a client that connects while chats are opened receives each of them once, from its first message on', async (t) => {
  const { owner, events } = await market({ events: 2, guests: 0 });
  const guests = await Promise.all(Array.from({ length: 30 }, () => host.user('newcomer')));
  const opening = (async () => {
    const eventChats = [];
    for (const [index, guest] of guests.entries()) {
      const connection = await enterWebSocket(t, server, guest);
      connection.send('open_chat', { eventId: events[index % 2].id });
      const { chatId } = await connection.next('chat_updates');
      for (const text of ['a', 'b', 'c', 'd']) connection.send('send_message', { chatId, message: { text } });
      await connection.until(() => frontEnd(connection).head(chatId) === 4, 'four messages');
      eventChats.push({ guest, chatId });
    }
    return eventChats;
  })();
  const staying = [];
  for (let time = 0; time < 20; time++) staying.push(await entered(WAYS_IN[time % WAYS_IN.length](t, owner)));
  for (const { guest, chatId } of await opening) {
    const messages = await storedMessages(host, chatId);
    const unread = unreadCounts(messages, { owner, guest });
    assert.equal(messages.length, 4);
    for (const connection of staying) {
      await untilShown(connection, chatId, messages, unread);
      await assertShowsAll(connection, chatId, messages, [owner, guest]);
    }
  }
});

test('a client that connects while access is granted and revoked shows in the end the last decision', async (t) => {
  const { owner, eventChats: [{ guest, chatId, event }] } = await market({ events: 1, guests: 1 });
  const [asking, deciding] = [await enterSocketIo(t, server, guest), await enterSocketIo(t, server, owner)];
  await asking.ask('request_access', { eventId: event.id });
  let undecided = true;
  const decisions = (async () => {
    let granted = false;
    for (let turn = 0; undecided || !granted; turn++) {
      granted = turn % 2 === 0;
      const answer = await deciding.ask('grant_access', { chatId, granted });
      assert.equal(answer.isAccessGranted, granted);
      if (turn % 5 === 0) await asking.ask('send_message', { chatId, message: { text: `${turn}` } });
    }
  })();
  const staying = [];
  for (let time = 0; time < 20; time++) {
    const user = time % 2 === 0 ? owner : guest;
    staying.push(await entered(WAYS_IN[time % WAYS_IN.length](t, user)));
  }
  undecided = false;
  await decisions;
  await asking.ask('send_message', { chatId, message: { text: 'the end' } });
  const messages = await storedMessages(host, chatId);
  for (const connection of [...staying, asking, deciding]) {
    await untilShown(connection, chatId, messages, unreadCounts(messages, { owner, guest }));
    const { isRequestSended, isAccessGranted } = frontEnd(connection).shown.get(chatId);
    assert.deepEqual([isRequestSended, isAccessGranted], [true, true], connection.name);
  }
});

/** One connection reads and writes at random, mostly without waiting; records its reads. */
async function busy(connection, chatIds, { below, pick }, read, actions) {
  for (let action = 0; action < actions; action++) {
    const chatId = pick(chatIds);
    const head = frontEnd(connection).head(chatId);
    if (below(2) === 0) {
      connection.send('send_message', { chatId, message: { text: `${connection.name} ${action}` } });
    } else {
      const lastReadedMessageId = below(head + 1);
      connection.send('read_messages', { chatId, lastReadedMessageId });
      const of = read[chatId];
      of[connection.user.id] = Math.max(of[connection.user.id] ?? 0, lastReadedMessageId);
    }
    if (below(4) === 0) await flush(connection);
  }
  await flush(connection);
}

for (let round = 0; round < 4; round++) {
  const seed = SEED + round;
  test(`at rest every connection shows the exact counts, however reads and sends raced (seed ${seed})`, async (t) => {
    const { owner, eventChats } = await market({ events: 1, guests: 2 });
    const dice = seededRandom(seed);
    const read = Object.fromEntries(eventChats.map(({ chatId }) => [chatId, {}]));
    const users = [owner, ...eventChats.map(({ guest }) => guest)];
    const chatsOf = (user) => eventChats.filter(({ guest }) => user === owner || user === guest);
    const connections = [];
    for (const user of users) for (const way of WAYS_IN) connections.push(await entered(way(t, user)));
    await Promise.all(connections.map((connection) => (
      busy(connection, chatsOf(connection.user).map(({ chatId }) => chatId), dice, read, 40)
    )));

    /** All connections, new ones included, show the right state. */
    const assertTruth = async () => {
      for (const { guest, chatId } of eventChats) {
        const messages = await storedMessages(host, chatId);
        const unread = unreadCounts(messages, { owner, guest }, read[chatId]);
        const fresh = [await enterSocketIo(t, server, owner), await enterWebSocket(t, server, guest)];
        for (const connection of [...connections, ...fresh].filter(({ user }) => [owner, guest].includes(user))) {
          await untilShown(connection, chatId, messages, unread);
          const last = connection.frames.findLast(({ event, data }) => event === 'chat_unread' && data.chatId === chatId);
          const counts = last ? [last.data.myUnreadCount, last.data.interlocutorUnreadCount] : undefined;
          if (counts) assert.deepEqual(counts, countsFor(connection.user, unread), connection.name);
          await assertShowsAll(connection, chatId, messages, [owner, guest]);
        }
        for (const connection of fresh) connection.close();
      }
    };
    await assertTruth();
    for (const { guest, chatId } of eventChats) await host.sendMessage({ chatId }, dice.pick([owner, guest]), 'one more');
    await assertTruth();
  });
}
