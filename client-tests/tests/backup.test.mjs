// @ts-check
// Owns the promise about backups of SQLite: what was acknowledged before a backup began is in it, and is there again after
// the machine is lost; clients that know more are told so; nothing that is in use or exists is replaced unasked.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { Ledger, assertKept } from '../chaos/ledger.mjs';
import { startWriters, storedByText } from '../chaos/scenario.mjs';
import { assertContinues, assertReset } from '../clients/ahead.mjs';
import { chatOf, connectAgain, connectUsers, fullHistory, sendMany, sendMessage } from '../clients/fixtures.mjs';
import { FULL_DISKS } from '../harness/preload.mjs';
import { BINARY, runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';

const PATIENCE_MS = 60_000;

const backUp = (file, store, env = {}) => runToEnd(['backup', file, '--store', store], { env });
const restore = (file, store, ...more) => runToEnd(['restore', file, '--store', store, ...more]);

/** It ended well: the lines that it printed. */
async function succeeded(run) {
  const { code, stdout, stderr } = await run;
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' });
  return stdout.trimEnd().split('\n');
}

async function assertRefused(run, why) {
  const { code, stdout, stderr } = await run;
  assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  assert.equal(stderr.trimEnd().split('\n').length, 1, `one sentence expected:\n${stderr}`);
  assert.match(stderr, why);
}

/** Two members of a chat with messages, on a server whose store is a file in a folder of its own. */
async function startScene(t, count) {
  const { path, store } = await storeFile(t);
  const server = await startServer(t, ['--store', store]);
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  await sendMany(anna, chat, count, (number) => `number ${number}`);
  return { path, folder: dirname(path), store, server, anna, boris, chat, file: join(await tempDir(t), 'copy.db') };
}

/** The machine is lost: the process ends at once, and its files are gone. */
async function lose({ server, folder }) {
  await server.kill();
  rmSync(folder, { recursive: true });
  mkdirSync(folder);
}

test('a backup under load has all that was acknowledged before it, and is served after the machine is lost', async (t) => {
  const { path, store } = await storeFile(t);
  const server = await startServer(t, ['--store', store]);
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  let going = true;
  const work = Promise.all(writers.map((writer) => writer.sendWhile(() => going)));
  work.catch(() => {}); // awaited below
  await ledger.until(500, PATIENCE_MS);

  const before = { acknowledged: new Map(ledger.acknowledged) };
  const file = join(await tempDir(t), 'copy.db');
  const [line, ...rest] = await succeeded(backUp(file, store));
  const counted = /^backup {3}10 users, 3 chats, ([\d,]+) messages, [\d.]+ [kM]B; checked$/.exec(line);
  assert.ok(counted && rest.length === 0, line);
  await ledger.until(ledger.acknowledged.size + 100, PATIENCE_MS);
  going = false;
  await work;
  // The writers lost neither their connections nor a message meanwhile.
  assertKept(ledger, await storedByText(t, server, users[0], chats));
  assert.deepEqual(ledger.losses, []);

  await lose({ server, folder: dirname(path) });
  await succeeded(restore(file, store));
  const restored = await startServer(t, ['--store', store]);
  const stored = await storedByText(t, restored, users[0], chats);
  assertKept(before, stored);
  assert.equal(stored.size, Number(counted[1].replaceAll(',', '')));
  assert.ok(stored.size < ledger.acknowledged.size, 'it was made while the server went on');
});

test('clients that know more than the restored store begin anew, those that know less continue', async (t) => {
  const scene = await startScene(t, 8);
  const { anna, boris, chat, store, file } = scene;
  await succeeded(backUp(file, store));
  const kept = (await fullHistory(anna, chat)).at(-1);
  await sendMany(boris, chat, 4, (number) => `lost ${number}`);
  const lost = (await fullHistory(anna, chat)).slice(-4);
  await lose(scene);

  const printed = await succeeded(restore(file, store));
  assert.match(printed[0], /^restored 2 users, 1 chats, 8 messages, [\d.]+ kB; checked$/);
  assert.match(printed[1], /^clients {2}.*`reset`.*docs\/RECONNECTING\.md/);
  const server = await startServer(t, ['--store', store]);
  const reader = await connectAgain(t, server, anna);
  await assertReset(reader, chat, lost[3]); // beyond the end
  await assertContinues(reader, chat, kept, 0);
  for (const number of [1, 2]) assert.equal((await sendMessage(reader, chat, `new ${number}`)).seq, 8 + number);
  for (const message of lost) await assertReset(reader, chat, message);
  await assertContinues(reader, chat, kept, 2);
});

describe('polychat restore', () => {
  test('is refused while a server uses the store, which goes on, and so is a second server afterwards', async (t) => {
    const { store, folder, server, anna, chat, file } = await startScene(t, 3);
    await succeeded(backUp(file, store));
    const names = readdirSync(folder);
    const used = new RegExp(`another polychat is using it \\(process ${server.pid}\\); stop it first`);
    for (const more of [[], ['--replace']]) await assertRefused(restore(file, store, ...more), used);
    assert.deepEqual(readdirSync(folder), names);
    assert.equal((await sendMessage(anna, chat, 'one more')).seq, 4);

    await server.stop();
    await succeeded(restore(file, store, '--replace'));
    const restored = await startServer(t, ['--store', store]);
    const second = await runToEnd(['--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /another polychat is using it/);
    const reader = await connectAgain(t, restored, anna);
    assert.equal((await fullHistory(reader, chat)).length, 3);
    assert.equal((await sendMessage(reader, chat, 'other')).seq, 4);
  });

  test('keeps what a killed server left under another name, with its log, and can bring it back', async (t) => {
    const { path, store, folder, server, anna, chat, file } = await startScene(t, 3);
    await succeeded(backUp(file, store));
    await sendMessage(anna, chat, 'after the backup');
    await server.kill();
    assert.ok(statSync(`${path}-wal`).size > 0);
    await assertRefused(restore(file, store), /it exists already; with --replace it is kept/);
    const [kept, ...rest] = await succeeded(restore(file, store, '--replace'));
    const [, name] = /** @type {RegExpExecArray} */ (/^kept {5}(.*\.before-restore-\d{8}T\d{6}\.\d{3}Z)$/.exec(kept));
    assert.match(rest[0], /^restored 2 users, 1 chats, 3 messages/);
    assert.deepEqual(readdirSync(folder).sort(), ['chat.db', name.slice(folder.length + 1)]);
    /** How many a start finds. */
    const messages = async () => {
      const { code, stdout } = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
      assert.equal(code, 0);
      return Number(/(\d+) messages/.exec(stdout)?.[1]);
    };
    assert.equal(await messages(), 3);
    await succeeded(restore(name, store, '--replace'));
    assert.equal(await messages(), 4);
  });

  test('does not apply a log that lies beside a missing file', async (t) => {
    const { path, store, folder, server, anna, chat, file } = await startScene(t, 3);
    await succeeded(backUp(file, store));
    await sendMessage(anna, chat, 'after the backup');
    await server.kill();
    rmSync(path);
    const [kept] = await succeeded(restore(file, store));
    assert.match(kept, /^kept .*\.before-restore-.*-wal$/);
    assert.deepEqual(readdirSync(folder).sort().map((name) => name.replace(/re-\d.*Z/, 're-TIME')), [
      'chat.db', 'chat.db.before-restore-TIME-wal',
    ]);
    const restored = await startServer(t, ['--store', store]);
    const reader = await connectAgain(t, restored, anna);
    assert.equal((await fullHistory(reader, chat)).length, 3);
  });
});

test('the store may stand in the file of options, as that of the server', async (t) => {
  const { store, file } = await startScene(t, 1);
  const options = join(dirname(file), 'polychat.toml');
  writeFileSync(options, `store = "${store}"\nlisten = ":3000"\n`);
  await succeeded(runToEnd(['backup', file, '--config', options]));
  await succeeded(runToEnd(['restore', file], { env: { POLYCHAT_STORE: `sqlite:${dirname(file)}/restored.db` } }));
  assert.ok(existsSync(join(dirname(file), 'restored.db')));
});

describe('a backup is refused in one sentence, and there is no file', () => {
  test('if the store is another one, or the file exists', async (t) => {
    const { store, server, file } = await startScene(t, 1);
    const dir = dirname(file);
    await assertRefused(backUp(file, 'sqlite:typo.db'), /there is no such file as sqlite:typo\.db/);
    await assertRefused(backUp(file, 'sqlite::memory:'), /is in its server alone/);
    await assertRefused(backUp(file, 'redis://x'), /of no known kind/);
    const url = 'mongodb://user:secret@127.0.0.1:1/x';
    for (const run of [
      backUp(file, url), restore(file, url), runToEnd(['backup', file], { env: { MONGODB_URI: url } }),
      runToEnd(['restore', file], { env: { MONGODB_URI: url } }),
    ]) {
      const { stderr } = await run;
      assert.match(stderr, /mongo(dump|restore)\b.*docs\/OPERATIONS\.md/);
      assert.ok(!stderr.includes('secret'));
    }
    await assertRefused(runToEnd(['backup']), /FILE/);
    assert.deepEqual(readdirSync(dir), []);
    assert.ok(!existsSync('typo.db'));
    writeFileSync(file, 'mine');
    await assertRefused(backUp(file, store), /exists already, and a backup replaces nothing/);
    assert.equal(statSync(file).size, 4);
    await server.stop();
  });

  test('if the disk is full, and neither is anything replaced', async (t) => {
    const { path, store, folder, server, file } = await startScene(t, 300);
    const full = /was not written: .*(disk is full|disk I\/O error)/;
    const disk = await FULL_DISKS['no space is left on the disk'].disk(t);
    await disk.fill(server, 50_000);
    await assertRefused(backUp(file, store, disk.env), full);
    const limited = spawnSync('prlimit', ['--fsize=50000:unlimited', BINARY, 'backup', file, '--store', store], { encoding: 'utf8' });
    assert.equal(limited.status, 1);
    assert.match(limited.stderr, full);
    assert.deepEqual(readdirSync(dirname(file)), []);

    await succeeded(backUp(file, store));
    await server.stop();
    const before = join(dirname(file), 'before.db');
    copyFileSync(path, before);
    for (const target of [store, `sqlite:${join(folder, 'new.db')}`]) {
      const restoring = runToEnd(['restore', file, '--store', target, '--replace'], { env: disk.env });
      await assertRefused(restoring, /disk is full|disk I\/O error/);
      assert.deepEqual(readdirSync(folder), ['chat.db']);
    }
    assert.equal(spawnSync('cmp', [path, before]).status, 0);
  });
});
