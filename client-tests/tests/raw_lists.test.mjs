// @ts-check
// Owns the promises about the lists of rooms and chats over raw WebSockets: own ones first, then the newest others, and
// pages that reach every one of them.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction, isRoom, newRoom, refusal, sendAndFlush } from '../clients/action.mjs';
import { connectType, isChat, join, refusal as refusedByType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

/** More rooms than one answer holds. */
const MANY = 1_030;

/** How many are made at once. */
const AT_ONCE = 50;

let server;
/** All rooms, the oldest first. */
const rooms = [];
const scope = useScope();
before(async () => {
  server = await startServer(scope, ['--rate-limit', 'off', '--max-chats-per-user', 'off']);
  const maker = await connectAction(scope, server, 'maker');
  while (rooms.length < MANY) {
    rooms.push(...await Promise.all(Array.from({ length: AT_ONCE }, () => newRoom(maker))));
  }
  rooms.sort((one, other) => one - other);
});

async function page({ wire }, fields = {}) {
  const reply = await wire.ask({ action: 'list', ...fields });
  assert.equal(reply.response_status, 200, JSON.stringify(reply.errors));
  for (const room of reply.data) isRoom(room);
  return { pks: reply.data.map(({ pk }) => pk), next: reply.next };
}

/** All pages, one after another. */
async function pages(ask) {
  const found = [];
  let next;
  do {
    const answer = await ask(next);
    found.push(answer.pks);
    next = answer.next;
    assert.ok(next === undefined || typeof next === 'string');
  } while (next !== undefined);
  return found;
}

const newestFirst = (pks) => [...pks].sort((one, other) => other - one);

describe('list of the action dialect', () => {
  test('has own rooms first, then the newest others, and reaches all of them in pages', async (t) => {
    const anna = await connectAction(t, server, 'anna');
    const own = [rooms[0], rooms[1], rooms[MANY - 500]];
    for (const pk of own) await sendAndFlush(anna, 'join_room', { pk });
    const others = rooms.filter((pk) => !own.includes(pk));
    const expected = [...newestFirst(own), ...newestFirst(others)];
    const first = await page(anna);
    assert.deepEqual(first.pks, expected.slice(0, 1000));
    assert.deepEqual((await page(anna, { limit: 9_999 })).pks, expected.slice(0, 1000));
    for (const limit of [undefined, 2, 300]) {
      const some = limit === 2 ? 5 : Infinity;
      let asked = 0;
      const found = await pages(async (next) => {
        asked += 1;
        const answer = await page(anna, { limit, before: next });
        return asked < some ? answer : { pks: answer.pks };
      });
      assert.deepEqual(found.flat(), expected.slice(0, found.flat().length));
      assert.equal(found.flat().length, limit === 2 ? 10 : expected.length);
      for (const each of found.slice(0, -1)) assert.equal(each.length, limit ?? 1000);
    }
  });

  test('shows a new room to everybody', async (t) => {
    const [anna, boris] = [await connectAction(t, server, 'anna'), await connectAction(t, server, 'boris')];
    const pk = await newRoom(anna);
    rooms.push(pk);
    assert.equal((await page(boris, { limit: 1 })).pks[0], pk);
    await sendAndFlush(boris, 'join_room', { pk: rooms[0] });
    assert.deepEqual((await page(boris, { limit: 2 })).pks, [rooms[0], pk]);
  });

  test('refuses a wrong limit and a wrong place', async (t) => {
    const anna = await connectAction(t, server, 'anna');
    for (const limit of [0, -1, 'x', {}, true]) {
      assert.deepEqual(Object.keys((await refusal(anna, 'list', { limit }, 400))[0]), ['limit']);
    }
    for (const place of [0, '', 'x', 'own.', '1740830400000.7', []]) {
      assert.deepEqual(Object.keys((await refusal(anna, 'list', { before: place }, 400))[0]), ['before']);
    }
    assert.equal((await page(anna, { limit: null, before: null })).pks.length, 1000);
  });
});

describe('getChats of the type dialect', () => {
  test('reaches every chat in pages, the most recently active first', async (t) => {
    const anna = await connectType(t, server, 'anna');
    const own = rooms.slice(10, 25);
    for (const pk of own) await join(anna, pk);
    for (const limit of [undefined, 4, '15', 99]) {
      const found = await pages(async (next) => {
        const answer = await anna.wire.ask({ type: 'getChats', data: { limit, before: next } });
        assert.equal(answer.type, 'chatsList');
        for (const chat of answer.data) isChat(chat);
        return { pks: answer.data.map(({ id }) => id), next: answer.next };
      });
      assert.deepEqual(found.flat().sort((one, other) => one - other), own);
      assert.equal(found.length, limit === 4 ? 4 : 1);
    }
    assert.equal((await refusedByType(anna, 'getChats', { before: 'x' })).code, 'invalid');
  });
});
