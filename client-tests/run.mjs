// @ts-check
// Owns how test files are run: several at once, since they wait most of their time; the tests of faults and of slow
// readers run alone, after the others.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';

const here = import.meta.dirname;

/** How many files run at once; TESTS_AT_ONCE=1 takes twice as long, and shows which file a busy machine fails. */
const AT_ONCE = Number(process.env.TESTS_AT_ONCE ?? 2);

/** Those that measure how fast a client reads: a second without the processor is too slow for them. */
const ALONE = /^tests\/slow_reader\./;

/** The test files of a folder but those whose names `without` matches. */
export function filesOf(folder, without = /^$/) {
  const names = readdirSync(`${here}/${folder}`).filter((file) => file.endsWith('.test.mjs') && !without.test(file));
  return names.sort().map((file) => `${folder}/${file}`);
}

/** Runs files with more environment variables, first `together`, then `alone`; the exit code is that of the process. */
export async function run({ together, alone, env = {} }) {
  const isAlone = (file) => ALONE.test(file);
  const parts = [[together.filter((file) => !isAlone(file)), AT_ONCE], [[...together.filter(isAlone), ...alone], 1]];
  for (const [files, atOnce] of parts) {
    const tests = spawn(process.execPath, ['--test', `--test-concurrency=${atOnce}`, ...files], {
      cwd: here, stdio: 'inherit', env: { ...process.env, ...env },
    });
    const code = await new Promise((resolve) => { tests.on('close', (ended) => resolve(ended ?? 1)); });
    if (code !== 0) process.exitCode = code;
  }
}
