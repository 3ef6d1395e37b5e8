// @ts-check
// Owns Socket.IO clients that send packets by hand, to do what the official client never does: stall, hurry, send garbage.
import { WebSocket } from 'ws';
import { Changes } from '../harness/wait.mjs';

/** The packets of Engine.IO 4 and of the Socket.IO protocol inside it that the tests use. */
export const PACKET = { open: '0', close: '1', ping: '2', pong: '3', connect: '40', event: '42', ack: '43' };

const SEPARATOR = '\x1e';

/** Parses an acknowledgement: `43<ack id>[<body>]`. */
export function parseAck(packet) {
  const start = packet.indexOf('[');
  return { number: Number(packet.slice(PACKET.ack.length, start)), body: JSON.parse(packet.slice(start))[0] };
}

/** The event's body in `42["<event>",<body>]`, or undefined if the packet is another one. */
export function eventBody(packet, event) {
  if (!packet.startsWith(`${PACKET.event}[`)) return undefined;
  const [name, body] = JSON.parse(packet.slice(PACKET.event.length));
  return name === event ? body : undefined;
}

/** The request `create-user`, with the ack id 0. */
const introduction = ({ externalUserId }) => (
  `${PACKET.event}0${JSON.stringify(['create-user', { user: { externalUserId } }])}`
);

/**
 * A WebSocket that answers the handshake and pings, and passes every other packet to `onPacket`, which is called with
 * PACKET.connect itself the moment the server's CONNECT arrives.
 */
export class RawClient {
  #socket;
  #onPacket;
  #auth;
  #arrivals = new Changes();

  /**
   * @param {import('../harness/scope.mjs').Owner} owner
   * @param {string} url
   * @param {(packet: string, client: RawClient) => void} onPacket
   * @param {string} auth what its CONNECT carries, as JSON
   */
  constructor(owner, url, onPacket = () => {}, auth = '') {
    this.#onPacket = onPacket;
    this.#auth = auth;
    this.received = [];
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    this.closed = new Promise((resolve) => { this.#socket.once('close', resolve); });
    this.#socket.on('error', () => {}); // a cut connection: `closed` reports it
    this.#socket.on('message', (data) => this.#take(data.toString()));
    owner.after(() => this.#socket.terminate());
  }

  #take(packet) {
    if (packet.startsWith(PACKET.open)) return this.send(`${PACKET.connect}${this.#auth}`);
    if (packet === PACKET.ping) return this.send(PACKET.pong);
    const delivered = packet.startsWith(PACKET.connect) ? PACKET.connect : packet;
    this.received.push(delivered);
    this.#onPacket(delivered, this);
    return this.#arrivals.happened();
  }

  send(packet) { this.#socket.send(packet); }

  /** Sends one packet in two WebSocket frames. */
  sendInTwo(packet) {
    const middle = packet.length / 2;
    this.#socket.send(packet.slice(0, middle), { fin: false });
    this.#socket.send(packet.slice(middle), { fin: true });
  }

  /** The first packet, past or to come, that starts with `prefix`. */
  packet(prefix) {
    const arrived = () => this.received.find((packet) => packet.startsWith(prefix));
    return this.#arrivals.until(arrived, () => `a packet ${prefix}…`);
  }

  /** Connects as a user. */
  async becomes({ user }) {
    await this.packet(PACKET.connect);
    this.send(introduction(user));
    await this.packet(`${PACKET.ack}0`);
    return this;
  }

  /** Stops reading from the TCP connection: the kernel's buffers fill, then the server's. */
  pause() { this.#socket.pause(); }

  resume() { this.#socket.resume(); }
}

/** A session over HTTP polling that polls only when `poll()` is called. */
export class RawPolling {
  #url;

  constructor(url) { this.#url = `${url}/socket.io/?EIO=4&transport=polling`; }

  async open() {
    const { body } = await this.poll();
    this.handshake = JSON.parse(body.slice(PACKET.open.length));
    this.#url += `&sid=${this.handshake.sid}`;
    return this;
  }

  async post(packet) {
    const response = await fetch(this.#url, {
      method: 'POST', headers: { 'content-type': 'text/plain;charset=UTF-8' }, body: packet,
    });
    return { status: response.status, body: await response.text() };
  }

  /** One poll: the HTTP status, the text, and the packets in it. */
  async poll() {
    const response = await fetch(this.#url, { signal: AbortSignal.timeout(40_000) });
    const body = await response.text();
    return { status: response.status, body, packets: response.ok ? body.split(SEPARATOR) : [] };
  }

  /** Polls until a packet starts with `prefix`, answering pings. */
  async packet(prefix) {
    for (let polls = 0; polls < 20; polls++) {
      const { status, body, packets } = await this.poll();
      if (status !== 200) throw new Error(`polling ended with ${status}: ${body}`);
      if (packets.includes(PACKET.ping)) await this.post(PACKET.pong);
      const found = packets.find((packet) => packet.startsWith(prefix));
      if (found) return found;
    }
    throw new Error(`no packet ${prefix}… in 20 polls`);
  }

  async becomes({ user }) {
    await this.post(PACKET.connect);
    await this.packet(PACKET.connect);
    await this.post(introduction(user));
    await this.packet(`${PACKET.ack}0`);
    return this;
  }
}
