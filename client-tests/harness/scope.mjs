// @ts-check
// Owns what lives as long as a suite, or a part of a test: an owner of servers and clients like a test's `t`.
import { after } from 'node:test';

/**
 * Owns servers, clients and files: they register how they end. A test's `t` is one.
 * @typedef {{ after: (end: () => unknown) => void }} Owner
 */

/** An owner that ends when told to; what was registered last ends first. */
export function newScope() {
  const endings = [];
  return {
    after: (end) => { endings.push(end); },
    end: async () => { for (const end of endings.splice(0).reverse()) await end(); },
  };
}

/** One that ends with a suite: call it in the body of a `describe`. */
export function useScope() {
  const scope = newScope();
  after(scope.end);
  return scope;
}
