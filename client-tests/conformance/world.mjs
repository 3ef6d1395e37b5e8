// @ts-check
// Owns the servers that the cases of conformance share, one process for each way to be configured. Does not know the cases.
import { isNode, startSubject } from '../harness/subject.mjs';
import { token } from '../harness/tokens.mjs';

/** How long a client of `hasty` may take to connect to a namespace. */
export const HASTE_SECS = 1;

/** A server: where it is. @typedef {{ port: number, url: string }} Where */

/** Every client is trusted. @type {Where} */
export let server;

/** Rejects the token `wrong`, and accepts `goodToken`. Node's chat is always like this. @type {Where} */
export let strict;
export let goodToken = '';

/** It disconnects clients that are not connected to a namespace in time. @type {Where} */
export let hasty;

/**
 * Starts them.
 * @param {import('../harness/scope.mjs').Owner} owner
 */
export async function startWorld(owner) {
  server = await startSubject(owner);
  strict = isNode ? server : await startSubject(owner, { strict: true });
  goodToken = await token({ sub: 'anna' });
  hasty = await startSubject(owner, { handshakeSecs: HASTE_SECS });
}
