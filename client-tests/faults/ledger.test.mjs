// @ts-check
// Owns the central promise under kill -9: clients of all dialects write into shared chats, each message again until it
// is acknowledged, while the server (and the database) is killed at random moments and started again on the same store.
import { test } from 'node:test';
import { killRepeatedly } from '../chaos/faults.mjs';
import { startKillableMongod } from '../harness/mongod.mjs';
import { sized, testRandom } from '../harness/random.mjs';
import { tempDir } from '../harness/server.mjs';

async function run(t, store, options) {
  const { messages, live } = await killRepeatedly(t, testRandom(t), store, options);
  t.diagnostic(`${messages} messages, ${live} delivered live`);
}

test('the server is killed again and again: each acknowledged message exactly once, for everybody, on SQLite', async (t) => {
  await run(t, `sqlite:${await tempDir(t)}/chat.db`, { kills: sized(8, 80) });
});

test('the server and the database are killed again and again: the same on MongoDB', async (t) => {
  const { store, again } = await startKillableMongod(t, 'ledger');
  await run(t, store, { kills: sized(3, 30), victims: [again] });
});
