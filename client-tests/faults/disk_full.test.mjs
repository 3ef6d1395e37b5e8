// @ts-check
// Owns the promise about a disk that fills up under SQLite: sends are refused, acknowledged messages stay and are read,
// the server reports the failure, and recovers without a restart once there is space again.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ANSWER_MS } from '../chaos/chaos-client.mjs';
import { Ledger } from '../chaos/ledger.mjs';
import { startPopulation } from '../chaos/scenario.mjs';
import { connectUser } from '../clients/fixtures.mjs';
import { probe } from '../harness/http.mjs';
import { FULL_DISKS } from '../harness/preload.mjs';
import { testRandom } from '../harness/random.mjs';
import { freePort, startServer, tempDir } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

/** Room for a part of a page, or for some pages of the log of transactions. */
const ROOM = 40_000;

/** Every client sends one message: the codes of the refusals. */
async function round(population) {
  const writers = [...population.clients, ...population.backends];
  const answers = await Promise.all(writers.map((writer) => writer.attempt(writer.compose())));
  return answers.map((answer) => answer?.error?.code ?? (answer ? 'acknowledged' : 'unanswered'));
}

const readiness = async ({ url }) => (await probe(`${url}/readyz`)).status;

describe('while', () => {
  for (const [what, { disk, times }] of Object.entries(FULL_DISKS)) {
    test(`${what} sends are refused and nothing is lost; afterwards all is well without a restart`, async (t) => {
      const chance = testRandom(t);
      const path = `${await tempDir(t)}/chat.db`;
      const { env, fill, free } = await disk(t, path);
      const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', `sqlite:${path}`];
      let server = await startServer(t, args, { env });
      const ledger = new Ledger();
      const population = await startPopulation(t, server, ledger, { chats: 1 });
      const other = await connectUser(t, server, 'somebody');

      for (let time = 0; time < times; time++) {
        assert.deepEqual(new Set(await round(population)), new Set(['acknowledged']));
        await fill(server, chance.below(ROOM));
        let codes = new Set();
        for (let rounds = 0; rounds < 300 && (codes.size !== 1 || !codes.has('unavailable')); rounds++) {
          codes = new Set(await round(population));
          codes.forEach((code) => assert.ok(['acknowledged', 'unavailable'].includes(code), code));
        }
        assert.deepEqual(codes, new Set(['unavailable']), 'every dialect reports that the store cannot be used');
        const tea = { chat: { name: 'Tea' }, users: [other.id] };
        const { error } = await other.socket.timeout(ANSWER_MS).emitWithAck('create-chat', tea);
        await population.assertWhole(server);
        assert.equal((await probe(`${server.url}/livez`)).status, 200);
        const isReady = await readiness(server) === 200;
        // Later the log of transactions may begin anew within its own length, which makes room indeed.
        if (time === 0 || error) assert.equal(error?.code, 'unavailable');
        if (time === 0) assert.ok(!isReady);
        if (isReady) assert.ok((await round(population)).includes('acknowledged'), 'ready means ready');

        await free(server);
        await eventually(async () => await readiness(server) === 200, 'the server is ready again');
        await ledger.retry();
        assert.equal(ledger.refused.size + ledger.unanswered.size, 0);
        await population.assertWhole(server);
      }

      await server.kill();
      server = await startServer(t, args, { env });
      await eventually(() => population.areCaughtUp, 'all have caught up');
      assert.deepEqual(new Set(await round(population)), new Set(['acknowledged']));
      await population.assertWhole(server);
    });
  }
});
