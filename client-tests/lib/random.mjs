// Owns chance that can be repeated: the same numbers for the same seed.

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
