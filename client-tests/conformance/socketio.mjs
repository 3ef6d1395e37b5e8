// @ts-check
// Owns the two documents of Socket.IO, each with the version of Engine.IO below it. Does not know cases.
import { Document } from './suite.mjs';

/** By the version of Engine.IO. */
export const SOCKETIO = { 4: new Document('Socket.IO 5'), 3: new Document('Socket.IO 4') };

const SECTIONS = {
  connect: { 4: 'Connection to a namespace', 3: 'Connection to a non-default namespace' },
  root: { 4: 'Connection to a namespace', 3: 'Connection to the default namespace' },
  connectPacket: { 4: 'Connection to a namespace', 3: '0 - CONNECT' },
  disconnect: { 4: 'Disconnection from a namespace', 3: 'Disconnection from a non-default namespace' },
  event: { 4: 'Sending and receiving data', 3: '2 - EVENT' },
  ack: { 4: 'Acknowledgement', 3: 'Acknowledgement' },
  error: { 4: 'Connection to a namespace', 3: '4 - ERROR' },
  binaryEvent: { 4: 'Sending and receiving data: binary data', 3: '5 - BINARY_EVENT' },
  binaryAck: { 4: 'Acknowledgement', 3: '6 - BINARY_ACK' },
  format: { 4: 'Packet encoding: Format', 3: 'Encoding format' },
  sample: { 4: 'Sample session', 3: 'Sample session' },
};

/** The section of the version of the protocol that stands on this version of Engine.IO. */
export const sectionOf = (/** @type {number} */ eio, /** @type {keyof typeof SECTIONS} */ what) => (
  SOCKETIO[eio].section(SECTIONS[what][eio])
);
