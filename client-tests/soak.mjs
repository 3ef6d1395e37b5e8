// @ts-check
// Owns the long run of the tests of faults: round after round, each with another seed, until SOAK_MINUTES are over.
// `SEED=…` is the seed of the first round. Tests that fail end it, and their seed is printed.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const minutes = Number(process.env.SOAK_MINUTES || 10);
const first = Number(process.env.SEED || Date.now() % 1_000_000_007);
if (!(minutes > 0) || !Number.isSafeInteger(first)) throw new Error('SOAK_MINUTES and SEED are numbers');

const here = fileURLToPath(new URL('.', import.meta.url));
const tests = readdirSync(`${here}faults`).filter((file) => file.endsWith('.test.mjs')).sort();

function round(seed) {
  const args = ['--test', '--test-concurrency=1', ...tests.map((file) => `faults/${file}`)];
  const env = { ...process.env, SOAK: '1', SEED: `${seed}` };
  const child = spawn(process.execPath, args, { cwd: here, stdio: 'inherit', env });
  return new Promise((resolve, reject) => { child.once('error', reject).once('close', (code) => resolve(code ?? 1)); });
}

const end = Date.now() + minutes * 60_000;
let failed = 0;
for (let seed = first; failed === 0 && (seed === first || Date.now() < end); seed++) {
  console.log(`--- round ${seed - first + 1}: SEED=${seed}`);
  failed = await round(seed);
  if (failed !== 0) console.error(`--- failed: repeat it with SEED=${seed} make soak`);
}
process.exitCode = failed;
