// @ts-check
// Owns the promise about many clients that reconnect at once: the server is killed with many connected and messages in
// flight, and all of them catch up, while the health check succeeds. The duration is printed, not judged.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { Ledger } from '../chaos/ledger.mjs';
import { DIALECT_CLIENTS, startPopulation } from '../chaos/scenario.mjs';
import { probe } from '../harness/http.mjs';
import { sized, testRandom } from '../harness/random.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const CLIENTS = sized(300, 2000);
const DIALECTS = Object.keys(DIALECT_CLIENTS);
const PATIENCE_MS = sized(60_000, 300_000);
const STORMS = sized(1, 3);

/** One client of each chat writes, and its backend. */
const SILENT = ({ number, side, dialect }) => side === 1 || dialect !== DIALECTS[number % DIALECTS.length];

/** Requests the health check again and again until `stop()`: the answers. */
function healthChecks(server) {
  let going = true;
  const answers = [];
  const asking = (async () => {
    while (going) {
      answers.push((await probe(`${server.url}/readyz`)).status);
      await setTimeout(100);
    }
  })();
  asking.catch(() => {}); // awaited below
  return {
    stop: async () => {
      going = false;
      await asking;
      return answers;
    },
  };
}

test(`${CLIENTS} clients come back at once after a kill, and all of them catch up`, async (t) => {
  const chance = testRandom(t);
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(t)).store];
  let server = await startServer(t, args);
  const ledger = new Ledger();
  const population = await startPopulation(t, server, ledger, {
    chats: Math.ceil(CLIENTS / (2 * DIALECTS.length)), silent: SILENT,
  });
  const writing = population.write(() => chance.sleep(200, 800));

  for (let storm = 0; storm < STORMS; storm++) {
    await ledger.until(ledger.acknowledged.size + population.chats.length, PATIENCE_MS);
    await chance.sleep(0, 300);
    await server.kill();
    await eventually(() => population.clients.every(({ connected }) => !connected), 'all connections are lost');
    server = await startServer(t, args);
    const start = performance.now();
    const health = healthChecks(server);
    await eventually(() => population.areCaughtUp, 'all are caught up', PATIENCE_MS);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    const answers = await health.stop();
    assert.ok(answers.length > 0);
    assert.deepEqual(new Set(answers), new Set([200]), 'the health check never failed');
    t.diagnostic(`${population.clients.length} clients were back and caught up after ${seconds} s; memory ${server.memory().now >> 20} MiB`);
  }

  await writing.stop();
  await population.assertWhole(server);
});
