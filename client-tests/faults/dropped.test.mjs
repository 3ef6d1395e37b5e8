// @ts-check
// Owns the promise for clients on bad networks: however their connections are broken while messages flow, each of them ends
// with every message, once and in order.
import { test } from 'node:test';
import { breakNetworks } from '../chaos/faults.mjs';
import { FAULT_NAMES } from '../chaos/proxy.mjs';
import { sized, testRandom } from '../harness/random.mjs';

/** How long a fault lasts, and how long a proxy forwards in between. */
const [DOWN_MS, GOOD_MS] = sized([600, 700], [2000, 3000]);

test('clients whose lines are dropped again and again have every message once and in order', async (t) => {
  const drops = sized(FAULT_NAMES.length, 20);
  const { messages, connections } = await breakNetworks(t, testRandom(t), { drops, downMs: DOWN_MS, goodMs: GOOD_MS });
  t.diagnostic(`${messages} messages over ${connections} connections`);
});
