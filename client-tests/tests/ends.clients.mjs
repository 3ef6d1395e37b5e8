// @ts-check
// Owns official clients that live through an end: their transports, and that they come back by themselves. Does not know
// why the connection ends.
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { ask } from '../clients/socketio.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 30_000;

/** The official clients, with their transports. */
export const CLIENTS = Object.fromEntries([4, 2].flatMap((client) => [['websocket'], ['polling'], ['polling', 'websocket']].map(
  (transports) => [`client ${client} by ${transports.join(' and then ')}`, { client, transports }],
)));

/** A connected client that reconnects as it does by default, only sooner: with `tokens` first, then with the last of them. */
export class Official {
  #made = 0;
  /** How often it was connected. */
  connections = 0;
  /** What it was told with which it does not come back. */
  /** @type {any[]} */
  refusals = [];

  constructor(owner, { url }, { client, transports }, tokens) {
    const next = () => ({ token: tokens[Math.min(this.#made++, tokens.length - 1)] });
    const options = { forceNew: true, transports, reconnectionDelay: 100, reconnectionDelayMax: 300 };
    if (client === 4) {
      this.socket = /** @type {any} */ (io4(url, { ...options, auth: (give) => give(next()) }));
      this.socket.on('connect_error', (error) => { if (!this.socket.active) this.refusals.push(error.message); });
    } else { // which is told of networks that fail by the same event, with an Error
      this.socket = /** @type {any} */ (io2(url, { ...options, query: next() }));
      this.socket.io.on('reconnect_attempt', () => { this.socket.io.opts.query = next(); });
      this.socket.on('error', (error) => { if (!(error instanceof Error)) this.refusals.push(error); });
    }
    this.transport = transports.at(-1);
    this.socket.on('connect', () => { this.connections += 1; });
    owner.after(() => this.socket.close());
  }

  get engine() { return this.socket.io.engine; }

  /** Waits until it is connected, on its last transport: for the first time, or again. */
  async arrives(times = 1) {
    const there = () => this.connections >= times && this.socket.connected && this.engine.transport.name === this.transport;
    const why = () => `it is connected for time ${times} by ${this.transport} (${this.connections} times so far, ${this.refusals})`;
    await eventually(there, why(), PATIENCE_MS);
    return this;
  }

  /** Waits until it has come back by itself, and is of use again. */
  async comesBack() {
    await this.arrives(2);
    await ask(this.socket, 'list-chats', {});
    if (this.refusals.length > 0) throw new Error(`it was refused: ${this.refusals}`);
  }

  /** Sends what no client sends, by its transport. */
  sendBroken(text) {
    const { transport } = this.engine;
    if (transport.ws) transport.ws.send(text);
    else transport.doWrite(text, () => {});
  }

  /** Stops reading its WebSocket: what makes it go on. */
  stall() {
    const socket = this.engine.transport.ws._socket;
    socket.pause();
    return () => socket.resume();
  }
}
