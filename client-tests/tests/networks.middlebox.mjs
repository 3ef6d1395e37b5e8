// @ts-check
// Owns a TCP middlebox: relays HTTP, counts its requests, and breaks WebSockets in each of the ways networks do.
// Does not know Socket.IO beyond the texts of Engine.IO's probe.
import { connect, createServer } from 'node:net';

const HEAD_END = '\r\n\r\n';
const REQUEST_LINE = /^(GET|POST|OPTIONS) \S+ HTTP\/1\.1\r\n/;

/** Bytes up to the end of a head, and those behind it; undefined while the end has not come. */
function splitHead(bytes) {
  const end = bytes.indexOf(HEAD_END);
  return end < 0 ? undefined : [bytes.subarray(0, end + HEAD_END.length), bytes.subarray(end + HEAD_END.length)];
}

/** The first WebSocket frame in the bytes, whole; undefined while it is not. */
function firstFrame(bytes) {
  if (bytes.length < 2) return undefined;
  const short = bytes[1] & 0x7f;
  const extended = { 126: 2, 127: 8 }[short] ?? 0;
  const mask = 2 + extended;
  const start = mask + (bytes[1] & 0x80 ? 4 : 0);
  if (bytes.length < start) return undefined;
  const length = extended === 0 ? short : bytes.readUIntBE(mask - Math.min(extended, 6), Math.min(extended, 6));
  if (bytes.length < start + length) return undefined;
  const payload = Buffer.from(bytes.subarray(start, start + length));
  if (start > mask) payload.forEach((byte, index) => { payload[index] = byte ^ bytes[mask + (index % 4)]; });
  return { bytes: Buffer.from(bytes.subarray(0, start + length)), text: payload.toString() };
}

/**
 * One frame on its way: `from` is the side that sent it, `number` counts from 1 in its direction, and `upgraded` is set
 * once the client has ended its probe by `5`. @typedef {{ from: 'client' | 'server', number: number, upgraded: boolean,
 * bytes: Buffer, text: string }} Frame
 */

/**
 * A fault of a WebSocket: each function returns the bytes to relay, and undefined relays nothing. `times` is to
 * how many WebSockets of a middlebox that happens, if not to all.
 * @typedef {{
 *   times?: number,
 *   request?: (head: Buffer, relay: Relay) => Buffer | undefined,
 *   response?: (head: Buffer, relay: Relay) => Buffer | undefined,
 *   frame?: (frame: Frame, relay: Relay) => Buffer | undefined,
 * }} Fault
 */

/** One connection of a client, and the connection to the server that belongs to it. */
class Relay {
  #client;
  #server;
  /** @type {Fault} */
  #fault = {};
  #upgraded = false;
  #cut = false;

  constructor(client, target, onRequest, onWebSocket) {
    this.#client = client;
    this.#server = connect({ ...target, allowHalfOpen: true });
    for (const [socket, other] of [[this.#client, this.#server], [this.#server, this.#client]]) {
      socket.setNoDelay(true);
      socket.on('error', () => {}); // its end, which follows, is relayed
      socket.once('end', () => other.end());
      socket.once('close', () => other.destroy());
    }
    this.#begin(onRequest, onWebSocket);
  }

  /** Relays requests until one is an upgrade, which is the first of its connection. */
  #begin(onRequest, onWebSocket) {
    let pending = Buffer.alloc(0);
    const gather = (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      const parts = splitHead(pending);
      if (parts === undefined) return;
      this.#client.off('data', gather);
      if (/^upgrade: *websocket\r$/im.test(parts[0].toString('latin1'))) {
        onRequest();
        this.#fault = onWebSocket();
        this.#relayWebSocket(...parts);
        return;
      }
      const relay = (more) => {
        if (REQUEST_LINE.test(more.toString('latin1'))) onRequest();
        this.#server.write(more);
      };
      relay(pending);
      this.#client.on('data', relay);
      this.#server.pipe(this.#client);
    };
    this.#client.on('data', gather);
  }

  #relayWebSocket(head, rest) {
    this.#send('server', this.#fault.request ? this.#fault.request(head, this) : head);
    const fromClient = this.#frames('client', rest);
    this.#client.on('data', fromClient);
    let pending = Buffer.alloc(0);
    const gather = (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      const parts = splitHead(pending);
      if (parts === undefined) return;
      this.#server.off('data', gather);
      this.#send('client', this.#fault.response ? this.#fault.response(parts[0], this) : parts[0]);
      // The body of a refusal is no frame.
      if (parts[0].toString('latin1', 9, 12) !== '101') {
        this.#send('client', parts[1]);
        this.#server.on('data', (more) => this.#send('client', more));
        return;
      }
      const fromServer = this.#frames('server');
      fromServer(parts[1]);
      this.#server.on('data', fromServer);
    };
    this.#server.on('data', gather);
  }

