// Owns what lives as long as a suite: an owner of servers and clients like a test's `t`.
import { after } from 'node:test';

/** Call it in the body of a `describe`; what was registered last ends first. */
export function useScope() {
  const endings = [];
  after(async () => {
    for (const end of endings.reverse()) await end();
  });
  return { after: (end) => { endings.push(end); } };
}
