// @ts-check
// Owns the central promise under kill -9: clients of all dialects write into shared chats, each message again until it
// is acknowledged, while the server (and the database) is killed at random moments and started again on the same store.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../chaos/ledger.mjs';
import { startPopulation } from '../chaos/scenario.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { sized, testRandom } from '../harness/random.mjs';
import { freePort, startServer, tempDir } from '../harness/server.mjs';

const PATIENCE_MS = 60_000;
const CHATS = 2;

/** Kills one of the `victims`, at random each time, and restarts it; then compares all messages. */
async function killRepeatedly(t, store, /** @type {{ kills: number, victims?: (() => Promise<void>)[] }} */ { kills, victims = [] }) {
  const chance = testRandom(t);
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', store];
  let server = await startServer(t, args);
  const ledger = new Ledger();
  const population = await startPopulation(t, server, ledger, {
    chats: CHATS, silent: ({ number, side }) => number === 1 && side === 1,
  });
  const writing = population.write(() => chance.sleep(1, 30));
  const restart = async () => {
    await server.kill();
    server = await startServer(t, args);
  };
  const all = [restart, ...victims];
  for (let killed = 0; killed < kills; killed++) {
    // Sometimes while clients reconnect, sometimes afterwards.
    await ledger.until(ledger.acknowledged.size + chance.pick([1, 20, 100, 200]), PATIENCE_MS);
    await chance.sleep(0, 200);
    await (killed < all.length ? all[killed] : chance.pick(all))();
  }
  await ledger.until(ledger.acknowledged.size + 200, PATIENCE_MS);
  await writing.stop();
  await population.assertWhole(server);
  assert.ok(population.clients.every(({ connections }) => connections > 1), 'all have reconnected');
  t.diagnostic(`${ledger.acknowledged.size} messages, ${population.clients.reduce((sum, { live }) => sum + live, 0)} delivered live`);
}

test('the server is killed again and again: each acknowledged message exactly once, for everybody, on SQLite', async (t) => {
  await killRepeatedly(t, `sqlite:${await tempDir(t)}/chat.db`, { kills: sized(8, 80) });
});

test('the server and the database are killed again and again: the same on MongoDB', async (t) => {
  const mongod = await startMongod(t);
  const again = async () => {
    await mongod.kill();
    await mongod.start();
  };
  const url = new URL(mongod.url);
  url.pathname = '/ledger';
  await killRepeatedly(t, url.href, { kills: sized(3, 30), victims: [again] });
});
