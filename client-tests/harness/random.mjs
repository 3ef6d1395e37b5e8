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

/** Random whole numbers below a limit, and random elements of lists. */
export function seededRandom(seed) {
  const random = randomNumbers(seed);
  const below = (limit) => Math.floor(random() * limit);
  return { below, pick: (list) => list[below(list.length)] };
}

/** Set by `make soak`. */
const isLong = process.env.SOAK === '1';

/** A size for a short run, and one for a long run. */
export const sized = (short, long) => (isLong ? long : short);

/**
 * Random choices and waits.
 * @typedef {ReturnType<typeof chanceOf>} Chance
 */
export function chanceOf(seed) {
  const { below, pick } = seededRandom(seed);
  const between = (least, most) => least + below(most - least + 1);
  return { below, pick, between, sleep: (least, most) => setTimeout(between(least, most)) };
}

/** The seed of a run: the given one, or a new one. */
export function runSeed(given = process.env.SEED) {
  const seed = given ? Number(given) : Date.now() % 1_000_000_007;
  if (!Number.isSafeInteger(seed)) throw new Error(`the seed is not a whole number: ${given}`);
  return seed;
}

/** Random choices of one test, whose seed is printed. `SEED=…` repeats its choices. */
export function testRandom(t) {
  const seed = runSeed();
  t.diagnostic(`SEED=${seed}`);
  return chanceOf(seed);
}
