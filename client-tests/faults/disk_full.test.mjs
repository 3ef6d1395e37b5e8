// @ts-check
// Owns the promise about a disk that fills up under SQLite: sends are refused, acknowledged messages stay and are read,
// the server reports the failure, and recovers without a restart once there is space again.
import { describe, test } from 'node:test';
import { fillDisk } from '../chaos/faults.mjs';
import { FULL_DISKS } from '../harness/preload.mjs';
import { testRandom } from '../harness/random.mjs';

describe('while', () => {
  for (const [what, full] of Object.entries(FULL_DISKS)) {
    test(`${what} sends are refused and nothing is lost; afterwards all is well without a restart`, async (t) => {
      await fillDisk(t, testRandom(t), full);
    });
  }
});
