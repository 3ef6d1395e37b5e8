// @ts-check
// Owns the promise that a MongoDB in trouble costs no acknowledged message: killed, silent, or without a primary while
// clients write, the server stays up and reports it, and afterwards everything is there exactly once.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { Ledger, assertKept } from '../chaos/ledger.mjs';
import { startWriters, storedByText } from '../chaos/scenario.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;
const SILENCE_MS = 10_000;
const BEFORE = 200;
const AFTER = 400;

const scope = useScope();
let mongod;
before(async () => { mongod = await startMongod(scope); });

let made = 0;
const database = () => `mongodb://127.0.0.1:${mongod.port}/trouble-${++made}?replicaSet=rs0`;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const readiness = async (server) => (await fetch(`${server.url}/readyz`)).status;
const ready = (server) => eventually(async () => await readiness(server) === 200, 'the server is ready', PATIENCE_MS);

/** Ten clients write all the time, each message again until it is acknowledged, during `trouble`. */
async function writeThrough(t, trouble) {
  const server = await startServer(t, ['--store', database()]);
  const ledger = new Ledger();
  const { users, chats, writers } = await startWriters(t, server, ledger);
  let writing = true;
  const done = Promise.all(writers.map((writer) => writer.sendWhile(() => writing)));
  done.catch(() => {}); // reported below
  await ledger.until(BEFORE, PATIENCE_MS);
  await trouble(server);
  await ready(server);
  await ledger.until(ledger.acknowledged.size + AFTER, PATIENCE_MS);
  writing = false;
  await done;
  assert.deepEqual(ledger.losses, [], 'nobody lost the connection');
  const stored = await storedByText(t, server, users[0], chats);
  assertKept(ledger, stored);
  assert.equal(stored.size, ledger.acknowledged.size, 'nothing is stored that was not acknowledged');
}

/** The server reports that it is not ready, and stays up. */
const notReady = (server) => eventually(async () => await readiness(server) === 503, 'the server is not ready', PATIENCE_MS);

describe('while people write', () => {
  test('a mongod that is killed and started again loses nothing that was acknowledged', async (t) => {
    await writeThrough(t, async (server) => {
      await mongod.kill();
      await notReady(server);
      await mongod.start();
    });
  });

  test('a mongod that is silent for ten seconds loses nothing that was acknowledged', async (t) => {
    await writeThrough(t, async (server) => {
      mongod.signal('SIGSTOP');
      try {
        await Promise.all([notReady(server), sleep(SILENCE_MS)]);
      } finally {
        mongod.signal('SIGCONT');
      }
    });
  });

  test('a primary that steps down loses nothing that was acknowledged', async (t) => {
    const client = new MongoClient(`mongodb://127.0.0.1:${mongod.port}/?directConnection=true`);
    t.after(() => client.close());
    await writeThrough(t, async (server) => {
      await client.db('admin').command({ replSetStepDown: 5, force: true });
      await notReady(server);
    });
  });
});