  /** Relays one direction frame by frame. */
  #frames(from, pending = Buffer.alloc(0)) {
    const to = from === 'client' ? 'server' : 'client';
    let number = 0;
    return (bytes) => {
      pending = Buffer.concat([pending, bytes]);
      for (let frame = firstFrame(pending); frame; frame = firstFrame(pending)) {
        pending = pending.subarray(frame.bytes.length);
        number += 1;
        this.#upgraded ||= from === 'client' && frame.text === '5';
        const whole = { ...frame, from, number, upgraded: this.#upgraded };
        this.#send(to, this.#fault.frame ? this.#fault.frame(whole, this) : frame.bytes);
      }
    };
  }

  #send(to, bytes) {
    if (bytes === undefined || this.#cut) return;
    (to === 'client' ? this.#client : this.#server).write(bytes);
  }

  /** Closes both connections, after these last bytes to one of them. */
  cut(to, bytes) {
    this.#send(to, bytes);
    this.#cut = true;
    for (const socket of [this.#client, this.#server]) socket.end();
  }

  /** Answers in the server's place. */
  refuse(status, reason) {
    this.cut('client', `HTTP/1.1 ${status} ${reason}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
  }

  end() { for (const socket of [this.#client, this.#server]) socket.destroy(); }
}

/** Closes both connections behind the first frame with this text. */
const cutAfter = (from, text) => (frame, relay) => {
  if (frame.from !== from || frame.text !== text) return frame.bytes;
  relay.cut(from === 'client' ? 'server' : 'client', frame.bytes);
  return undefined;
};

/** Changes the frames that fit. */
const changing = (fits, change) => (frame) => (fits(frame) ? change(frame.bytes) : frame.bytes);

const isFirst = (from) => (frame) => frame.from === from && frame.number === 1;

/** Masked or not, another bit is another character. */
function withOtherText(bytes) {
  bytes[bytes.length - 1] ^= 0x01;
  return bytes;
}

/** No extension has been agreed on that would use these bits. */
function withReservedBits(bytes) {
  bytes[0] |= 0x70;
  return bytes;
}

/** How often a session ends by a fault that ends one: with more, no client would get anywhere. */
const ENDS = 3;

/**
 * A WebSocket that closes after `3probe` is not among them: the official client has stopped polling by then, and goes on
 * with neither transport until its heartbeat fails, whatever the server does.
 * @type {Record<string, Fault>}
 */
export const FAULTS = {
  'closes the connection in place of an answer': { request: (_head, relay) => { relay.cut(); return undefined; } },
  'holds the upgrade without an answer': { request: () => undefined },
  'holds the answer to the upgrade': { response: () => undefined },
  'answers the upgrade with 400': { request: (_head, relay) => { relay.refuse(400, 'Bad Request'); return undefined; } },
  'answers the upgrade with 403': { request: (_head, relay) => { relay.refuse(403, 'Forbidden'); return undefined; } },
  'answers the upgrade with 502': { request: (_head, relay) => { relay.refuse(502, 'Bad Gateway'); return undefined; } },
  'drops the headers Upgrade and Connection': {
    request: (head) => Buffer.from(head.toString('latin1').replaceAll(/^(?:Upgrade|Connection):.*\r\n/gim, ''), 'latin1'),
  },
  'closes after the 101': { response: (head, relay) => { relay.cut('client', head); return undefined; } },
  'swallows every frame': { frame: () => undefined },
  'swallows the frames of the client': { frame: ({ from, bytes }) => (from === 'server' ? bytes : undefined) },
  'swallows the frames of the server': { frame: ({ from, bytes }) => (from === 'client' ? bytes : undefined) },
  'closes after 2probe': { frame: cutAfter('client', '2probe') },
  'closes after 5': { times: ENDS, frame: cutAfter('client', '5') },
  'closes in place of 5': {
    times: ENDS,
    frame(frame, relay) {
      if (!frame.upgraded) return frame.bytes;
      relay.cut();
      return undefined;
    },
  },
  'changes the text of 2probe': { frame: changing(isFirst('client'), withOtherText) },
  'changes the text of 3probe': { frame: changing(isFirst('server'), withOtherText) },
  'breaks the head of the first frame of the client': { frame: changing(isFirst('client'), withReservedBits) },
  'breaks the head of the first frame of the server': { frame: changing(isFirst('server'), withReservedBits) },
  'breaks the head of each frame after the upgrade': {
    times: ENDS,
    frame: changing(({ from, upgraded }) => from === 'server' && upgraded, withReservedBits),
  },
};

/** A middlebox in front of a server; it ends with its owner. */
export async function startMiddlebox(owner, { port }, fault) {
  const relays = new Set();
  const box = { url: '', requests: 0, webSockets: 0 };
  const onRequest = () => { box.requests += 1; };
  const onWebSocket = () => (box.webSockets++ < (fault.times ?? Infinity) ? fault : {});
  const listener = createServer({ allowHalfOpen: true }, (client) => {
    const relay = new Relay(client, { host: '127.0.0.1', port }, onRequest, onWebSocket);
    relays.add(relay);
    client.once('close', () => relays.delete(relay));
  });
  await new Promise((resolve, reject) => { listener.once('error', reject).listen(0, '127.0.0.1', () => resolve(undefined)); });
  owner.after(() => {
    listener.close();
    for (const relay of relays) relay.end();
  });
  box.url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (listener.address()).port}`;
  return box;
}
