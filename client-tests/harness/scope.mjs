// @ts-check
// Owns the lifetime of servers and clients: scopes that last as long as a suite, or a part of a test.
import { after } from 'node:test';

/**
 * Ends servers, clients and files, which register how. A test's `t` is one.
 * @typedef {{ after: (end: () => unknown) => void }} Owner
 */

/** An owner with an `end()`: what was registered last ends first. */
export function newScope() {
  const endings = [];
  return {
    after: (end) => { endings.push(end); },
    end: async () => { for (const end of endings.splice(0).reverse()) await end(); },
  };
}

/** An owner that ends with a suite: call it in the body of a `describe`. */
export function useScope() {
  const scope = newScope();
  after(scope.end);
  return scope;
}
