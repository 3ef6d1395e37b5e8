// @ts-check
// Owns the promise that an event-name client that reconnects gets the missed messages, each once and in order: by
// `auth.since` when it connects, or by `sync`.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  chatOf, connectAgain, connectUser, connectUsers, flushInboxes, history, sendMessage, sendMany, seqsAfter, seqsOf,
  startTraffic, uniqueName, upTo,
} from '../clients/fixtures.mjs';
import { ask, askByEvent, collect, connect, connectRefused, exception, refusal } from '../clients/socketio.mjs';
import { NO_CHAT_NAMES, badSyncRequests } from '../data/bad-requests.mjs';
import { hasOnly, isMessage } from '../data/shapes.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';
const VISITS = 12;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** A connection of a known user, which records its messages from the first moment on. */
async function visit(t, { user }, /** @type {{ since?: object | null, transports?: string[] }} */ { since, ...options } = {}) {
  let inbox;
  let delivered;
  const opened = (socket) => {
    inbox = collect(socket, 'new-message');
    delivered = collect(socket, 'sync');
  };
  const auth = { token: user.externalUserId, since };
  const socket = await connect(t, server.url, { auth, opened, ...options });
  return { socket, inbox, delivered };
}

/** The missed messages of one chat. */
async function sync({ socket }, chat, seq) {
  const { chats } = await ask(socket, 'sync', { chats: { [chat.id]: seq } });
  return chats[chat.id];
}

/** All pages after a number: the numbers, and the number of requests. */
async function pages(who, chat, after) {
  const found = [];
  for (let asked = 1; asked < 100; asked++) {
    const page = await sync(who, chat, found.at(-1) ?? after);
    found.push(...seqsOf(page.messages));
    if (!page.has_more) return { found, asked, head: page.head };
  }
  throw new Error('there is no end to it');
}

const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

describe('who comes back into the middle of a conversation', () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`with auth.since receives one sequence without gap or duplicate (${name})`, async (t) => {
      const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
      const chat = await chatOf(anna, boris);
      const traffic = startTraffic(anna, chat);
      const row = [];
      for (let visits = 0; visits < VISITS; visits++) {
        const back = await visit(t, boris, { transports, since: { [chat.id]: row.length } });
        await back.inbox.until(10 * (visits % 4) + 1);
        back.socket.close();
        row.push(...seqsOf(back.inbox));
        assert.deepEqual(row, upTo(row.length));
        assert.equal(back.delivered.length, 0);
      }
      const total = await traffic.stop();
      assert.ok(row.length > VISITS && row.length <= total, `${row.length} of ${total}`);
    });

    test(`and requests it by sync receives exactly what was not delivered (${name})`, async (t) => {
      const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
      const chat = await chatOf(anna, boris);
      const traffic = startTraffic(anna, chat);
      let known = 0;
      for (let visits = 0; visits < VISITS; visits++) {
        const back = await visit(t, boris, { transports });
        if (visits % 2) await back.inbox.until(7);
        const { found, head } = await pages(back, chat, known);
        assert.equal(found.at(-1) ?? known, head);
        await back.inbox.until(visits * 3 + 1);
        back.socket.close();
        const row = [...found, ...seqsOf(back.inbox)];
        assert.deepEqual(row, seqsAfter(known, row.length));
        known += row.length;
      }
      assert.ok(known <= await traffic.stop());
    });
  }
});

