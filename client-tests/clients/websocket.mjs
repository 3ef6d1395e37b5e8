// @ts-check
// Owns raw WebSocket clients: dialling with a token, frames in and out as they are, how a connection ends.
import { WebSocket } from 'ws';
import { Changes, within } from '../harness/wait.mjs';

/** The paths of the raw dialects. */
export const PATH = { action: '/ws/chat/room/', type: '/ws/chats/', either: '/ws' };

/**
 * How a connection is opened: `token` and `query` are parameters of the address.
 * @typedef {{ token?: string, query?: Record<string, string>, headers?: Record<string, string> }} DialOptions
 */

/**
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {string} path
 * @param {DialOptions} options
 */
function open(owner, { url }, path, { token, query = {}, headers = {} }) {
  const parameters = new URLSearchParams({ ...(token !== undefined && { token }), ...query });
  const search = parameters.size > 0 ? `?${parameters}` : '';
  const socket = new WebSocket(`${url.replace('http', 'ws')}${path}${search}`, { headers });
  socket.on('error', () => {}); // the end of the connection reports it
  owner.after(() => socket.terminate());
  return socket;
}

let asked = 0;

/** A connection that keeps every frame: as text in `texts`, parsed in `frames`. */
export class Wire {
  #socket;
  #arrivals = new Changes();
  #taken = 0;
  /** @type {(frame: any) => void} */
  #listener = () => {};

  constructor(socket) {
    this.#socket = socket;
    this.texts = [];
    this.frames = [];
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        this.ended = { code, reason: reason.toString() };
        this.#arrivals.happened();
        resolve(this.ended);
      });
    });
    socket.on('message', (data, isBinary) => {
      const text = data.toString();
      this.texts.push(text);
      this.frames.push(isBinary ? { binary: text } : JSON.parse(text));
      this.#listener(this.frames.at(-1));
      this.#arrivals.happened();
    });
  }

  /** Passes every future frame to a listener, too. */
  listen(listener) { this.#listener = listener; }

  get isOpen() { return this.#socket.readyState === WebSocket.OPEN; }

  /** Sends each frame at once, as JSON. */
  send(...frames) { for (const frame of frames) this.#socket.send(JSON.stringify(frame)); }

  sendText(text) { this.#socket.send(text, { binary: false }); }

  sendBinary(data) { this.#socket.send(data, { binary: true }); }

  /** Bytes that the library would not send: they go to the TCP connection as they are. */
  sendBytes(bytes) { this.#socket._socket.write(bytes); }

  /** The next frame that was not taken yet. */
  async take(ms) {
    const index = this.#taken++;
    const arrived = () => index < this.frames.length || this.ended;
    const what = () => `frame ${index + 1}; so far came ${this.texts.join('\n').slice(-2000)}`;
    await this.#arrivals.until(arrived, what, ms);
    if (index >= this.frames.length) throw new Error(`the connection ended: ${JSON.stringify(this.ended)}`);
    return this.frames[index];
  }

  /** The same as text. */
  async takeText(ms) {
    await this.take(ms);
    return this.texts[this.#taken - 1];
  }

  /** Takes the frames that have come and were not taken. */
  takeRest() {
    const rest = this.frames.slice(this.#taken);
    this.#taken = this.frames.length;
    return rest;
  }

  /** The first frame, past or to come, that `fits`. */
  until(fits, what, ms) {
    const arrived = () => this.frames.find(fits) ?? (this.ended && { lost: this.ended });
    const delivered = () => `${what}; the last frames were ${this.texts.slice(-5).join('\n').slice(-2000)}`;
    return this.#arrivals.until(arrived, delivered, ms).then((frame) => {
      if (frame === undefined || frame.lost) throw new Error(`the connection ended before ${what}`);
      return frame;
    });
  }

  /** Waits until `count` frames that fit have come: these. */
  async untilMany(fits, count, what, ms) {
    const fitting = () => this.frames.filter(fits);
    const enough = () => fitting().length >= count || this.ended;
    await this.#arrivals.until(enough, () => `${count} ${what} (so far ${fitting().length})`, ms);
    return fitting();
  }

  /** Sends a request with a new request id: its answer, whatever else comes before it. */
  ask(frame) {
    const request_id = `question-${++asked}`;
    this.send({ ...frame, request_id });
    const what = `the answer to ${JSON.stringify(frame).slice(0, 200)}`;
    return this.until((answer) => answer.request_id === request_id, what);
  }

  /** Stops reading from the TCP connection: the kernel's buffers fill, then the server's. */
  pause() { this.#socket.pause(); }

  resume() { this.#socket.resume(); }

  /** Ends the TCP connection without a closing handshake. */
  vanish() { this.#socket.terminate(); }

  /** Ends the connection with the closing handshake. */
  async close(code = 1000) {
    this.#socket.close(code);
    return this.end();
  }

  /** How the connection ends: code and reason. */
  end(ms) { return within(this.closed, () => 'the end of the connection', ms); }
}

/**
 * An open connection; `opened` is called with it before it is open.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {string} path
 * @param {DialOptions & { opened?: (wire: Wire) => void }} options
 */
export async function dial(owner, server, path, { opened: seen, ...options } = {}) {
  const socket = open(owner, server, path, options);
  const wire = new Wire(socket);
  seen?.(wire);
  const opened = new Promise((resolve) => { socket.once('open', resolve); });
  const failed = new Promise((_, reject) => { socket.once('error', reject); });
  failed.catch(() => {}); // lost the race: a later error is another test's business
  await within(Promise.race([opened, failed]), () => `a connection to ${path}`);
  return wire;
}

/**
 * The HTTP answer with which a connection is refused before it is one: `status`, `headers`, `body`.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {string} path
 * @param {DialOptions} options
 * @param {number} [ms]
 * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: string }>}
 */
export function refusal(owner, server, path, options = {}, ms) {
  const socket = open(owner, server, path, options);
  const answered = new Promise((resolve, reject) => {
    socket.once('unexpected-response', async (request, response) => {
      let body = '';
      for await (const text of response.setEncoding('utf8')) body += text;
      resolve({ status: response.statusCode, headers: response.headers, body });
    });
    socket.once('open', () => reject(new Error(`${path} was not refused`)));
  });
  return within(answered, () => `a refusal of ${path}`, ms);
}

/**
 * Only its status.
 * @param {Parameters<typeof refusal>} args
 */
export const refusedWith = async (...args) => (await refusal(...args)).status;
