// @ts-check
// Owns the promise of `polychat import --dry-run`: every line at fault is named with its reason, and nothing is created; and
// that of the schema: it allows what is imported and exported, and refuses what it can see.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { runToEnd, startServer, storeFile } from '../harness/server.mjs';
import {
  HEADER, JWT, assertRefused, exported, faults, imported, into, linesOf, runImport, saved, schemaFault,
} from './import.commands.mjs';
import { WORLD, message } from './import.world.mjs';
import { WRONG, WRONG_BY_SCHEMA } from './import.wrong-lines.mjs';

describe('the check of a file', () => {
  test('names every wrong line with its reason, and creates nothing', async (t) => {
    const { path, store } = await storeFile(t);
    const file = await saved(t, linesOf(WRONG.map(([line]) => line)));
    const result = await runImport(file, ['--dry-run', '--store', store]);
    assert.equal(result.code, 1);
    const found = faults(result);
    assert.deepEqual(found.map(({ line }) => line), WRONG.map((_, index) => index + 2));
    for (const [index, { why }] of found.entries()) {
      const [line, expected] = WRONG[index];
      assert.ok(why.startsWith(expected), `${JSON.stringify(line).slice(0, 200)} is refused with: ${why}`);
    }
    assertRefused(await runImport(file, ['--store', store]), /lines are wrong, and nothing was imported/);
    if (path) {
      assert.ok(!existsSync(path), 'a store was created');
      return;
    }
    const { code, stdout } = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /^content +0 users, 0 chats, 0 messages$/m);
  });

  test('names lines that contradict an earlier one', async (t) => {
    const twice = [
      { type: 'user', externalUserId: 'anna', pk: 7 }, { type: 'user', externalUserId: 'anna' }, { type: 'user', externalUserId: 'b', pk: 7 },
      { type: 'event', id: 1, eventOwnerId: 7, name: 'x' }, { type: 'event', id: '1', eventOwnerId: 7, name: 'y' },
      { type: 'chat', externalChatId: 'r', pk: 7 }, { type: 'chat', externalChatId: 'r' }, { type: 'chat', externalChatId: 's', pk: 7 },
      message('r', 1, 'anna'), message('r', 1, 'anna', { text: 'another' }), message('r', 1, 'anna', { chat: 7 }), HEADER,
      message('s', 1, 'anna', { original_id: 'r-1' }),
    ];
    const found = faults(await runImport(await saved(t, linesOf(twice)), ['--dry-run']));
    assert.deepEqual(found.map(({ line, why }) => [line, why]).sort(([one], [other]) => one - other), [
      [3, 'this user stands in line 2 already'], [4, 'a user with this pk stands in line 2 already'],
      [6, 'this event stands in line 5 already'],
      [8, 'this chat stands in line 7 already'], [9, 'a chat with this pk stands in line 7 already'],
      [11, 'this message of the chat stands in line 10 already'], [12, 'this message of the chat stands in line 10 already'],
      [13, 'a second line with the version'],
    ]);
  });

  test('is about the bytes, too: UTF-8, the ends of lines, and the first line', async (t) => {
    const check = async (content) => runImport(await saved(t, content), ['--dry-run']);
    const user = (name) => JSON.stringify({ type: 'user', externalUserId: name });
    const header = JSON.stringify(HEADER);
    const good = [
      `\ufeff${header}\r\n${user('a')}\r\n${user('b')}\r\n`, `${header}\n\n  \n${user('a')}\n\t\n${user('b')}`,
      `\n\n${header}\n ${user('a')} \n${user('b')}\t\n`,
      `${header}\n${user('a')}\n${JSON.stringify({ type: 'user', externalUserId: 'b', notes: 'x'.repeat(10_000_000) })}`,
    ];
    for (const content of good) {
      const { code, stdout } = await check(content);
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^users +2$/m);
    }
    const invalid = Buffer.concat([Buffer.from(`${header}\n{"type":"user","externalUserId":"`), Buffer.from([0xff]), Buffer.from('"}\n')]);
    assert.deepEqual(faults(await check(invalid)), [{ line: 2, why: 'is not UTF-8' }]);
    assert.deepEqual(faults(await check(`${user('a')}\n`)), [{ line: 1, why: `the first line has to be ${JSON.stringify(HEADER)}` }]);
    const [{ line, why }] = faults(await check(`${header}\n\ufeff${user('a')}\n`));
    assert.deepEqual([line, why.slice(0, 9)], [2, 'the line:']);
    assert.match((await check(`${header}\n${user('a')}\r${user('b')}\r`)).stdout, /^line 2: the line: is not JSON/m);
  });

  test('names fields that are not kept, and chats that have to exist', async (t) => {
    const records = [
      { type: 'user', externalUserId: 'a', email: 'a@example' }, { type: 'user', externalUserId: 'b', email: 'b@example' },
      message('elsewhere', 1, 'a', { likes: 2, metadata: { likes: 3 } }),
    ];
    const { code, stdout } = await runImport(await saved(t, linesOf(records)), ['--dry-run']);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /user\.email, 2 times, first in line 2/);
    assert.match(stdout, /message\.likes, 1 times, first in line 4/);
    assert.match(stdout, /1 chats that messages or read positions name, such as .*elsewhere/);
  });
});

describe('the schema of a line', () => {
  test('allows what is imported and exported', async (t) => {
    const { store } = await storeFile(t);
    const server = await startServer(t, [...JWT, '--store', store]);
    await imported(await saved(t, linesOf(WORLD)), await into(t, server));
    await server.stop();
    const lines = await exported(store);
    assert.equal(lines.length, 1 + 7 + 1 + 3 + 14, 'the numbers, and no user of the service');
    for (const record of [HEADER, ...WORLD, ...lines.map((line) => JSON.parse(line))]) {
      assert.equal(schemaFault(record), undefined, JSON.stringify(record));
    }
  });

  test('refuses lines of which it shows the fault', () => {
    for (const [record] of WRONG_BY_SCHEMA) assert.ok(schemaFault(record), JSON.stringify(record).slice(0, 200));
  });

  test('allows every example of the documents', () => {
    const documents = ['docs/IMPORT.md', 'docs/MOVING-IN.md', 'examples/import/README.md'];
    const texts = documents.map((path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));
    const candidates = texts.flatMap((text) => text.split('\n').filter((line) => /^\{"type": ?"/.test(line)));
    const records = candidates.filter((line) => !line.includes('…')).map((line) => JSON.parse(line));
    assert.ok(records.length > 0);
    for (const record of records) assert.equal(schemaFault(record), undefined, JSON.stringify(record));
  });
});
