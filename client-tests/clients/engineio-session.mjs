// @ts-check
// Owns Engine.IO sessions driven by hand, of protocol 4 and 3: each poll, body, frame and probe is sent explicitly,
// nothing automatically. Does not know the messages inside.
import { OPCODE, TcpConnection, UPGRADE_LINES, frame, head } from './tcp.mjs';
import { Changes, eventually } from '../harness/wait.mjs';

const SEPARATOR = '\x1e';
const TEXT_TYPE = 'text/plain;charset=UTF-8';
const MOST_POLLS = 20;

/** Longer than the server holds a request. */
const REQUEST_MS = 60_000;

/** The base64 form of a binary packet in a body of text. */
const asText = (eio, packet) => {
  if (typeof packet === 'string') return packet;
  return `${eio === 3 ? 'b4' : 'b'}${packet.toString('base64')}`;
};

/** A body of text with these packets; a binary packet is a Buffer. Protocol 3 counts UTF-16 units. */
export function encodePayload(eio, packets) {
  const texts = packets.map((packet) => asText(eio, packet));
  return eio === 3 ? texts.map((text) => `${text.length}:${text}`).join('') : texts.join(SEPARATOR);
}

/** The packets in a body of text. */
export function decodePayload(eio, body) {
  if (eio === 4) return body.split(SEPARATOR);
  const packets = [];
  for (let at = 0; at < body.length;) {
    const colon = body.indexOf(':', at);
    const length = Number(body.slice(at, colon));
    if (!Number.isSafeInteger(length) || colon < at) throw new Error(`no payload of protocol 3: ${body.slice(0, 500)}`);
    packets.push(body.slice(colon + 1, colon + 1 + length));
    at = colon + 1 + length;
  }
  return packets;
}

/** The session id in the response to a polling handshake. */
export const sidOf = (eio, { body }) => JSON.parse(decodePayload(eio, body)[0].slice(1)).sid;

/**
 * The target of a request; further parameters as they are given.
 * @param {{ eio?: number, transport?: string, [parameter: string]: any }} parameters
 */
export function target({ eio = 4, transport = 'polling', ...more } = {}) {
  const given = Object.entries(more).filter(([, value]) => value !== undefined);
  return `/socket.io/?${new URLSearchParams([['EIO', `${eio}`], ['transport', transport], ...given])}`;
}

/**
 * How a session is opened: the protocol, the token in the query, further parameters and header lines.
 * @typedef {{ eio?: number, token?: string, query?: Record<string, string>, lines?: string[] }} SessionOptions
 */

/** A session that polls only when `poll()` is called, each request on a TCP connection of its own. */
export class PollingSession {
  #owner;
  #server;
  #query;
  #lines;
  /** The connection of the latest poll. */
  #polls;
  /** The packets of all polls. */
  packets = [];
  sid = '';
  /** @type {any} the parsed OPEN packet */
  handshake = {};

  /**
   * @param {import('../harness/scope.mjs').Owner} owner
   * @param {{ port: number }} server
   * @param {SessionOptions} options
   */
  constructor(owner, server, { eio = 4, token, query = {}, lines = [] } = {}) {
    this.#owner = owner;
    this.#server = server;
    this.eio = eio;
    this.#query = { eio, ...(token !== undefined && { token }), ...query };
    this.#lines = ['Host: localhost', ...lines];
  }

  /**
   * A session that is open.
   * @param {import('../harness/scope.mjs').Owner} owner
   * @param {{ port: number }} server
   * @param {SessionOptions} options
   */
  static async open(owner, server, options = {}) {
    const session = new PollingSession(owner, server, options);
    const { status, body, packets: [open, ...rest] } = await session.poll();
    if (status !== 200) throw new Error(`the handshake was answered ${status} ${body}`);
    session.handshake = JSON.parse(open.slice(1));
    session.sid = session.handshake.sid;
    session.packets = rest;
    return session;
  }

