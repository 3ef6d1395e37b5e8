// @ts-check
// Owns the run of all tests on SQLite.
import { filesOf, run } from './run.mjs';

await run({ together: [...filesOf('tests'), ...filesOf('conformance')], alone: filesOf('faults') });
