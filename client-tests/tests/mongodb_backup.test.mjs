// @ts-check
// Owns the promise about backups of MongoDB, made as in docs/OPERATIONS.md: a copy of the files of a locked member has all
// that was acknowledged before, and a replica set that is started on it is served.
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient } from 'mongodb';
import { Ledger, assertKept } from '../chaos/ledger.mjs';
import { startWriters, storedByText } from '../chaos/scenario.mjs';
import { assertContinues, assertReset } from '../clients/ahead.mjs';
import { connectAgain, fullHistory } from '../clients/fixtures.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { startServer, tempDir } from '../harness/server.mjs';

const PATIENCE_MS = 60_000;

/** Copies the files of a member that takes no writes meanwhile. */
async function backUp(mongod, copy) {
  const client = new MongoClient(`mongodb://127.0.0.1:${mongod.port}/?directConnection=true`);
  try {
    const admin = client.db('admin');
    await admin.command({ fsync: 1, lock: true });
    try {
      cpSync(mongod.folder, copy, { recursive: true });
    } finally {
      await admin.command({ fsyncUnlock: 1 });
    }
  } finally {
    await client.close();
  }
}

test('files of a locked member that are copied under load are served after the machine is lost', async (t) => {
  const mongod = await startMongod(t);
  const store = `mongodb://127.0.0.1:${mongod.port}/backup?replicaSet=rs0`;
  const server = await startServer(t, ['--store', store]);
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  let going = true;
  const work = Promise.all(writers.map((writer) => writer.sendWhile(() => going)));
  work.catch(() => {}); // awaited below
  await ledger.until(300, PATIENCE_MS);

  const before = { acknowledged: new Map(ledger.acknowledged) };
  const copy = join(await tempDir(t), 'copy');
  await backUp(mongod, copy);
  await ledger.until(ledger.acknowledged.size + 300, PATIENCE_MS);
  going = false;
  await work;
  assertKept(ledger, await storedByText(t, server, users[0], chats));
  assert.deepEqual(ledger.losses, []);
  const ahead = await connectAgain(t, server, users[0]);
  const lost = (await fullHistory(ahead, chats[0])).at(-1);

  await server.kill();
  await mongod.kill();
  rmSync(mongod.folder, { recursive: true });
  mongod.folder = copy;
  await mongod.start();
  const restored = await startServer(t, ['--store', store]);
  const stored = await storedByText(t, restored, users[0], chats);
  assertKept(before, stored);
  assert.ok(stored.size < ledger.acknowledged.size, 'it was made while the server went on');
  const reader = await connectAgain(t, restored, users[0]);
  await assertReset(reader, chats[0], lost);
  await assertContinues(reader, chats[0], (await fullHistory(reader, chats[0])).at(-1), 0);
});
