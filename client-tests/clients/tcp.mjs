// @ts-check
// Owns TCP connections driven by hand: HTTP/1.1 requests as they are written, responses one by one, WebSocket frames after
// an upgrade. Does not know the meaning of requests and frames.
import { randomBytes } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import { isRead, unreadBytes } from '../harness/sockets.mjs';
import { Changes, eventually, within } from '../harness/wait.mjs';

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

const HEAD_END = '\r\n\r\n';

/**
 * A response: `headers` by their names in lower case, lines of the same name joined.
 * @typedef {{ status: number, headers: Record<string, string>, bytes: Buffer, body: string }} Response
 */

/** A masked frame, as clients send them; the options make it one that RFC 6455 forbids. */
export function frame(payload, { opcode = OPCODE.text, fin = true, reserved = 0, masked = true } = {}) {
  const data = Buffer.from(payload);
  const head = [(fin ? 0x80 : 0) | (reserved << 4) | opcode];
  const mask = masked ? 0x80 : 0;
  if (data.length < 126) head.push(mask | data.length);
  else if (data.length < 65_536) head.push(mask | 126, data.length >> 8, data.length & 0xff);
  else head.push(mask | 127, 0, 0, 0, 0, ...[24, 16, 8, 0].map((shift) => (data.length >>> shift) & 0xff));
  if (!masked) return Buffer.concat([Buffer.from(head), data]);
  const key = randomBytes(4);
  return Buffer.concat([Buffer.from(head), key, data.map((byte, index) => byte ^ key[index % 4])]);
}

/** The head of a request; `lines` are header lines as they are written. */
export const head = (method, target, lines = ['Host: localhost'], version = '1.1') => (
  [`${method} ${target} HTTP/${version}`, ...lines, '', ''].join('\r\n')
);

/** The header lines of a WebSocket handshake. */
export const UPGRADE_LINES = [
  'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

function headersOf(lines) {
  const headers = {};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).toLowerCase();
    const value = line.slice(colon + 1).trim();
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

/** The body at the beginning of `bytes` that is sent in chunks, and where it ends; undefined if it is not whole. */
function unchunked(bytes) {
  const pieces = [];
  for (let at = 0; ;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.subarray(at, line).toString('latin1'), 16);
    const end = line + 2 + size;
    if (bytes.length < end + 2) return undefined;
    if (size === 0) return { body: Buffer.concat(pieces), end: end + 2 };
    pieces.push(bytes.subarray(line + 2, end));
    at = end + 2;
  }
}

/** A TCP connection that buffers what it receives until a response or a frame is taken from it. */
export class TcpConnection {
  #socket;
  #received = Buffer.alloc(0);
  #arrivals = new Changes();
  #connected;
  #closed;
  isOver = false;

