// @ts-check
// Owns repeatable randomness: the same numbers for the same seed; and the size of the fault tests, short or long.
import { setTimeout } from 'node:timers/promises';

/** Numbers below 1 (mulberry32). */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whole numbers below a limit, and picks out of lists. */
export function chance(seed) {
  const random = randomNumbers(seed);
  const below = (limit) => Math.floor(random() * limit);
  return { below, pick: (list) => list[below(list.length)] };
}

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