  /** Requests with the same session id to another server. */
  at(server) {
    const session = new PollingSession(this.#owner, server, { eio: this.eio, lines: this.#lines.slice(1) });
    session.sid = this.sid;
    return session;
  }

  /** The target of this session's requests. */
  get target() { return target({ ...this.#query, sid: this.sid || undefined }); }

  get lines() { return this.#lines; }

  async #request(method, lines, body, ms) {
    if (method === 'GET') this.#polls = undefined;
    const connection = await TcpConnection.open(this.#owner, this.#server);
    const responding = connection.request(method, this.target, [...this.#lines, ...lines], body, ms);
    if (method === 'GET') this.#polls = connection;
    const response = await responding;
    connection.destroy();
    return response ?? { status: 0, headers: {}, bytes: Buffer.alloc(0), body: '' };
  }

  /** Waits until the server has read the latest poll, which may be under way. */
  async pollWaits() {
    const connection = await eventually(() => this.#polls, 'a poll is sent');
    await connection.isRead();
  }

  /** One poll: its response (status 0 if the connection was closed before) and the packets in it. */
  async poll(ms = REQUEST_MS) {
    const response = await this.#request('GET', [], '', ms);
    const packets = response.status === 200 && !response.headers['content-type']?.startsWith('application/octet-stream')
      ? decodePayload(this.eio, response.body) : [];
    this.packets.push(...packets);
    return { ...response, packets };
  }

  /** Posts packets in one body of text: the response. */
  post(...packets) { return this.postBody(encodePayload(this.eio, packets)); }

  postBody(body, type = TEXT_TYPE) { return this.#request('POST', [`Content-Type: ${type}`], body, REQUEST_MS); }

  send(...packets) { return this.post(...packets); }

  /** The first packet, past or to come, that starts with `prefix`. */
  async packet(prefix) {
    for (let polls = 0; polls < MOST_POLLS; polls++) {
      const found = this.packets.find((packet) => packet.startsWith(prefix));
      if (found) return found;
      const { status, body } = await this.poll();
      if (status !== 200) throw new Error(`polling ended with ${status} ${body} before a packet ${prefix}…`);
    }
    throw new Error(`no packet ${prefix}… in ${MOST_POLLS} polls: ${this.packets}`);
  }

  /** Begins a poll on a connection that the caller holds. */
  async beginPoll() {
    const connection = await TcpConnection.open(this.#owner, this.#server);
    connection.write(head('GET', this.target, this.#lines));
    await connection.isRead();
    return connection;
  }
}

/** A WebSocket: of a new session, or with `sid` one that may probe for an existing session. */
export class WebSocketSession {
  #arrivals = new Changes();
  sid = '';
  /** The packets that have come: text, or a Buffer. */
  packets = [];
  /** The payloads of the pongs that have come. */
  pongs = [];
  /** How it ended: the code of the close frame, if there was one, and its reason. */
  end;

  /**
   * @param {import('../harness/scope.mjs').Owner} owner
   * @param {{ port: number }} server
   * @param {SessionOptions & { sid?: string }} options
   */
  static async open(owner, server, { eio = 4, token, sid, query = {}, lines = [] } = {}) {
    const connection = await TcpConnection.open(owner, server);
    const where = target({ eio, transport: 'websocket', sid, token, ...query });
    const response = await connection.request('GET', where, ['Host: localhost', ...lines, ...UPGRADE_LINES]);
    if (response?.status !== 101) throw new Error(`the upgrade was answered ${response?.status} ${response?.body}`);
    const session = new WebSocketSession(connection, eio);
    if (sid === undefined) {
      session.handshake = JSON.parse((await session.packet('0')).slice(1));
      session.packets.shift();
    }
    session.sid = sid ?? session.handshake.sid;
    return session;
  }

  constructor(connection, eio) {
    this.tcp = connection;
    this.eio = eio;
    /** @type {any} the parsed OPEN packet */
    this.handshake = {};
    this.#read();
  }

  async #read() {
    for (;;) {
      const received = await this.tcp.frame(2 ** 30);
      if (received === undefined || received.opcode === OPCODE.close) {
        const { payload = Buffer.alloc(0) } = received ?? {};
        this.end ??= payload.length < 2 ? { code: undefined, reason: '', frame: received !== undefined }
          : { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString(), frame: true };
      } else if (received.opcode <= OPCODE.binary) {
        this.packets.push(received.opcode === OPCODE.text ? received.payload.toString() : Buffer.from(received.payload));
      } else if (received.opcode === OPCODE.pong) {
        this.pongs.push(received.payload.toString());
      }
      this.#arrivals.happened();
      if (received === undefined) return;
    }
  }

  /** Sends each packet in a frame, all of them in one piece. */
  async send(...packets) {
    const opcode = (packet) => (typeof packet === 'string' ? OPCODE.text : OPCODE.binary);
    this.tcp.write(Buffer.concat(packets.map((packet) => frame(packet, { opcode: opcode(packet) }))));
  }

  /** Sends a frame as it is given. */
  sendFrame(payload, options) { this.tcp.write(frame(payload, options)); }

  /** Waits until `look` finds something; fails at the end of the connection. */
  async until(look, what, ms) {
    const delivered = () => `${what}; came: ${this.packets.slice(-5)}, ended: ${JSON.stringify(this.end)}`;
    const found = await this.#arrivals.until(() => look() || (this.end && { lost: true }), delivered, ms);
    if (found.lost) throw new Error(`the connection ended before ${delivered()}`);
    return found;
  }

  /** The first packet, past or to come, that starts with `prefix`. */
  packet(prefix, ms) {
    const arrived = () => this.packets.find((packet) => typeof packet === 'string' && packet.startsWith(prefix));
    return this.until(arrived, `a packet ${prefix}…`, ms);
  }

  /** How it ends: `code` and `reason` of the close frame; `code` undefined if there is none. */
  ended(ms) { return this.#arrivals.until(() => this.end, () => `the end; came: ${this.packets.slice(-5)}`, ms); }
}

/** Upgrades a polling session as clients do: the WebSocket, with all packets so far. */
export async function upgrade(owner, server, session) {
  const socket = await probe(owner, server, session);
  socket.packets.unshift(...session.packets);
  await socket.send('5');
  return socket;
}

/** Probes a WebSocket for a polling session, whose poll waits meanwhile: all that a client does before it sends `5`. */
export async function probe(owner, server, session) {
  const poll = session.poll();
  const socket = await WebSocketSession.open(owner, server, { eio: session.eio, sid: session.sid });
  await socket.send('2probe');
  await socket.packet('3probe');
  await poll; // NOOP at the latest
  return socket;
}
