// @ts-check
// Owns the run of the tests on the other store: each server gets a database of its own in one replica set. Tests that
// are about the SQLite file itself or the documents, or bring a mongod of their own, stay out, those of transports alone, to
// which a store is nothing, and those of faults but two.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { startMongod } from './harness/mongod.mjs';

const ELSEWHERE = [
  'backup', 'commands', 'connect_trouble', 'documents', 'marketplace_trouble', 'mongodb_lease', 'mongodb_trouble',
  'moved_store', 'raw_days', 'startup', 'store_trouble',
];
const TRANSPORTS = ['ends', 'engineio', 'engineio_requests', 'hosts', 'networks', 'restarts', 'socketio_connect', 'strangers'];
const FAULTS = ['clock', 'dropped'];

const here = fileURLToPath(new URL('.', import.meta.url));
const elsewhere = [...ELSEWHERE, ...TRANSPORTS].map((name) => `${name}.test.mjs`);
const tests = readdirSync(`${here}tests`).filter((file) => file.endsWith('.test.mjs') && !elsewhere.includes(file)).sort()
  .map((file) => `tests/${file}`);
const faults = FAULTS.map((name) => `faults/${name}.test.mjs`);

const endings = [];
const mongod = await startMongod({ after: (end) => endings.push(end) });
const run = spawn(process.execPath, ['--test', '--test-concurrency=1', ...tests, ...faults], {
  cwd: here, stdio: 'inherit', env: { ...process.env, POLYCHAT_TEST_MONGODB: mongod.url },
});
process.exitCode = await new Promise((resolve) => { run.on('close', (code) => resolve(code ?? 1)); });
for (const end of endings.reverse()) await end();
