// @ts-check
// Owns the official clients: connecting, requests with and without acknowledgement, collecting events.
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { io as io3 } from 'socket.io-client-3';
import { isRead } from '../harness/sockets.mjs';
import { Changes, eventually, within } from '../harness/wait.mjs';

/** The reasons of a disconnect that the server did not request. */
export const TRANSPORT_LOST = /^transport (close|error)$/;

const LIBRARIES = { 2: io2, 3: io3, 4: io4 };

/**
 * The options of the official client, and: its major version (4 unless it is 2 or 3), `opened`, which is called with the
 * socket before it connects, and a `namespace` for which the options, a query among them, are those of the connection and
 * not of the namespace.
 * @typedef {{
 *   client?: number, opened?: (socket: any) => void, namespace?: string, auth?: any, query?: object,
 *   transports?: string[], extraHeaders?: object, [option: string]: any,
 * }} ClientOptions
 */

/**
 * A client that has not connected yet; it ends with its owner.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {string} url
 * @param {ClientOptions} options
 * @returns {any} a socket of either library, whose types differ
 */
export function open(owner, url, { client = 4, opened, namespace, ...options }) {
  const all = { forceNew: true, reconnection: false, transports: ['websocket'], ...options };
  const library = LIBRARIES[client];
  const socket = namespace ? new library.Manager(url, all).socket(namespace) : library(url, all);
  owner.after(() => socket.close());
  opened?.(socket);
  return socket;
}

/** The server's error for a client that may not connect. */
function refusalOf(socket) {
  return new Promise((resolve) => {
    socket.once('connect_error', resolve);
    socket.once('error', resolve); // how version 2 reports an ERROR packet
  });
}

/**
 * A connected client of version 4, or of another with `client: 2` or `client: 3`.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {string} url
 * @param {ClientOptions} options
 */
export async function connect(owner, url, options = {}) {
  const socket = open(owner, url, options);
  const connected = new Promise((resolve) => { socket.once('connect', resolve); });
  const refused = refusalOf(socket).then((error) => {
    throw new Error(`could not connect to ${url}: ${error?.message ?? error}`);
  });
  refused.catch(() => {}); // lost the race: a later error is another test's business
  await within(Promise.race([connected, refused]), () => `a connection to ${url}`);
  return socket;
}

/**
 * The error with which a connection is refused.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {string} url
 * @param {ClientOptions} options
 */
export async function connectRefused(owner, url, options = {}) {
  const socket = open(owner, url, options);
  const connected = new Promise((resolve) => { socket.once('connect', resolve); }).then(() => {
    throw new Error('the connection was accepted');
  });
  connected.catch(() => {});
  return within(Promise.race([refusalOf(socket), connected]), () => 'a refused connection');
}

/**
 * Why a connection of version 4 ends before it is one, without a refusal: such a client would reconnect.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {string} url
 * @param {ClientOptions} options
 */
export async function connectCutOff(owner, url, options = {}) {
  const socket = open(owner, url, options);
  const fails = (what) => (detail) => { throw new Error(`the connection was ${what}: ${detail?.message}`); };
  const connected = new Promise((resolve) => { socket.once('connect', resolve); }).then(fails('accepted'));
  const refused = refusalOf(socket).then(fails('refused'));
  for (const lost of [connected, refused]) lost.catch(() => {});
  const ended = new Promise((resolve) => { socket.once('disconnect', resolve); });
  return within(Promise.race([ended, connected, refused]), () => 'the end of a connection that is none yet');
}

/** Waits until the server has read all that this client has sent by its WebSocket. */
export function arrival({ io: { engine } }) {
  return eventually(() => engine.writeBuffer.length === 0 && isRead(engine.transport.ws._socket), 'what was sent has arrived');
}

/** The next occurrence of an event: its first argument. */
export function nextEvent(socket, event, ms) {
  return within(new Promise((resolve) => { socket.once(event, resolve); }), () => `the event '${event}'`, ms);
}

/** Emits with an acknowledgement callback: the one argument that it gets, error or not. */
async function answerOf(socket, event, ...args) {
  const answered = new Promise((resolve) => { socket.emit(event, ...args, (...answer) => resolve(answer)); });
  const answer = await within(answered, () => `the acknowledgement of ${event}`);
  if (answer.length !== 1) throw new Error(`${event} was acknowledged with ${answer.length} arguments`);
  return answer[0];
}

/** Emits with acknowledgement: the response. */
export async function ask(socket, event, ...args) {
  const answer = await answerOf(socket, event, ...args);
  if (answer.error) throw new Error(`${event} was refused: ${JSON.stringify(answer.error)}`);
  return answer;
}

/** Emits with acknowledgement: the error. */
export async function refusal(socket, event, ...args) {
  const answer = await answerOf(socket, event, ...args);
  if (!answer.error) throw new Error(`${event} was not refused: ${JSON.stringify(answer)}`);
  return answer.error;
}

/** Emits without acknowledgement: the event that answers, and its body. */
async function plainAnswer(socket, event, ...args) {
  const answered = new Promise((resolve) => {
    const answer = (name) => (body) => {
      socket.off(event, onResponse);
      socket.off('exception', onException);
      resolve({ name, body });
    };
    const onResponse = answer(event);
    const onException = answer('exception');
    socket.on(event, onResponse);
    socket.on('exception', onException);
  });
  socket.emit(event, ...args);
  return within(answered, () => `an answer to ${event} as an event`);
}

/** Emits without acknowledgement: the body of the event of the same name that answers. */
export async function askByEvent(socket, event, ...args) {
  const { name, body } = await plainAnswer(socket, event, ...args);
  if (name !== event) throw new Error(`${event} was refused: ${JSON.stringify(body)}`);
  return body;
}

/** Emits without acknowledgement: the body of the `exception` that answers. */
export async function exception(socket, event, ...args) {
  const { name, body } = await plainAnswer(socket, event, ...args);
  if (name !== 'exception') throw new Error(`${event} was not refused: ${JSON.stringify(body)}`);
  return body;
}

/**
 * The bodies of an event, as they come; `until(n)` waits for the n-th.
 * @typedef {any[] & { until: (count: number, ms?: number) => Promise<boolean> }} Inbox
 */

/**
 * Collects the bodies of an event.
 * @returns {Inbox}
 */
export function collect(socket, event) {
  const bodies = [];
  const arrivals = new Changes();
  socket.on(event, (body) => {
    bodies.push(body);
    arrivals.happened();
  });
  const until = (count, ms) => (
    arrivals.until(() => bodies.length >= count, () => `'${event}' number ${count} (so far ${bodies.length})`, ms)
  );
  return /** @type {Inbox} */ (Object.defineProperty(bodies, 'until', { value: until }));
}
