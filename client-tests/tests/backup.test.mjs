// @ts-check
// Owns the promise about backups: a copy of the file of a running server, made as in docs/OPERATIONS.md, is whole.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { Ledger, assertKept } from '../chaos/ledger.mjs';
import { startWriters, storedByText } from '../chaos/scenario.mjs';
import { startServer, storeFile, tempDir } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;

/** The commands of an operator; prints the result of the integrity check. */
const BACKUP = `
import sqlite3, sys
source, target = sys.argv[1:]
store = sqlite3.connect(source, timeout=10, isolation_level=None)
store.execute("VACUUM INTO ?", [target])
print(sqlite3.connect(target).execute("PRAGMA integrity_check").fetchone()[0])
`;

async function backUp(owner, source, target) {
  const child = spawn('python3', ['-c', BACKUP, source, target], { stdio: ['ignore', 'pipe', 'inherit'] });
  owner.after(() => child.kill('SIGKILL'));
  let sent = '';
  child.stdout.setEncoding('utf8').on('data', (text) => { sent += text; });
  const code = await within(new Promise((resolve, reject) => {
    child.once('close', resolve).once('error', reject);
  }), () => 'the end of the backup', PATIENCE_MS);
  assert.deepEqual({ code, sent }, { code: 0, sent: 'ok\n' });
}

test('a backup under load has all that was acknowledged before it, without a gap, and serves', async (t) => {
  const { path, store } = await storeFile(t);
  const server = await startServer(t, ['--store', store]);
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  let going = true;
  const work = Promise.all(writers.map((writer) => writer.sendWhile(() => going)));
  work.catch(() => {}); // awaited below
  await ledger.until(500, PATIENCE_MS);

  const before = { acknowledged: new Map(ledger.acknowledged) };
  const copy = join(await tempDir(t), 'copy.db');
  await backUp(t, path, copy);
  await ledger.until(ledger.acknowledged.size + 100, PATIENCE_MS);
  going = false;
  await work;

  const restored = await startServer(t, ['--store', `sqlite:${copy}`]);
  const stored = await storedByText(t, restored, users[0], chats);
  assertKept(before, stored);
  assert.ok(stored.size < ledger.acknowledged.size, 'it was made while the server went on');
  // The writers lost neither their connections nor a message meanwhile.
  assertKept(ledger, await storedByText(t, server, users[0], chats));
  assert.deepEqual(ledger.losses, []);
});
