// @ts-check
// Owns the promise of `polychat import` and `polychat export` over stores: an import that is killed again and again ends like
// one that was not, an export of everything makes an equal store of either kind, and a large file needs little memory.
import assert from 'node:assert/strict';
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { upTo } from '../clients/fixtures.mjs';
import { ask } from '../clients/socketio.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { seededRandom, testRandom } from '../harness/random.mjs';
import { runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { HEADER, assertRefused, exported, imported, linesOf, runImport, saved, schemaFault, startImport } from './import.commands.mjs';
import { fill, startOn, visit } from './import.filled.mjs';
import { WORLD } from './import.world.mjs';

const MIB = 1024 * 1024;

/** A file with this many messages in random order, and no more of it in memory than a part. */
function largeFile(path, { messages, chats, users }) {
  const { below } = seededRandom(messages);
  const file = openSync(path, 'w');
  let text = '';
  const add = (record) => {
    text += `${JSON.stringify(record)}\n`;
    if (text.length > MIB) text = `${writeSync(file, text) && ''}`;
  };
  const at = (second) => new Date(1_700_000_000_000 + second * 1000).toISOString();
  add(HEADER);
  const members = (chat) => [0, 1, 2].map((index) => `external:u${(chat + index) % users}`);
  for (let index = 0; index < messages; index++) {
    const chat = below(chats);
    add({
      type: 'message', chat: `external:room-${chat}`, original_id: index, sender: members(chat)[index % 3],
      text: `message ${index} in room ${chat}, of the usual length`, created_at: at(below(messages)),
    });
  }
  for (let chat = 0; chat < chats; chat++) {
    add({ type: 'chat', externalChatId: `room-${chat}`, pk: chat + 1, members: members(chat), created_at: at(0) });
  }
  for (let user = 0; user < users; user++) add({ type: 'user', externalUserId: `u${user}`, pk: user + 1, created_at: at(0) });
  writeSync(file, text);
  closeSync(file);
}

/** Lines of an export without the ids that polychat gave, which are different each time. */
function withoutIds(lines) {
  const records = lines.map((line) => JSON.parse(line));
  const pks = new Map(records.filter((record) => record.type === 'chat').map(({ id, pk }) => [id, pk]));
  return records.map(({ id, ...record }) => (record.type === 'message' ? { ...record, chat: pks.get(record.chat) } : record));
}

const fileOf = (owner, lines) => saved(owner, linesOf(lines));

describe('an import into a file', () => {
  test('that is killed at random moments ends like one that was not', async (t) => {
    const random = testRandom(t);
    const path = join(await tempDir(t), 'large.jsonl');
    largeFile(path, { messages: 6000, chats: 40, users: 60 });
    const undisturbed = (await storeFile(t)).store;
    await imported(path, ['--store', undisturbed]);
    const expected = await exported(undisturbed);

    const own = await fileOf(t, expected);
    for (const [file, compared] of Object.entries({ [path]: withoutIds, [own]: (lines) => lines })) {
      const { store } = await storeFile(t);
      for (const _ of upTo(8)) {
        const running = startImport(file, ['--store', store]);
        await sleep(random.between(50, 500));
        running.kill();
        await running.ended;
      }
      const printed = await imported(file, ['--store', store]);
      const [, created, found] = /^messages +(\d+) new, (\d+) there before$/m.exec(printed) ?? [];
      assert.equal(Number(created) + Number(found), 6000, printed);
      assert.ok(Number(found) > 0, 'each was killed before it imported anything');
      assert.deepEqual(compared(await exported(store)), compared(expected));
    }
  });

  test('is refused while a server uses it, and so is an export', async (t) => {
    const { store } = await storeFile(t);
    const server = await startServer(t, ['--store', store]);
    const used = new RegExp(`another polychat is using it \\(process ${server.pid}\\)`);
    const file = await fileOf(t, WORLD);
    assertRefused(await runImport(file, ['--store', store]), used);
    assertRefused(await runToEnd(['export', '--store', store]), used);
    await server.stop();
    await imported(file, ['--store', store]);
  });

  test('takes the numbers from the options of the server', async (t) => {
    const records = [
      { type: 'user', externalUserId: 14 }, { type: 'user', externalUserId: 'x' },
      { type: 'chat', externalChatId: 'c', members: ['external:15'] },
    ];
    const { store } = await storeFile(t);
    await imported(await fileOf(t, records), ['--store', store, '--numeric-external-ids', '--own-numbers-from', '1000']);
    const numbers = (await exported(store)).map((line) => JSON.parse(line)).filter(({ pk }) => pk);
    assert.deepEqual(numbers.map(({ type, externalUserId, pk }) => [type, externalUserId, pk]), [
      ['user', '14', 14], ['user', '15', 15], ['user', 'x', 1000], ['chat', undefined, 1000],
    ]);
  });

  test('needs a file that it does not change, and an export none that exists', async (t) => {
    const { store } = await storeFile(t);
    const file = await fileOf(t, WORLD);
    const before = readFileSync(file, 'utf8');
    await imported(file, ['--store', store]);
    assert.equal(readFileSync(file, 'utf8'), before);
    assertRefused(await runToEnd(['export', '--store', store, '--output', file]), /--output .*File exists/);
    assert.equal(readFileSync(file, 'utf8'), before);
    const { path, store: missing } = await storeFile(t);
    assertRefused(await runToEnd(['export', '--store', missing]), /there is no such file/);
    assert.ok(!existsSync(path));
  });
});

describe('an export of everything', () => {
  test('makes an equal store, of SQLite and of MongoDB, whose server goes on with it', async (t) => {
    const mongod = await startMongod(t);
    const { store } = await storeFile(t);
    const there = await fill(t, store);
    const lines = await exported(store);
    for (const line of lines) assert.equal(schemaFault(JSON.parse(line)), undefined, line);
    const kinds = [
      'bans', 'kept', 'idempotency_key', 'revoked_before', 'photos', 'metadata', 'client_id', 'last_read', 'role', 'mute',
      'event', 'sent_as_read', 'team',
    ];
    for (const field of kinds) assert.ok(lines.some((line) => line.includes(`"${field}":`)), `nothing has ${field}`);

    const database = `mongodb://127.0.0.1:${mongod.port}/moved?replicaSet=rs0`;
    const last = (await storeFile(t)).store;
    let file = await fileOf(t, lines);
    for (const next of [(await storeFile(t)).store, database, last]) {
      const check = await runImport(file, ['--dry-run', '--store', next]);
      assert.equal(check.code, 0, check.stdout);
      for (const _ of upTo(2)) await imported(file, ['--store', next]);
      const output = join(await tempDir(t), 'export.jsonl');
      const { code, stderr } = await runToEnd(['export', '--store', next, '--output', output]);
      assert.equal(code, 0, stderr);
      assert.deepEqual(readFileSync(output, 'utf8').trim().split('\n').slice(1), lines);
      file = output;
    }
    await assertGoesOn(t, last, there, lines.map((line) => JSON.parse(line)));
  });

  test('is not changed by the order of its lines', async (t) => {
    const { store } = await storeFile(t);
    await imported(await fileOf(t, WORLD), ['--store', store]);
    const lines = await exported(store);
    const other = (await storeFile(t)).store;
    await imported(await fileOf(t, lines.toReversed()), ['--store', other]);
    assert.deepEqual(await exported(other), lines);
  });
});

/** A server on a store that was moved: what was sent before is known, and numbers go on after the last ones. */
async function assertGoesOn(t, store, { chat, event, order, body }, records) {
  const numbers = records.find(({ type }) => type === 'numbers');
  const of = (name, seq) => records.find((record) => record.type === 'message' && record.chat === name && record.seq === seq);
  const { server, host } = await startOn(t, store);
  const anna = await visit(t, server, 'anna');
  const again = await ask(anna.socket, 'new-message', { room: chat.id, msg: 'another text', client_id: 'c-1' });
  assert.deepEqual([again.id, again.seq, again.msg], [of(chat.id, 1).id, 1, 'one']);
  assert.equal((await ask(anna.socket, 'new-message', { room: chat.id, msg: 'four' })).seq, 4);
  const repeated = await host.call('POST', '/chats', body, { 'idempotency-key': 'order-1' });
  assert.deepEqual([repeated.status, repeated.body.id], [201, order.id], repeated.text);
  assert.equal((await host.user('newcomer')).pk, numbers.users + 1);
  assert.equal((await host.chat(anna.user)).pk, numbers.chats + 1);
  assert.equal((await host.event(anna.user)).id, numbers.events + 1);
  assert.ok(event.id < numbers.events, 'the last event was deleted');
  const { members } = await host.get(`/chats/${order.id}/members`);
  assert.equal(members.length, 2);
  const carl = records.find(({ externalUserId }) => externalUserId === 'carl');
  await host.ok(200, 'POST', `/chats/${order.id}/members`, { users: [carl.id] });
  const back = (await host.get(`/chats/${order.id}/members`)).members.find(({ id }) => id === carl.id);
  assert.deepEqual([back.role, back.muted], ['reader', true]);
}

test('a large file in random order is checked with little memory', async (t) => {
  const path = join(await tempDir(t), 'large.jsonl');
  largeFile(path, { messages: 200_000, chats: 1000, users: 500 });
  const running = startImport(path, ['--dry-run']);
  let peak = 0;
  let over = false;
  const ended = running.ended.finally(() => { over = true; });
  while (!over) {
    try {
      peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${running.pid}/status`, 'utf8'))?.[1] ?? peak / 1024) * 1024;
    } catch { /* it has ended */ }
    await sleep(20);
  }
  const { code, stdout } = await ended;
  assert.equal(code, 0, stdout);
  assert.match(stdout, /^messages +200000$/m);
  t.diagnostic(`${(peak / MIB).toFixed(1)} MiB`);
  assert.ok(peak > 0 && peak < 80 * MIB, `${peak / MIB} MiB`);
});
