// Owns the promise to those on bad lines: dropped again and again in every way while messages flow, each of them ends with
// everything, once and in order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ledger } from '../lib/ledger.mjs';
import { dice, sized } from '../lib/faults.mjs';
import { WAYS, badLine } from '../lib/proxy.mjs';
import { startServer, storeFile } from '../lib/server.mjs';
import { company } from '../lib/voices.mjs';

/** How long a line is down, and how long it is good in between. */
const [DOWN_MS, GOOD_MS] = sized([600, 700], [2000, 3000]);
const DROPS = sized(5, 20);

test('clients whose lines are dropped again and again have every message once and in order', async (t) => {
  const chance = dice(t);
  const server = await startServer(t, ['--store', (await storeFile(t)).store]);
  const ledger = new Ledger();
  const lines = [];
  const door = async () => {
    lines.push(await badLine(t, server));
    return lines.at(-1);
  };
  const everyone = await company(t, server, ledger, { chats: 2, door });
  const writing = everyone.write(() => chance.sleep(10, 60));

  // Each line on its own; a line's ways come in an order of its own, each of them at least once.
  await Promise.all(lines.map(async (line) => {
    const first = chance.below(WAYS.length);
    await chance.sleep(0, GOOD_MS);
    for (let drop = 0; drop < DROPS; drop++) {
      await line.drop(WAYS[(first + drop) % WAYS.length], DOWN_MS);
      await chance.sleep(0, GOOD_MS);
    }
  }));

  await writing.stop();
  await everyone.assertWhole(server);
  const connections = everyone.voices.map((voice) => voice.connections);
  assert.ok(connections.every((count) => count > 1), 'everybody was dropped');
  t.diagnostic(`${ledger.acknowledged.size} messages over ${connections.reduce((sum, count) => sum + count)} connections`);
});