  /**
   * @param {import('../harness/scope.mjs').Owner} owner
   * @param {{ port: number }} server
   */
  static async open(owner, { port }) {
    const connection = new TcpConnection(connectTcp(port, '127.0.0.1'));
    owner.after(() => connection.destroy());
    await within(connection.#connected, () => `a TCP connection to port ${port}`);
    return connection;
  }

  constructor(socket) {
    this.#socket = socket.setNoDelay(true);
    this.#connected = new Promise((resolve) => { socket.once('connect', resolve).once('close', resolve); });
    this.#closed = new Promise((resolve) => { socket.once('close', resolve); });
    socket.on('error', () => {}); // `isOver` and `ended` report it
    socket.on('data', (bytes) => {
      this.#received = this.#received.length > 0 ? Buffer.concat([this.#received, bytes]) : bytes;
      this.#arrivals.happened();
    });
    socket.once('close', () => {
      this.isOver = true;
      this.#arrivals.happened();
    });
  }

  write(bytes) { this.#socket.write(bytes); }

  /** Waits until the server has read all that was written, or the connection is closed. */
  async isRead() {
    await eventually(() => this.isOver || isRead(this.#socket), 'the server has read what was written');
  }

  /** Stops reading: the kernel's buffers fill, then the server's. */
  pause() { this.#socket.pause(); }

  resume() { this.#socket.resume(); }

  /** Closes it with FIN. */
  destroy() { this.#socket.destroy(); }

  /** The same, and waits until the server has closed its end, too. */
  async leave() {
    const { localPort, remotePort } = this.#socket;
    this.#socket.destroy();
    await eventually(async () => await unreadBytes(remotePort, localPort) === undefined, 'the server has closed its end');
  }

  /** Closes it with RST. */
  reset() { this.#socket.resetAndDestroy(); }

  /** Waits until it is closed. */
  ended(ms) { return within(this.#closed, () => 'the end of the TCP connection', ms); }

  /** Takes what `parse` finds at the beginning of the received bytes; undefined if the connection ends before. */
  async #take(parse, what, ms) {
    const found = () => {
      const read = parse(this.#received);
      return read ?? (this.isOver ? { over: true } : undefined);
    };
    const read = await this.#arrivals.until(found, () => `${what}; so far came ${this.#received.subarray(0, 300)}`, ms);
    if (read.over) return undefined;
    this.#received = this.#received.subarray(read.end);
    return read.value;
  }

  /**
   * The next response; undefined if the connection ends before it is whole.
   * @returns {Promise<Response | undefined>}
   */
  response(ms) {
    return this.#take((bytes) => {
      const headEnd = bytes.indexOf(HEAD_END);
      if (headEnd < 0) return undefined;
      const [first, ...lines] = bytes.subarray(0, headEnd).toString('latin1').split('\r\n');
      const status = Number(first.split(' ')[1]);
      const headers = headersOf(lines);
      const start = headEnd + HEAD_END.length;
      const value = (body) => ({ status, headers, bytes: body, body: body.toString() });
      if (status < 200 || status === 204 || status === 304) return { value: value(Buffer.alloc(0)), end: start };
      if (headers['transfer-encoding'] === 'chunked') {
        const read = unchunked(bytes.subarray(start));
        return read && { value: value(read.body), end: start + read.end };
      }
      const end = 'content-length' in headers ? start + Number(headers['content-length']) : this.isOver && bytes.length;
      if (end === false || bytes.length < end) return undefined;
      return { value: value(bytes.subarray(start, end)), end };
    }, 'a response', ms);
  }

  /** All that comes until the connection is closed, as text. */
  async untilEnd(ms = undefined) {
    await this.ended(ms);
    return this.#received.toString('latin1');
  }

  /** The next frame: `opcode` and `payload`; undefined if the connection ends before it is whole. */
  frame(ms) {
    return this.#take((bytes) => {
      if (bytes.length < 2) return undefined;
      const [short, start] = { 126: [2, 4], 127: [8, 10] }[bytes[1]] ?? [0, 2];
      if (bytes.length < start) return undefined;
      const length = short === 0 ? bytes[1] : Number(`0x${bytes.subarray(2, start).toString('hex')}`);
      if (bytes.length < start + length) return undefined;
      return { value: { opcode: bytes[0] & 15, payload: bytes.subarray(start, start + length) }, end: start + length };
    }, 'a frame', ms);
  }

  /** Sends one request: its response. */
  async request(method, target, lines, body = '', ms = undefined) {
    const length = body.length > 0 || method === 'POST' ? [`Content-Length: ${Buffer.byteLength(body)}`] : [];
    this.write(Buffer.concat([Buffer.from(head(method, target, [...lines, ...length])), Buffer.from(body)]));
    return this.response(ms);
  }
}

/**
 * One request on a connection of its own: its response, or undefined if the connection is cut before.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ port: number }} server
 * @param {string} text
 * @param {number} [ms]
 */
export async function exchange(owner, server, text, ms) {
  const connection = await TcpConnection.open(owner, server);
  connection.write(text);
  const response = await connection.response(ms);
  connection.destroy();
  return response;
}

/** How many requests are pipelined on one connection. */
const WINDOW = 64;

/**
 * Sends requests on one connection, a window at a time, and discards the responses; it stays open.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ port: number }} server
 * @param {number} count
 * @param {(index: number) => string} textOf
 */
export async function pipeline(owner, server, count, textOf) {
  const connection = await TcpConnection.open(owner, server);
  for (let sent = 0; sent < count; sent += WINDOW) {
    const texts = Array.from({ length: Math.min(WINDOW, count - sent) }, (_, index) => textOf(sent + index));
    connection.write(texts.join(''));
    for (const _ of texts) if (!await connection.response()) throw new Error('the connection was cut');
  }
  return connection;
}
