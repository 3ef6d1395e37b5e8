// @ts-check
// Owns the run of the tests of Socket.IO on the other side of the server, which decodes events without socketioxide.
// Tests that are about the raw dialects, REST, the command line, the documents, a store alone or several nodes stay out,
// and the cases of conformance that wait for the heartbeat.
import { filesOf, run } from './run.mjs';

const ELSEWHERE = new RegExp('^(raw_|rest|sync_raw|backup|commands|documents|import_|mongodb_backup'
  + '|mongodb_trouble|moving_in|nodes_|startup)');
const FAULTS = ['dropped', 'memory', 'storm'];

await run({
  together: [...filesOf('tests', ELSEWHERE), 'conformance/conformance.test.mjs'],
  alone: FAULTS.map((name) => `faults/${name}.test.mjs`),
  env: { POLYCHAT_TEST_SOCKETIO: 'native', CONFORMANCE_FORM: 'short' },
});