describe('a sync', () => {
  test('answers with messages as list-messages has them, oldest first', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    for (const text of ['one', 'two', 'three']) await sendMessage(anna, chat, text, { client_id: text });
    const back = await visit(t, boris);
    const found = hasOnly(await sync(back, chat, 1), 'messages', 'head', 'has_more');
    found.messages.forEach(isMessage);
    assert.deepEqual(found, { messages: await history(anna, chat, { after_seq: 1 }), head: 3, has_more: false });
  });

  test('answers without acknowledgement as an event of the same name', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'hello');
    const body = { chats: { [chat.id]: 0 } };
    assert.deepEqual(await askByEvent(anna.socket, 'sync', body), await ask(anna.socket, 'sync', body));
  });

  test('goes up to where messages come by themselves, and then to the end', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    for (let count = 0; count < 5; count++) await sendMessage(anna, chat, 'before');
    const back = await visit(t, boris);
    for (let count = 0; count < 3; count++) await sendMessage(anna, chat, 'after');
    await back.inbox.until(3);
    const first = await sync(back, chat, 2);
    assert.deepEqual([seqsOf(first.messages), first.head, first.has_more], [[3, 4, 5], 5, false]);
    assert.deepEqual(seqsOf(back.inbox), [6, 7, 8]);
    const second = await sync(back, chat, 2);
    assert.deepEqual([seqsOf(second.messages), second.head], [[3, 4, 5, 6, 7, 8], 8]);
  });

  test('of a client that knows more than was missed is empty', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    await sendMessage(anna, chat, 'before');
    const back = await visit(t, boris);
    await sendMessage(anna, chat, 'after');
    await back.inbox.until(1);
    assert.deepEqual(await sync(back, chat, 2), { messages: [], head: 1, has_more: false });
  });

  test('in a chat that was made meanwhile holds its history', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    await sendMessage(anna, chat, 'one');
    await sendMessage(anna, chat, 'two');
    await boris.inbox.until(2);
    assert.deepEqual(seqsOf((await sync(boris, chat, 0)).messages), [1, 2]);
    assert.deepEqual(seqsOf((await sync(boris, chat, 1)).messages), [2]);
  });

  test('takes a number as a text, and an empty list of chats', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'one');
    assert.deepEqual(seqsOf((await sync(anna, chat, '0')).messages), [1]);
    assert.deepEqual(await ask(anna.socket, 'sync', { chats: {} }), { chats: {} });
  });

  test('is not spoiled by a chat that is not there', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const foreign = await chatOf(boris);
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'one');
    const names = [...NO_CHAT_NAMES, foreign.id].filter((name) => name !== '__proto__');
    const { chats } = await ask(anna.socket, 'sync', {
      chats: { ...Object.fromEntries(names.map((name) => [name, 0])), [chat.id]: 0 },
    });
    assert.deepEqual(seqsOf(chats[chat.id].messages), [1]);
    assert.deepEqual(Object.keys(chats).sort(), [...names, chat.id].sort());
    for (const name of names) {
      const { error } = hasOnly(chats[name], 'error');
      assert.equal(error.code, 'not_found');
      assert.equal(error.message, `no such chat ${[...name].slice(0, 64).join('')}`);
    }
  });

  test('names 1,000 chats at most', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const of = (count) => ({ chats: Object.fromEntries(Array.from({ length: count }, (_, index) => [index + 1, 0])) });
    assert.equal(Object.keys((await ask(anna.socket, 'sync', of(1000))).chats).length, 1000);
    const names = Array.from({ length: 1001 }, (_, index) => NEVER_GIVEN_OUT.slice(0, -4) + String(index).padStart(4, '0'));
    const tooMany = { chats: Object.fromEntries(names.map((name) => [name, 0])) };
    const { code, message } = await refusal(anna.socket, 'sync', tooMany);
    assert.equal(code, 'too_large');
    assert.match(message, /1000/);
  });

  test('that is malformed is refused in each of its forms', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const chats = await Promise.all([1, 2, 3, 4].map(() => chatOf(anna)));
    const bad = badSyncRequests(chats.map(({ id }) => id));
    assert.ok(bad.length > 300);
    await Promise.all(bad.map(async ({ chats: asked, names }) => {
      const { code, message } = await refusal(anna.socket, 'sync', { chats: asked });
      assert.equal(code, 'invalid', JSON.stringify(asked));
      assert.ok(message.includes(names), `${message} does not name ${names}`);
    }));
    for (const body of [undefined, null, 7, 'chats', [], { user: 7, chats: {} }, { user: {}, chats: {} }]) {
      assert.equal((await refusal(anna.socket, 'sync', body)).code, 'invalid', JSON.stringify(body));
    }
    assert.equal((await exception(anna.socket, 'sync', {})).event, 'sync');
    assert.deepEqual(await ask(anna.socket, 'sync', { chats: {} }), { chats: {} });
  });
});

