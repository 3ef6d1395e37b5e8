// @ts-check
// Owns the promise that there is no gap and no double between what a user begins with and what comes live, however
// many write meanwhile, and that counts are exact on every connection once all is quiet, however reading, writing,
// deciding and connecting overlapped. What is random follows from the seed in the test's name.
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

/** An owner with events, and guests who each have a chat about one of them. */
async function market({ events: eventCount, guests: guestCount }) {
  const owner = await host.user('owner');
  const events = [];
  for (let made = 0; made < eventCount; made++) events.push(await host.event(owner));
  const talks = [];
  for (let made = 0; made < guestCount; made++) {
    const guest = await host.user('guest');
    talks.push({ owner, guest, ...(await host.eventChat(events[made % eventCount], guest)) });
  }
  return { owner, events, talks };
}

/** Several messages at a time as long as `goesOn` says so, each acknowledged; answers with all texts. */
async function talk(t, user, chatId, goesOn, lanes = 3) {
  const visitor = await enterSocketIo(t, server, user);
  const texts = [];
  const lane = async () => {
    while (goesOn()) {
      const text = `${user.name} ${texts.length}`;
      texts.push(text);
      const answer = await visitor.ask('send_message', { chatId, message: { text } });
      assert.equal(answer.error, undefined, JSON.stringify(answer.error));
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  visitor.close();
  return texts;
}

/** Connects again and again, each time in another way; some stay, the others leave at once. */
async function comeAndGo(t, user, { times, stay }) {
  const staying = [];
  for (let time = 0; time < times; time++) {
    const visitor = await entered(WAYS_IN[time % WAYS_IN.length](t, user));
    if (time % Math.floor(times / stay) === 0) staying.push(visitor);
    else await leave(visitor);
  }
  return staying;
}

/** Leaves once a few frames have come; those must fit to what it began with. */
async function leave(visitor) {
  await visitor.until(() => visitor.frames.length > 4, 'a few frames');
  assert.ok(frontEnd(visitor).shown.size > 0);
  visitor.close();
}

test('whoever connects while many write has every message once and in order, and exact counts at rest', async (t) => {
  const { owner, talks } = await market({ events: 2, guests: 6 });
  // One chat is longer than anybody begins with.
  for (let index = 0; index < 250; index++) await host.say(talks[0], talks[0].guest, `before ${index}`);
  let joining = true;
  const goesOn = () => joining;
  const writing = Promise.all(talks.flatMap(({ guest, chatId }, index) => [
    talk(t, guest, chatId, goesOn),
    ...(index % 2 === 0 ? [talk(t, owner, chatId, goesOn, 1)] : []),
  ]));
  writing.catch(() => {}); // it is awaited below
  const comers = [owner, owner, talks[0].guest, talks[1].guest].map((user) => (
    comeAndGo(t, user, { times: 15, stay: 5 })
  ));
  const staying = (await Promise.all(comers).finally(() => { joining = false; })).flat();
  const said = (await writing).flat();

  let count = 0;
  for (const { guest, chatId } of talks) {
    await host.say({ chatId }, guest, 'the end');
    const messages = await storedMessages(host, chatId);
    const unread = unreadCounts(messages, { owner, guest });
    const texts = messages.map(({ msg }) => msg);
    assert.equal(new Set(texts).size, texts.length);
    count += texts.filter((text) => !/^(before|the end)/.test(text)).length;
    for (const visitor of staying.filter(({ user }) => [owner.id, guest.id].includes(user.id))) {
      await untilShown(visitor, chatId, messages, unread, LONG_MS);
      await assertShowsAll(visitor, chatId, messages, [owner, guest]);
    }
  }
  assert.equal(count, said.length);
  assert.ok(count > 200, `only ${count} messages were written meanwhile: this showed little`);
  t.diagnostic(`${count} messages, ${staying.length} connections compared`);
});

test('whoever connects while chats are opened sees each of them once, from its first message on', async (t) => {
  const { owner, events } = await market({ events: 2, guests: 0 });
  const guests = await Promise.all(Array.from({ length: 30 }, () => host.user('newcomer')));
  const opening = (async () => {
    const talks = [];
    for (const [index, guest] of guests.entries()) {
      const visitor = await enterWebSocket(t, server, guest);
      visitor.tell('open_chat', { eventId: events[index % 2].id });
      const { chatId } = await visitor.next('chat_updates');
      for (const text of ['a', 'b', 'c', 'd']) visitor.tell('send_message', { chatId, message: { text } });
      await visitor.until(() => frontEnd(visitor).head(chatId) === 4, 'four messages');
      talks.push({ guest, chatId });
    }
    return talks;
  })();
  const staying = [];
  for (let time = 0; time < 20; time++) staying.push(await entered(WAYS_IN[time % WAYS_IN.length](t, owner)));
  for (const { guest, chatId } of await opening) {
    const messages = await storedMessages(host, chatId);
    const unread = unreadCounts(messages, { owner, guest });
    assert.equal(messages.length, 4);
    for (const visitor of staying) {
      await untilShown(visitor, chatId, messages, unread);
      await assertShowsAll(visitor, chatId, messages, [owner, guest]);
    }
  }
});

test('whoever connects while access is given and taken shows in the end what was decided last', async (t) => {
  const { owner, talks: [{ guest, chatId, event }] } = await market({ events: 1, guests: 1 });
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
  for (const visitor of [...staying, asking, deciding]) {
    await untilShown(visitor, chatId, messages, unreadCounts(messages, { owner, guest }));
    const { isRequestSended, isAccessGranted } = frontEnd(visitor).shown.get(chatId);
    assert.deepEqual([isRequestSended, isAccessGranted], [true, true], visitor.name);
  }
});

/** One connection reads and writes at random, without waiting for anything but now and then; notes what it read. */
async function busy(visitor, chatIds, { below, pick }, read, actions) {
  for (let action = 0; action < actions; action++) {
    const chatId = pick(chatIds);
    const head = frontEnd(visitor).head(chatId);
    if (below(2) === 0) {
      visitor.tell('send_message', { chatId, message: { text: `${visitor.name} ${action}` } });
    } else {
      const lastReadedMessageId = below(head + 1);
      visitor.tell('read_messages', { chatId, lastReadedMessageId });
      const of = read[chatId];
      of[visitor.user.id] = Math.max(of[visitor.user.id] ?? 0, lastReadedMessageId);
    }
    if (below(4) === 0) await flush(visitor);
  }
  await flush(visitor);
}

for (let round = 0; round < 4; round++) {
  const seed = SEED + round;
  test(`at rest every connection shows the exact counts, however reads and sends raced (seed ${seed})`, async (t) => {
    const { owner, talks } = await market({ events: 1, guests: 2 });
    const dice = seededRandom(seed);
    const read = Object.fromEntries(talks.map(({ chatId }) => [chatId, {}]));
    const people = [owner, ...talks.map(({ guest }) => guest)];
    const chatsOf = (user) => talks.filter(({ guest }) => user === owner || user === guest);
    const visitors = [];
    for (const user of people) for (const way of WAYS_IN) visitors.push(await entered(way(t, user)));
    await Promise.all(visitors.map((visitor) => (
      busy(visitor, chatsOf(visitor.user).map(({ chatId }) => chatId), dice, read, 40)
    )));

    /** Everybody, and whoever comes anew, shows the truth. */
    const assertTruth = async () => {
      for (const { guest, chatId } of talks) {
        const messages = await storedMessages(host, chatId);
        const unread = unreadCounts(messages, { owner, guest }, read[chatId]);
        const fresh = [await enterSocketIo(t, server, owner), await enterWebSocket(t, server, guest)];
        for (const visitor of [...visitors, ...fresh].filter(({ user }) => [owner, guest].includes(user))) {
          await untilShown(visitor, chatId, messages, unread);
          const last = visitor.frames.findLast(({ event, data }) => event === 'chat_unread' && data.chatId === chatId);
          const counts = last ? [last.data.myUnreadCount, last.data.interlocutorUnreadCount] : undefined;
          if (counts) assert.deepEqual(counts, countsFor(visitor.user, unread), visitor.name);
          await assertShowsAll(visitor, chatId, messages, [owner, guest]);
        }
        for (const visitor of fresh) visitor.close();
      }
    };
    await assertTruth();
    for (const { guest, chatId } of talks) await host.say({ chatId }, dice.pick([owner, guest]), 'one more');
    await assertTruth();
  });
}
