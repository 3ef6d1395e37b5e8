// @ts-check
// Owns the choice of the server that the cases of conformance run against, by CONFORMANCE_SUBJECT: polychat with one of
// its two sides of Socket.IO, or Node's socket.io, the reference. Does not know the cases.
import { SOCKETIO, startNodeChat, startServer } from './server.mjs';
import { SECRET } from './tokens.mjs';

/** The server that is not polychat. */
const NODE = 'node';

/** Every subject: the sides of polychat, and that one. */
export const SUBJECTS = ['socketioxide', 'native', NODE];

/** This run's subject; without CONFORMANCE_SUBJECT the side that all tests run on. */
export const subject = process.env.CONFORMANCE_SUBJECT ?? SOCKETIO;
if (!SUBJECTS.includes(subject)) throw new Error(`CONFORMANCE_SUBJECT is ${subject}, and no subject: ${SUBJECTS}`);

/** Whether Node's server is the subject. */
export const isNode = subject === NODE;

/**
 * The differences from the defaults: `strict` takes valid tokens alone, `handshakeSecs` is the time to connect in.
 * @typedef {{ strict?: boolean, handshakeSecs?: number }} SubjectOptions
 */
const optionsOf = (/** @type {SubjectOptions} */ { strict, handshakeSecs }) => [
  '--allowed-hosts', 'chat.example',
  ...(strict ? ['--auth', 'jwt', '--jwt-secret', SECRET] : []),
  ...(handshakeSecs === undefined ? [] : ['--handshake-timeout', `${handshakeSecs}s`]),
];

/**
 * The subject, listening.
 * @param {import('./scope.mjs').Owner} owner
 * @param {SubjectOptions} options
 * @returns {Promise<{ port: number, url: string, logs: () => string }>}
 */
export const startSubject = (owner, options = {}) => (
  isNode ? startNodeChat(owner, options) : startServer(owner, ['--socketio', subject, ...optionsOf(options)])
);