describe('auth.since', () => {
  test('replays what fits and names the chats of which there is more', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const [long, short] = [await chatOf(anna, boris), await chatOf(anna, boris)];
    await sendMany(anna, long, 5000, () => 'hello');
    await sendMany(anna, short, 3, () => 'hello');
    const back = await visit(t, boris, { since: { [long.id]: 0, [short.id]: 3 } });
    await back.delivered.until(1);
    assert.deepEqual(back.delivered[0], { chats: { [long.id]: { messages: [], head: 5000, has_more: true } } });
    assert.deepEqual(seqsOf(back.inbox), upTo(1000));
    await sendMessage(anna, long, 'live');
    const { found, asked } = await pages(back, long, 1000);
    assert.equal(asked, 4);
    await back.inbox.until(1001);
    assert.deepEqual([...seqsOf(back.inbox.slice(0, 1000)), ...found, ...seqsOf(back.inbox.slice(1000))], upTo(5001));
    assert.equal(back.delivered.length, 1);
  });

  test('reports a chat that was left as not found', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const [chat, foreign] = [await chatOf(anna, boris), await chatOf(anna)];
    await sendMessage(anna, chat, 'hello');
    const back = await visit(t, boris, { since: { [foreign.id]: 0, nowhere: 3, [chat.id]: 0 } });
    await back.delivered.until(1);
    assert.deepEqual(Object.keys(back.delivered[0].chats).sort(), [foreign.id, 'nowhere'].sort());
    for (const { error } of Object.values(back.delivered[0].chats)) assert.equal(error.code, 'not_found');
    assert.deepEqual(seqsOf(back.inbox), [1]);
  });

  test('counts as having caught up', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    for (const text of ['one', 'two']) await sendMessage(anna, chat, text);
    const back = await visit(t, boris, { since: { [chat.id]: 1 } });
    await sendMessage(anna, chat, 'three');
    await back.inbox.until(2);
    assert.deepEqual(seqsOf(back.inbox), [2, 3]);
    assert.deepEqual(seqsOf((await sync(back, chat, 0)).messages), [1, 2, 3]);
  });

  test('that is empty or null changes nothing', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    await sendMessage(anna, chat, 'one');
    for (const since of [undefined, null, {}]) {
      const back = await visit(t, boris, { since });
      assert.deepEqual(seqsOf((await sync(back, chat, 0)).messages), [1]);
      assert.equal(back.inbox.length + back.delivered.length, 0);
      back.socket.close();
    }
    await connect(t, server.url, { auth: { since: {} } });
  });

  test('that is malformed, too long or nobody\'s refuses the connection', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const chat = await chatOf(anna);
    const auth = { token: anna.user.externalUserId };
    const bad = ['', 'x', 7, true, [], [1], { [chat.id]: -1 }, { [chat.id]: 'x' }, { [chat.id]: null }, { x: 1.5 }];
    for (const since of bad) {
      const { message } = await connectRefused(t, server.url, { auth: { ...auth, since } });
      assert.equal(message, 'invalid', JSON.stringify(since));
    }
    const names = Array.from({ length: 1001 }, (_, index) => NEVER_GIVEN_OUT.slice(0, -4) + String(index).padStart(4, '0'));
    const tooMany = Object.fromEntries(names.map((name) => [name, 0]));
    assert.equal((await connectRefused(t, server.url, { auth: { ...auth, since: tooMany } })).message, 'too_large');
    const nobody = await connectRefused(t, server.url, { auth: { since: { [chat.id]: 0 } } });
    assert.equal(nobody.message, 'invalid');
  });

  test('means nothing in the marketplace', async (t) => {
    const auth = { token: uniqueName('visitor'), since: 'whatever' };
    await connect(t, server.url, { namespace: '/events', auth, query: { token: auth.token } });
  });
});

