// @ts-check
// Owns the two documents of Engine.IO and the names of their sections, since most cases hold for both. Does not know cases.
import { Document } from './suite.mjs';

export const ENGINEIO = { 4: new Document('Engine.IO 4'), 3: new Document('Engine.IO 3') };

const SECTIONS = {
  path: { 4: 'Request path', 3: 'URLs' },
  query: { 4: 'Query parameters', 3: 'URLs' },
  errors: { 4: 'Error codes (of the reference server)', 3: 'Error codes (of the reference server)' },
  headers: { 4: 'Headers', 3: 'Polling' },
  cors: { 4: 'Headers', 3: 'XHR' },
  sending: { 4: 'Sending data', 3: 'Polling' },
  receiving: { 4: 'Receiving data', 3: 'Polling' },
  websocket: { 4: 'WebSocket', 3: 'WebSocket' },
  handshake: { 4: 'Handshake', 3: 'Anatomy of an Engine.IO session' },
  heartbeat: { 4: 'Heartbeat', 3: 'Timeouts' },
  upgrade: { 4: 'Upgrade', 3: 'Transport upgrading' },
  packets: { 4: 'Protocol: packet types', 3: 'Packet' },
  message: { 4: 'Message', 3: '4 message' },
  payload: { 4: 'Packet encoding: HTTP long-polling', 3: 'Payload' },
};

/** The section of a version of the protocol that says this. */
export const sectionOf = (/** @type {number} */ eio, /** @type {keyof typeof SECTIONS} */ what) => (
  ENGINEIO[eio].section(SECTIONS[what][eio])
);
