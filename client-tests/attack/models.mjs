// @ts-check
// Owns the attacks that are tests of the crate: the rights, the model of the members, the gauges, the decoders. Does not
// know their contents, only what they print.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The program and the arguments that run tests: cargo, unless POLYCHAT_TESTS names the built program of the tests. */
function testCommand(filter) {
  const { CARGO = 'cargo', POLYCHAT_TESTS: built } = process.env;
  if (built) return { program: built, args: [filter, '--nocapture'] };
  return { program: CARGO, args: ['test', '--locked', '--lib', filter, '--', '--nocapture'] };
}

/** Runs the tests of this name: what they print. */
function runTests(t, filter, env = {}) {
  const { program, args } = testCommand(filter);
  const child = spawn(program, args, { cwd: ROOT, env: { ...process.env, ...env } });
  t.after(() => child.kill());
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { output += text; });
  /** @type {Promise<{ code: number | null, output: string }>} */
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code) => resolve({ code, output }));
  });
  return ended;
}

/** The sum of the numbers that stand where `pattern` has its group. */
const sumOf = (output, pattern) => [...output.matchAll(pattern)].reduce((sum, [, number]) => sum + Number(number), 0);

/**
 * An attack by tests whose output has the numbers of attempts.
 * @param {Omit<import('./tally.mjs').Attack, 'run'> & {
 *   filter: string, counted: RegExp, env?: (run: { seed: number, seconds: number }) => Record<string, string>,
 * }} attack
 * @returns {import('./tally.mjs').Attack}
 */
const byTest = ({ filter, counted, env = () => ({}), ...attack }) => ({
  ...attack,
  async run({ t, seed, seconds, tally }) {
    const { code, output } = await runTests(t, filter, env({ seed, seconds }));
    tally.count(sumOf(output, counted));
    if (code !== 0) tally.fail(`cargo test --locked --lib ${filter}: ${output.slice(-4000)}`);
    tally.measured = `${sumOf(output, /test result: \w+\. (\d+) passed/g)} tests`;
  },
});

/** About how many decoders there are; two are tried at a time. */
const DECODERS = 24;

export const ATTACKS = [
  byTest({
    kind: 'rights', what: 'every operation as every role, in every dialect and over REST, in a closed chat and an open one',
    holds: 'what [RIGHTS](RIGHTS.md) has; the same in each dialect', seconds: 20,
    filter: 'rights_tests', counted: /chat: (\d+) attempts/g,
  }),
  byTest({
    kind: 'races', what: 'random joins, removals, connects and messages at once, over a store and a bus that answer late, on both stores',
    holds: 'a removed user receives nothing newer; a member everything, once and in order', seconds: 60,
    filter: 'membership_tests', counted: /seed \d+: (\d+) steps/g,
  }),
  byTest({
    kind: 'metrics', what: 'clients of every dialect and transport that open, send, stall, catch up and end at random',
    holds: 'each gauge is what is counted again, and never negative', seconds: 20,
    filter: 'gauges_tests', counted: /seed \d+: (\d+) steps/g,
    env: ({ seed }) => ({ GAUGES_SEED: `${seed}`, GAUGES_STEPS: '1200' }),
  }),
  byTest({
    kind: 'decoders', what: 'mutated inputs for every decoder: frames, packets, bodies, queries, cursors, tokens, key files, options',
    holds: 'an answer or an error, no panic, and what each decoder promises', seconds: 95,
    filter: 'fuzz::', counted: /: (\d+) inputs/g,
    env: ({ seed, seconds }) => ({ FUZZ_SEED: `${seed}`, FUZZ_SECONDS: `${Math.floor((seconds - 20) * 2 / DECODERS)}` }),
  }),
];
