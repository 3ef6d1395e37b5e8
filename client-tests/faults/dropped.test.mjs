// @ts-check
// Owns the promise for clients on bad networks: however their connections are broken while messages flow, each of them ends
// with every message, once and in order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../chaos/ledger.mjs';
import { FAULT_NAMES, startProxy } from '../chaos/proxy.mjs';
import { startPopulation } from '../chaos/scenario.mjs';
import { sized, testRandom } from '../harness/random.mjs';
import { startServer, storeFile } from '../harness/server.mjs';

/** How long a fault lasts, and how long a proxy forwards in between. */
const [DOWN_MS, GOOD_MS] = sized([600, 700], [2000, 3000]);
const DROPS = sized(5, 20);

test('clients whose lines are dropped again and again have every message once and in order', async (t) => {
  const chance = testRandom(t);
  const server = await startServer(t, ['--store', (await storeFile(t)).store]);
  const ledger = new Ledger();
  const proxies = [];
  const endpoint = async () => {
    proxies.push(await startProxy(t, server));
    return proxies.at(-1);
  };
  const population = await startPopulation(t, server, ledger, { chats: 2, endpoint });
  const writing = population.write(() => chance.sleep(10, 60));

  // Each proxy on its own, with the faults in an order of its own, each of them at least once.
  await Promise.all(proxies.map(async (proxy) => {
    const first = chance.below(FAULT_NAMES.length);
    await chance.sleep(0, GOOD_MS);
    for (let drop = 0; drop < DROPS; drop++) {
      await proxy.break(FAULT_NAMES[(first + drop) % FAULT_NAMES.length], DOWN_MS);
      await chance.sleep(0, GOOD_MS);
    }
  }));

  await writing.stop();
  await population.assertWhole(server);
  const connections = population.clients.map((client) => client.connections);
  assert.ok(connections.every((count) => count > 1), 'all were dropped');
  t.diagnostic(`${ledger.acknowledged.size} messages over ${connections.reduce((sum, count) => sum + count)} connections`);
});
