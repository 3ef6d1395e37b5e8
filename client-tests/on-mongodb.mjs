// @ts-check
// Owns the run of the tests on the other store: each server gets a database of its own in one replica set. Tests that
// are about the SQLite file itself or the documents, or bring a mongod of their own, stay out, those of transports alone, to
// which a store is nothing, and those of faults but two.
import { startMongod } from './harness/mongod.mjs';
import { filesOf, run } from './run.mjs';

const ELSEWHERE = [
  'backup', 'backup_kills', 'commands', 'connect_trouble', 'documents', 'documents_trouble', 'import_converters', 'import_files',
  'marketplace_trouble', 'mongodb_backup', 'mongodb_lease', 'mongodb_trouble', 'moved_store', 'moving_in', 'raw_days',
  'startup', 'store_trouble', 'nodes_\\w+',
];
const TRANSPORTS = ['ends', 'engineio', 'engineio_requests', 'hosts', 'networks', 'restarts', 'socketio_connect', 'strangers'];
const FAULTS = ['clock', 'dropped'];

const elsewhere = new RegExp(`^(${[...ELSEWHERE, ...TRANSPORTS].join('|')})\\.test\\.mjs$`);
const endings = [];
const mongod = await startMongod({ after: (end) => endings.push(end) });
await run({
  together: filesOf('tests', elsewhere),
  alone: FAULTS.map((name) => `faults/${name}.test.mjs`),
  env: { POLYCHAT_TEST_MONGODB: mongod.url },
});
for (const end of endings.reverse()) await end();
