// @ts-check
// Owns the run of the cases of conformance on every subject, one after the other: the failures on each, the number of
// cases, and the list of differences. Arguments are subjects; without one, all. Does not know cases.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, env, execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { SUBJECTS } from '../harness/subject.mjs';
import { differencesAsText } from './report.mjs';

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

/** Runs the cases on one subject: how many passed and failed. */
async function run(subject, scratch) {
  console.log(`\n== ${subject}\n`);
  const counts = join(scratch, subject);
  const reporter = here('reporter.mjs');
  const child = spawn(execPath, [
    '--test', `--test-reporter=${reporter}`, '--test-reporter-destination=stdout', here('conformance.test.mjs'),
  ], { stdio: 'inherit', env: { ...env, CONFORMANCE_SUBJECT: subject, CONFORMANCE_COUNTS: counts } });
  const code = await new Promise((resolve) => { child.on('close', (status) => resolve(status ?? 1)); });
  try {
    return { subject, code, ...JSON.parse(readFileSync(counts, 'utf8')) };
  } catch {
    return { subject, code: code || 1, passed: 0, failed: 0, seconds: 0 };
  }
}

const wanted = argv.slice(2);
const unknown = wanted.filter((subject) => !SUBJECTS.includes(subject));
if (unknown.length > 0) throw new Error(`${unknown} is no subject: ${SUBJECTS}`);
const scratch = mkdtempSync(join(tmpdir(), 'polychat-conformance-'));
const results = [];
for (const subject of wanted.length > 0 ? wanted : SUBJECTS) results.push(await run(subject, scratch));
rmSync(scratch, { recursive: true });

console.log(`\n== where polychat and Node differ\n\n${differencesAsText()}\n\n== summary\n`);
for (const { subject, code, passed, failed, seconds } of results) {
  console.log(`${subject.padEnd(14)} ${passed} passed, ${failed} failed, ${seconds} s${code === 0 ? '' : '   FAILED'}`);
}
process.exitCode = results.some(({ code, failed, passed }) => code !== 0 || failed > 0 || passed === 0) ? 1 : 0;
