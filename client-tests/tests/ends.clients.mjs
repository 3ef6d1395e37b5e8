// @ts-check
// Owns official clients whose connection ends: their transports, and how they reconnect. Does not know why the connection
// ends.
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { ask } from '../clients/socketio.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 30_000;

/** The official clients, with their transports. */
export const CLIENTS = Object.fromEntries([4, 2].flatMap((client) => [['websocket'], ['polling'], ['polling', 'websocket']].map(
  (transports) => [`client ${client} by ${transports.join(' and then ')}`, { client, transports }],
)));

/** An official client with short delays. Each connection takes the next of the tokens, and then the last one again. */
export class OfficialClient {
  #made = 0;
  /** How often it was connected. */
  connections = 0;
  /** The CONNECT_ERRORs, after which it does not reconnect. */
  /** @type {any[]} */
  refusals = [];

  constructor(owner, { url }, { client, transports }, tokens) {
    const next = () => ({ token: tokens[Math.min(this.#made++, tokens.length - 1)] });
    const options = { forceNew: true, transports, reconnectionDelay: 100, reconnectionDelayMax: 300 };
    if (client === 4) {
      this.socket = /** @type {any} */ (io4(url, { ...options, auth: (give) => give(next()) }));
      this.socket.on('connect_error', (error) => { if (!this.socket.active) this.refusals.push(error.message); });
    } else { // in this version the event is also emitted for transport errors, with an Error
      this.socket = /** @type {any} */ (io2(url, { ...options, query: next() }));
      this.socket.io.on('reconnect_attempt', () => { this.socket.io.opts.query = next(); });
      this.socket.on('error', (error) => { if (!(error instanceof Error)) this.refusals.push(error); });
    }
    this.transport = transports.at(-1);
    this.socket.on('connect', () => { this.connections += 1; });
    owner.after(() => this.socket.close());
  }

  get engine() { return this.socket.io.engine; }

  /** Waits until it is connected for the n-th time, and has upgraded. */
  async connected(times = 1) {
    const there = () => this.connections >= times && this.socket.connected && this.engine.transport.name === this.transport;
    const why = () => `it is connected for time ${times} by ${this.transport} (${this.connections} times so far, ${this.refusals})`;
    await eventually(there, why(), PATIENCE_MS);
    return this;
  }

  /** Waits until it has reconnected, and a request is answered. */
  async reconnects() {
    await this.connected(2);
    await ask(this.socket, 'list-chats', {});
    if (this.refusals.length > 0) throw new Error(`it was refused: ${this.refusals}`);
  }

  /** Sends a text as it is. */
  sendBroken(text) {
    const { transport } = this.engine;
    if (transport.ws) transport.ws.send(text);
    else transport.doWrite(text, () => {});
  }

  /** Stops reading its WebSocket: how to resume. */
  stall() {
    const socket = this.engine.transport.ws._socket;
    socket.pause();
    return () => socket.resume();
  }
}
