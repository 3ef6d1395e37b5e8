// @ts-check
// Owns the attacks on the machine below the server: kills, full disks, a clock that is set, networks that break, each with
// clients of all dialects that write meanwhile. Does not know how the fault tests judge.
import { during } from './tally.mjs';
import { breakNetworks, fillDisk, killRepeatedly, setClock } from '../chaos/faults.mjs';
import { FAULT_NAMES } from '../chaos/proxy.mjs';
import { startKillableMongod } from '../harness/mongod.mjs';
import { FULL_DISKS } from '../harness/preload.mjs';
import { newScope } from '../harness/scope.mjs';
import { tempDir } from '../harness/server.mjs';

/** Rounds of a fault, each with an owner of its own, until the time is over. */
async function rounds({ seconds, tally }, round) {
  await during(seconds, async () => {
    const scope = newScope();
    try {
      await round(scope);
    } catch (error) {
      tally.fail(`${/** @type {Error} */ (error).stack}`);
    }
    await scope.end();
  });
}

const EVERY_MESSAGE = 'each acknowledged message is there once, unchanged, and every client has all, once and in order';

/** @type {import('./tally.mjs').Attack[]} */
export const ATTACKS = [
  {
    kind: 'kills', what: '`kill -9` while all write, on SQLite', holds: EVERY_MESSAGE, seconds: 20,
    async run(run) {
      const kills = 6;
      let sum = 0;
      await rounds(run, async (scope) => {
        const { messages } = await killRepeatedly(scope, run.chance, `sqlite:${await tempDir(scope)}/chat.db`, { kills });
        run.tally.count(kills);
        sum += messages;
      });
      run.tally.measured = `${sum} messages`;
    },
  },
  {
    kind: 'kills', what: '`kill -9` of the server and of the database while all write, on MongoDB', holds: EVERY_MESSAGE,
    seconds: 20,
    async run(run) {
      const kills = 3;
      let sum = 0;
      await rounds(run, async (scope) => {
        const { store, again } = await startKillableMongod(scope, 'kills');
        const { messages } = await killRepeatedly(scope, run.chance, store, { kills, victims: [again] });
        run.tally.count(kills);
        sum += messages;
      });
      run.tally.measured = `${sum} messages`;
    },
  },
  ...Object.entries(FULL_DISKS).map(([what, { disk }]) => ({
    kind: 'disk', what: `${what}, while all write`, seconds: 10,
    holds: 'sends are refused as `unavailable`, nothing acknowledged is lost, and the server recovers',
    async run(run) {
      const times = 2;
      let [sum, refusals] = [0, 0];
      await rounds(run, async (scope) => {
        const { messages, refused } = await fillDisk(scope, run.chance, { disk, times });
        run.tally.count(times);
        sum += messages;
        refusals += refused;
      });
      run.tally.measured = `${sum} messages, ${refusals} refused at first`;
    },
  })),
  {
    kind: 'clock', what: 'the wall clock is set back and forth, by seconds to days, with kills in between',
    holds: `${EVERY_MESSAGE}; times do not run backwards in a chat`, seconds: 15,
    async run(run) {
      const times = 8;
      let sum = 0;
      await rounds(run, async (scope) => {
        const { messages } = await setClock(scope, run.chance, { times });
        run.tally.count(times);
        sum += messages;
      });
      run.tally.measured = `${sum} messages`;
    },
  },
  {
    kind: 'networks', what: `a proxy for each client: ${FAULT_NAMES.join(', ')}`, holds: EVERY_MESSAGE, seconds: 25,
    async run(run) {
      let [sum, opened] = [0, 0];
      await rounds(run, async (scope) => {
        const drops = { drops: FAULT_NAMES.length, downMs: 600, goodMs: 700 };
        const { messages, connections, faults } = await breakNetworks(scope, run.chance, drops);
        run.tally.count(faults);
        sum += messages;
        opened += connections;
      });
      run.tally.measured = `${sum} messages, ${opened} connections`;
    },
  },
];
