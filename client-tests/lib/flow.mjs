// Owns a chat that never falls silent, for those who come back into the middle of it.
import { say } from './people.mjs';

/** How many messages are under way at once. */
const LANES = 8;

/** Says one thing after the other, without a pause, until it is stopped; then it tells how many there are. */
export function flow(speaker, chat) {
  let flowing = true;
  let latest = 0;
  const lane = async () => {
    while (flowing) {
      const { seq } = await say(speaker, chat, 'and on it goes');
      latest = Math.max(latest, seq);
    }
  };
  const lanes = Promise.all(Array.from({ length: LANES }, lane));
  lanes.catch(() => {}); // whoever stops it hears
  return {
    get latest() { return latest; },
    stop: async () => {
      flowing = false;
      await lanes;
      return latest;
    },
  };
}

/** The numbers after `from`, so many. */
export const following = (from, count) => Array.from({ length: count }, (_, index) => from + index + 1);
