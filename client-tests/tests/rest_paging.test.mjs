// @ts-check
// Owns the lists of the REST API: pages that hold everything once and in order, however long they are, cursors that
// lead on from where a page ended, and the ranges of a chat's messages.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const COUNT = 25;
const LIMITS = [1, 7, 24, 25, 26, 1000];
const DEFAULT = 100;
const MOST = 1000;

const scope = useScope();
let host;
let owner; // of every event, and a member of every chat
let users;
let chats;
let events;
before(async () => {
  host = new Backend(await startServer(scope));
  users = [];
  for (let made = 0; made < COUNT; made++) users.push(await host.user('user'));
  [owner] = users;
  chats = [];
  for (const user of users) chats.push(await host.chat(owner, user));
  events = [];
  for (let made = 0; made < COUNT; made++) events.push(await host.event(made % 2 === 0 ? owner : users[1]));
});

/** The ids of everything in the pages of a list, and how many there were in each page. */
async function paged(path, what, limit) {
  const pages = await host.all(path, what, limit);
  return { ids: pages.flat().map(({ id }) => id), lengths: pages.map(({ length }) => length) };
}

const lengths = (count, limit) => {
  const full = Array(Math.floor(count / limit)).fill(limit);
  return count % limit === 0 ? full : [...full, count % limit];
};

const ids = (things) => things.map(({ id }) => id);

describe('a list', () => {
  const LISTS = {
    'of users': () => ['/users', 'users', ids(users)],
    'of chats': () => ['/chats', 'chats', ids(chats)],
    'of events': () => ['/events', 'events', ids(events)],
    'of one owner\'s events': () => (
      [`/events?owner=${owner.id}`, 'events', ids(events.filter((_, index) => index % 2 === 0))]
    ),
    'of one user\'s chats, the most recently active first': () => (
      [`/chats?user=${owner.pk}`, 'chats', ids(chats).toReversed()]
    ),
  };

  for (const [what, make] of Object.entries(LISTS)) {
    test(`${what} comes in pages of any length, everything once and in order`, async () => {
      const [path, name, expected] = make();
      for (const limit of LIMITS) {
        const { ids: found, lengths: of } = await paged(path, name, limit);
        assert.deepEqual(found, expected, `limit ${limit}`);
        assert.deepEqual(of, lengths(expected.length, limit), `limit ${limit}`);
      }
    });
  }

  test('that is empty is one empty page', async () => {
    const lonely = await host.user('lonely');
    assert.deepEqual(await host.get(`/chats?user=${lonely.id}`), { chats: [], next: null });
    assert.deepEqual(await host.get(`/events?owner=${lonely.id}`), { events: [], next: null });
    const chat = await host.chat(lonely);
    assert.deepEqual(await host.get(`/chats/${chat.id}/messages`), { messages: [], has_more: false, next: null });
  });

  test('of somebody unknown is not found', async () => {
    await host.refused(404, 'not_found', 'GET', '/chats?user=4000000000');
    await host.refused(404, 'not_found', 'GET', '/events?owner=4000000000');
  });

  test('has a limit that is clamped, and one of its own if none is given', async () => {
    const { chatId } = await host.eventChat(events[0], users[2]);
    for (let made = 0; made < DEFAULT + 1; made++) await host.sendMessage({ chatId }, owner, `${made}`);
    const count = async (query) => (await host.get(`/chats/${chatId}/messages${query}`)).messages.length;
    assert.equal(await count(''), DEFAULT);
    for (const limit of [MOST, MOST + 1, 1_000_000, '99999999999999999999']) {
      assert.equal(await count(`?limit=${limit}`), DEFAULT + 1);
    }
  });

  test('that grows meanwhile shows what is new at its end, and nothing twice', async () => {
    const first = await host.get('/users?limit=20');
    const newcomer = await host.user('newcomer');
    const rest = await host.get(`/users?limit=1000&cursor=${encodeURIComponent(first.next)}`);
    const all = ids([...first.users, ...rest.users]);
    assert.equal(new Set(all).size, all.length);
    assert.equal(all.at(-1), newcomer.id);
  });

  test('continues where the page ended, even if its last entry is gone', async () => {
    const [one, two, three] = [await host.event(users[3]), await host.event(users[3]), await host.event(users[3])];
    const first = await host.get(`/events?owner=${users[3].id}&limit=2`);
    assert.deepEqual(ids(first.events), [one.id, two.id]);
    await host.ok(204, 'DELETE', `/events/${two.id}`);
    const second = await host.get(`/events?owner=${users[3].id}&limit=2&cursor=${encodeURIComponent(first.next)}`);
    assert.deepEqual(ids(second.events), [three.id]);
  });

  test('takes its own cursors only', async () => {
    const paths = ['/users', '/chats', `/chats?user=${owner.id}`, '/events', `/chats/${chats[0].id}/messages`];
    await host.sendMessage(chats[0], owner, 'one');
    await host.sendMessage(chats[0], owner, 'two');
    const withQuery = (path, query) => `${path}${path.includes('?') ? '&' : '?'}${query}`;
    const cursors = [];
    for (const path of paths) cursors.push((await host.get(withQuery(path, 'limit=1'))).next);
    for (const [index, path] of paths.entries()) {
      for (const [other, cursor] of cursors.entries()) {
        const query = withQuery(path, `cursor=${encodeURIComponent(cursor)}`);
        if (other === index) await host.get(query);
        else await host.refused(400, 'invalid', 'GET', query);
      }
      for (const cursor of ['', 'x', '1', '%00', 'u', 'u0', 'u-1', `u${'9'.repeat(30)}`, '😀']) {
        await host.refused(400, 'invalid', 'GET', withQuery(path, `cursor=${cursor}`));
      }
    }
  });
});

