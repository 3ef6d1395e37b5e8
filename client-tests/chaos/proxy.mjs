// @ts-check
// Owns a TCP proxy in front of a server that breaks connections in each of the ways networks do, whatever the protocol.
import { connect, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** One proxied connection: the client's socket and the server's. */
class ProxiedConnection {
  constructor(client, target, onClosed) {
    this.client = client;
    this.upstream = connect({ ...target, allowHalfOpen: true });
    this.sockets = [this.client, this.upstream];
    for (const socket of this.sockets) {
      socket.setNoDelay(true);
      socket.on('error', () => this.reset());
      socket.once('close', () => { if (this.sockets.every(({ destroyed }) => destroyed)) onClosed(); });
    }
    this.forward();
  }

  forward() {
    this.client.pipe(this.upstream);
    this.upstream.pipe(this.client);
  }

  /** Holds the bytes of both directions back. */
  stall() {
    this.client.unpipe().pause();
    this.upstream.unpipe().pause();
  }

  /** Holds the bytes to the client back, as for one that does not read. */
  stallReader() { this.upstream.unpipe().pause(); }

  /** Forwards each byte on its own. */
  splitBytes() {
    for (const [from, to] of [[this.client, this.upstream], [this.upstream, this.client]]) {
      from.unpipe();
      from.on('data', (bytes) => { for (const byte of bytes) to.write(Buffer.of(byte)); });
      from.once('end', () => to.end());
    }
  }

  /** Discards the bytes of both directions. */
  discard() {
    this.client.unpipe().resume();
    this.upstream.unpipe().resume();
  }

  /** Half-closes towards one side, and discards all bytes. */
  halfClose(socket) {
    this.discard();
    socket.end();
  }

  reset() { for (const socket of this.sockets) socket.resetAndDestroy(); }
}

/** The faults of a connection, and how each ends. */
const FAULTS = {
  reset: { begin: (connection) => connection.reset() },
  'half-close towards the server': {
    begin: (connection) => connection.halfClose(connection.upstream), end: (connection) => connection.reset(),
  },
  'half-close towards the client': {
    begin: (connection) => connection.halfClose(connection.client), end: (connection) => connection.reset(),
  },
  'black hole': { begin: (connection) => connection.discard(), end: (connection) => connection.reset() },
  'a reader that stalls': {
    begin: (connection) => connection.stallReader(), end: (connection) => connection.upstream.pipe(connection.client),
  },
  'single bytes': { begin: (connection) => connection.splitBytes(), end: (connection) => connection.reset() },
  delay: { begin: (connection) => connection.stall(), end: (connection) => connection.forward() },
};

export const FAULT_NAMES = Object.keys(FAULTS);

class Proxy {
  #connections = new Set();
  #fault;

  constructor(port) { this.target = { host: '127.0.0.1', port }; }

  async listen(owner) {
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
    await new Promise((resolve, reject) => { listener.once('error', reject).listen(0, '127.0.0.1', () => resolve(undefined)); });
    owner.after(() => {
      listener.close();
      for (const connection of this.#connections) connection.reset();
    });
    const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address());
    this.url = `http://127.0.0.1:${port}`;
    return this;
  }

  #accept(client) {
    const connection = new ProxiedConnection(client, this.target, () => this.#connections.delete(connection));
    this.#connections.add(connection);
    this.#fault?.begin(connection);
  }

  /** Breaks every connection, also those that are opened meanwhile, in the way named by one of FAULT_NAMES for `ms`. */
  async break(name, ms) {
    this.#fault = FAULTS[name];
    for (const connection of this.#connections) this.#fault.begin(connection);
    await setTimeout(ms);
    const { end } = this.#fault;
    this.#fault = undefined;
    for (const connection of this.#connections) end?.(connection);
  }
}

/** A proxy to a server that forwards everything until `break` is called. */
export const startProxy = (owner, { port }) => new Proxy(port).listen(owner);
