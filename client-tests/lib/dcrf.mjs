// Owns the npm client of the action dialect: connecting it as it is, with the `ws` library for its WebSocket.
import dcrf from 'dcrf-client';
import { WebSocket } from 'ws';
import { PATH } from './wire.mjs';

const QUICK = { minReconnectionDelay: 50, maxReconnectionDelay: 200, minUptime: 0 };

/** A client, connected by itself; it ends with its owner. */
export function dcrfClient(owner, { url }, token) {
  const address = `${url.replace('http', 'ws')}${PATH.action}?token=${encodeURIComponent(token)}`;
  const client = dcrf.default.connect(address, { websocket: { WebSocket, ...QUICK } });
  owner.after(() => client.close());
  return client;
}

/** What a promise of this client is rejected with: the whole reply. */
export async function rejectionOf(promise) {
  let value;
  try { value = await promise; } catch (reply) { return reply; }
  throw new Error(`was not rejected: ${JSON.stringify(value)}`);
}