describe('the messages of a chat', () => {
  let chat;
  let sent;
  before(async () => {
    chat = await host.chat(...users.slice(0, 2));
    sent = [];
    for (let made = 1; made <= COUNT; made++) {
      await tick();
      sent.push(await host.sendMessage(chat, users[made % 2], `message ${made}`));
    }
  });

  const list = (query) => host.get(`/chats/${chat.id}/messages?${new URLSearchParams(query)}`);
  const numbers = async (query) => (await list(query)).messages.map(({ seq }) => seq);
  const range = (from, to) => upTo(to).slice(from - 1);

  for (const limit of LIMITS) {
    test(`come in pages of ${limit}: backwards from the latest, forwards with after_seq`, async () => {
      const path = `/chats/${chat.id}/messages`;
      const back = await host.all(path, 'messages', limit);
      assert.deepEqual(back.toReversed().flat(), sent);
      assert.deepEqual(back.map(({ length }) => length), lengths(COUNT, limit));
      const on = await host.all(`${path}?after_seq=0`, 'messages', limit);
      assert.deepEqual(on.flat(), sent);
      assert.deepEqual(on.map(({ length }) => length), lengths(COUNT, limit));
      const some = await host.all(`${path}?after_seq=5&before_seq=20`, 'messages', limit);
      assert.deepEqual(some.flat(), sent.slice(5, 19));
    });
  }

  test('say whether there are more, exactly', async () => {
    for (const [query, more] of [
      [{ limit: COUNT }, false], [{ limit: COUNT - 1 }, true], [{ after_seq: 0, limit: COUNT }, false],
      [{ after_seq: 0, limit: COUNT - 1 }, true], [{ before_seq: 4, limit: 3 }, false],
      [{ before_seq: 4, limit: 2 }, true], [{ after_seq: COUNT }, false],
    ]) {
      const page = await list(query);
      assert.equal(page.has_more, more, JSON.stringify(query));
      assert.equal(page.next !== null, more, JSON.stringify(query));
    }
  });

  test('are those between two numbers, neither included', async () => {
    assert.deepEqual(await numbers({ after_seq: 20 }), range(21, 25));
    assert.deepEqual(await numbers({ before_seq: 4 }), [1, 2, 3]);
    assert.deepEqual(await numbers({ after_seq: 3, before_seq: 7 }), [4, 5, 6]);
    assert.deepEqual(await numbers({ after_seq: 7, before_seq: 3 }), []);
    assert.deepEqual(await numbers({ after_seq: 1_000_000 }), []);
    assert.deepEqual(await numbers({ before_seq: 0 }), []);
    assert.deepEqual(await numbers({ before_seq: 1 }), []);
  });

  test('are those between two times or days, both included', async () => {
    const at = (seq) => sent[seq - 1].created_at;
    assert.deepEqual(await numbers({ from: at(5), to: at(9) }), range(5, 9));
    assert.deepEqual(await numbers({ from: at(24) }), [24, 25]);
    assert.deepEqual(await numbers({ to: at(2) }), [1, 2]);
    assert.deepEqual(await numbers({ from: at(9), to: at(5) }), []);
    const shifted = new Date(Date.parse(at(3)) + 7_200_000).toISOString().replace('Z', '+02:00');
    assert.deepEqual(await numbers({ to: shifted }), [1, 2, 3]);
    const day = (time) => new Date(time).toISOString().slice(0, 10);
    const [first, last] = [day(at(1)), day(at(COUNT))];
    assert.deepEqual(await numbers({ from: first, to: last }), upTo(COUNT));
    assert.deepEqual(await numbers({ to: day(Date.parse(at(1)) - 86_400_000) }), []);
    assert.deepEqual(await numbers({ from: day(Date.parse(at(COUNT)) + 86_400_000) }), []);
    assert.deepEqual(await numbers({ from: at(5), after_seq: 8, to: at(12), limit: 3 }), [9, 10, 11]);
    assert.deepEqual(await numbers({ from: at(5), to: at(12), limit: 3 }), [10, 11, 12]);
  });
});
