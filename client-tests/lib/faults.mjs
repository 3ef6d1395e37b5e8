// Owns how the tests of faults are sized and repeated: the seed, and whether they are short or long. It knows no fault.
import { setTimeout } from 'node:timers/promises';
import { chance } from './random.mjs';

/** `make soak` sets it. */
const isLong = process.env.SOAK === '1';

/** What a short run takes, and what a long one. */
export const sized = (short, long) => (isLong ? long : short);

/** Chance for one test. `SEED=…` repeats its choices. */
export function dice(t) {
  const seed = process.env.SEED ? Number(process.env.SEED) : Date.now() % 1_000_000_007;
  if (!Number.isSafeInteger(seed)) throw new Error(`SEED is not a whole number: ${process.env.SEED}`);
  t.diagnostic(`SEED=${seed}`);
  const { below, pick } = chance(seed);
  const between = (least, most) => least + below(most - least + 1);
  return { below, pick, between, sleep: (least, most) => setTimeout(between(least, most)) };
}
