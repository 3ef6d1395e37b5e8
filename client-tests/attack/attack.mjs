// @ts-check
// Owns the run of the attacks: each on servers of its own, for a bounded time, from one seed; prints what was tried and what
// failed, and fails if anything did. Does not know what an attack does.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Tally } from './tally.mjs';
import * as crashes from './crashes.mjs';
import * as floods from './floods.mjs';
import * as frames from './frames.mjs';
import * as models from './models.mjs';
import * as races from './races.mjs';
import * as tokens from './tokens.mjs';
import { chanceOf, runSeed } from '../harness/random.mjs';
import { newScope } from '../harness/scope.mjs';
import { BINARY } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const LEDGER = fileURLToPath(new URL('../../docs/SECURITY-LEDGER.md', import.meta.url));
const [BEGIN, END] = ['<!-- attacks: written by make ledger -->', '<!-- attacks: end -->'];

/** How many times its seconds an attack may take before it counts as failed: other work may be done on the machine. */
const PATIENCE = 4;

/** @type {import('./tally.mjs').Attack[]} */
const ATTACKS = [tokens, races, floods, frames, crashes, models].flatMap((module) => module.ATTACKS);
const KINDS = [...new Set(ATTACKS.map(({ kind }) => kind))];

function options() {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true }, seed: { type: 'string' }, short: { type: 'boolean' }, write: { type: 'boolean' },
    },
  });
  const only = values.only?.flatMap((kinds) => kinds.split(','));
  const unknown = only?.filter((kind) => !KINDS.includes(kind)) ?? [];
  if (unknown.length > 0) throw new Error(`--only ${unknown}: the kinds are ${KINDS.join(', ')}`);
  if (values.write && (values.short || only)) throw new Error('--write is for a whole run');
  return { only, short: values.short === true, write: values.write === true, seed: runSeed(values.seed) };
}

/** Runs one attack: its tally and the seconds that it took. */
async function runAttack(attack, { seed, short }) {
  const tally = new Tally();
  const scope = newScope();
  const seconds = (short ? attack.short : undefined) ?? attack.seconds;
  const began = Date.now();
  try {
    const run = attack.run({ t: scope, chance: chanceOf(seed), seed, short, tally, seconds });
    await within(run, () => 'the end of the attack', seconds * PATIENCE * 1000 + 30_000);
  } catch (error) {
    tally.fail(`${/** @type {Error} */ (error).stack}`);
  }
  // A server that has panicked fails here.
  await scope.end().catch((error) => tally.fail(`${error.message}`));
  if (tally.attempts === 0) tally.fail('nothing was attempted');
  return { attack, tally, seconds: Math.round((Date.now() - began) / 1000) };
}

const table = (rows) => rows.map((cells) => `| ${cells.join(' | ')} |`).join('\n');

/** The rows of the ledger. */
function asMarkdown(results, { seed }) {
  const rows = results.map(({ attack, tally, seconds }) => [
    attack.kind, attack.what, attack.holds, tally.attempts.toLocaleString('en-US'), tally.failures.length, tally.measured || '–',
    seconds, `\`node client-tests/attack/attack.mjs --only ${attack.kind} --seed ${seed}\``,
  ]);
  const head = ['kind', 'attacked', 'holds', 'attempts', 'failures', 'measured', 'seconds', 'again'];
  return table([head, head.map(() => '---'), ...rows]);
}

/** The version of the binary, and the commit of the sources beside it. */
function version() {
  const binary = execFileSync(BINARY, ['--version'], { encoding: 'utf8' }).trim();
  try {
    const here = fileURLToPath(new URL('.', import.meta.url));
    const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', cwd: here });
    return `${binary}, commit ${commit.trim()}`;
  } catch {
    return binary; // not a checkout
  }
}

function write(results, run) {
  const text = readFileSync(LEDGER, 'utf8');
  const [from, to] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (from < 0 || to < from) throw new Error(`${LEDGER} has no place for the table`);
  const minutes = Math.round(results.reduce((sum, { seconds }) => sum + seconds, 0) / 6) / 10;
  const day = new Date().toISOString().slice(0, 10);
  const when = `Run of ${day}, ${version()}, seed ${run.seed}, ${cpus().length} cores: ${minutes} minutes.`;
  writeFileSync(LEDGER, `${text.slice(0, from)}${BEGIN}\n${when}\n\n${asMarkdown(results, run)}\n${text.slice(to)}`);
}

const run = options();
console.log(`${version()}; seed ${run.seed}${run.short ? '; short form' : ''}`);
/** @param {import('./tally.mjs').Attack} attack */
const isChosen = ({ kind, short }) => (run.only?.includes(kind) ?? true) && (!run.short || short !== undefined);
const results = [];
for (const attack of ATTACKS.filter(isChosen)) {
  const result = await runAttack(attack, run);
  results.push(result);
  const { tally, seconds } = result;
  const verdict = tally.failures.length === 0 ? 'ok' : `${tally.failures.length} FAILED`;
  const cells = [attack.kind.padEnd(9), `${tally.attempts}`.padStart(8), 'attempts', verdict.padEnd(10), `${seconds} s`.padStart(6)];
  console.log(`${cells.join(' ')}  ${attack.what}${tally.measured && ` (${tally.measured})`}`);
  if (tally.failures.length > 0) console.log(tally.printed);
}
if (run.write) write(results, run);
const attempts = results.reduce((sum, { tally }) => sum + tally.attempts, 0);
const failures = results.reduce((sum, { tally }) => sum + tally.failures.length, 0);
const total = results.reduce((sum, { seconds }) => sum + seconds, 0);
console.log(`${attempts} attempts, ${failures} failures, ${total} s; again: --seed ${run.seed}`);
// Timers of clients that were given up keep the process alive otherwise.
process.exit(failures === 0 ? 0 : 1);
