// @ts-check
// Owns the run of the tests of Socket.IO on the other side of the server, which decodes events without socketioxide.
// Tests that are about the raw dialects, REST, the command line, the documents or a store alone stay out, and the cases
// of conformance that wait for the heartbeat.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ELSEWHERE = /^(raw_|rest|sync_raw|backup|commands|documents|mongodb_trouble|startup)/;
const FAULTS = ['dropped', 'memory', 'storm'];

const here = fileURLToPath(new URL('.', import.meta.url));
const tests = readdirSync(`${here}tests`).filter((file) => file.endsWith('.test.mjs') && !ELSEWHERE.test(file)).sort()
  .map((file) => `tests/${file}`);
const faults = FAULTS.map((name) => `faults/${name}.test.mjs`);

const run = spawn(process.execPath, ['--test', '--test-concurrency=1', ...tests, 'conformance/conformance.test.mjs', ...faults], {
  cwd: here, stdio: 'inherit', env: { ...process.env, POLYCHAT_TEST_SOCKETIO: 'native', CONFORMANCE_FORM: 'short' },
});
process.exitCode = await new Promise((resolve) => { run.on('close', (code) => resolve(code ?? 1)); });