describe('the rights of a sync', () => {
  const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];
  let strict;
  before(async () => { strict = await startServer(scope, JWT); });

  async function holder(t, claims, more = {}) {
    const name = claims.sub ?? uniqueName('holder');
    const jwt = await token({ sub: name, ...claims });
    const socket = await connect(t, strict.url, { auth: { token: jwt, ...more } });
    const { user } = await ask(socket, 'create-user', { user: {} });
    return { socket, user, id: user.id, inbox: collect(socket, 'new-message') };
  }

  test('are those of a member, and of nobody else', async (t) => {
    const [anna, boris] = [await holder(t, {}), await holder(t, {})];
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'psst');
    assert.deepEqual(seqsOf((await sync(anna, chat, 0)).messages), [1]);
    assert.deepEqual((await sync(boris, chat, 0)).error, {
      code: 'not_found', retryable: false, message: `no such chat ${chat.id}`,
    });
    const named = { user: { id: anna.id }, chats: { [chat.id]: 0 } };
    assert.equal((await refusal(boris.socket, 'sync', named)).code, 'forbidden');
    assert.deepEqual(seqsOf((await ask(anna.socket, 'sync', named)).chats[chat.id].messages), [1]);
    const { message } = await connectRefused(t, strict.url, { auth: { since: { [chat.id]: 0 } } });
    assert.equal(message, 'unauthenticated');
  });

  test('of a service reach everywhere', async (t) => {
    const [anna, backend] = [await holder(t, {}), await holder(t, { role: 'service' })];
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'one');
    assert.deepEqual(seqsOf((await sync(backend, chat, 0)).messages), [1]);
    const named = { user: { id: anna.id }, chats: { [chat.id]: 0 } };
    assert.deepEqual(seqsOf((await ask(backend.socket, 'sync', named)).chats[chat.id].messages), [1]);
  });

  test('are those of the token with auth.since, too', async (t) => {
    const [anna, boris] = [await holder(t, {}), await holder(t, {})];
    const [own, foreign] = [await chatOf(anna, boris), await chatOf(anna)];
    for (const chat of [own, foreign]) await sendMessage(anna, chat, 'hello');
    const received = {};
    const opened = (socket) => Object.assign(received, { inbox: collect(socket, 'new-message'), delivered: collect(socket, 'sync') });
    const auth = { token: await token({ sub: boris.user.externalUserId }), since: { [own.id]: 0, [foreign.id]: 0 } };
    await connect(t, strict.url, { auth, opened });
    await received.delivered.until(1);
    assert.deepEqual(received.inbox.map(({ room }) => room), [own.id]);
    assert.deepEqual(Object.keys(received.delivered[0].chats), [foreign.id]);
  });

  test('in open mode are those of the user named, or of whom the connection acts as', async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, 'one');
    assert.equal((await sync(boris, chat, 0)).error.code, 'not_found');
    const named = { user: { id: anna.id }, chats: { [chat.id]: 0 } };
    assert.deepEqual(seqsOf((await ask(boris.socket, 'sync', named)).chats[chat.id].messages), [1]);
    const trusted = await connect(t, server.url);
    assert.deepEqual(seqsOf((await sync({ socket: trusted }, chat, 0)).messages), [1]);
  });
});

test('who becomes another user has that one\'s past to catch up on', async (t) => {
  const [anna, boris, carla] = await connectUsers(t, server, 'anna', 'boris', 'carla');
  const [first, second] = [await chatOf(anna, boris), await chatOf(anna, carla)];
  for (const chat of [first, second]) for (const text of ['one', 'two']) await sendMessage(anna, chat, text);
  const back = await visit(t, boris, { since: { [first.id]: 0 } });
  await back.inbox.until(2);
  await ask(back.socket, 'create-user', { user: { externalUserId: carla.user.externalUserId } });
  await sendMessage(anna, first, 'three');
  await sendMessage(anna, second, 'three');
  await back.inbox.until(3);
  const { found } = await pages(back, second, 1);
  assert.deepEqual(found, [2]);
  assert.deepEqual(back.inbox.map(({ room, seq }) => [room, seq]), [[first.id, 1], [first.id, 2], [second.id, 3]]);
  assert.equal((await sync(back, first, 0)).error.code, 'not_found');
});

test('a second connection of the same user catches up on its own', async (t) => {
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  await sendMessage(anna, chat, 'one');
  const other = await connectAgain(t, server, boris);
  await sendMessage(anna, chat, 'two');
  await flushInboxes(anna, boris, other);
  assert.deepEqual(seqsOf((await sync(other, chat, 0)).messages), [1]);
  assert.deepEqual(seqsOf((await sync(boris, chat, 0)).messages), [1, 2]);
  assert.equal((await connectUser(t, server, 'dora')).inbox.length, 0);
});
