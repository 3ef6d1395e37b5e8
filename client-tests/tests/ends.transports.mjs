// @ts-check
// Owns one interface over the transports of both protocols: send, observe the end, send after the end. Does not know why
// sessions end.
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, probe, upgrade } from '../clients/engineio-session.mjs';
import { TcpConnection } from '../clients/tcp.mjs';

/** A response as text: the packets of a poll, or the status and the error. */
function summaryOf(/** @type {any} */ { status, body, packets }) {
  if (status === 0) return 'cut';
  if (status === 200) return packets?.join(' ') ?? body;
  return status === 400 ? `HTTP 400 ${body}` : `HTTP ${status}`;
}

export const UNKNOWN_SESSION = 'HTTP 400 {"code":1,"message":"Session ID unknown"}';

class ByPolling {
  #session;
  #waits;
  #poll;

  constructor(session, waits) {
    this.#session = session;
    this.#waits = waits;
  }

  get kind() { return this.#waits ? 'waiting' : 'idle'; }

  get packets() { return this.#session.packets; }

  send(...packets) { return this.#session.post(...packets); }

  packet(prefix) { return this.#session.packet(prefix); }

  /** Begins to poll without a pause, if a poll waits on this transport: the server has the poll. */
  async watch() {
    if (!this.#waits) return;
    const polling = async () => {
      for (let polls = 0; polls < 1000; polls++) {
        const answer = await this.#session.poll(100_000);
        if (answer.status !== 200 || answer.packets.includes(PACKET.close)) return answer;
      }
      throw new Error('the polls did not end');
    };
    this.#poll = polling();
    this.#poll.catch(() => {}); // awaited by `end`
    await this.#session.pollWaits();
  }

  /** Stops reading. */
  stall() {}

  resume() {}

  /** The response that shows the end: to the waiting poll, or to the next one. */
  async end() { return summaryOf(await (this.#poll ?? this.#session.poll())); }

  /** Sends after the end in every way: the responses to a body and to a poll. */
  async sendAfterEnd(server, ...packets) {
    const again = this.#session.at(server);
    return [summaryOf(await again.post(...packets)), summaryOf(await again.poll())];
  }
}

class BySocket {
  #socket;

  constructor(owner, socket) {
    this.owner = owner;
    this.#socket = socket;
  }

  kind = 'socket';

  get packets() { return this.#socket.packets; }

  send(...packets) { return this.#socket.send(...packets); }

  packet(prefix) { return this.#socket.packet(prefix); }

  async watch() {}

  stall() { this.#socket.tcp.pause(); }

  resume() { this.#socket.tcp.resume(); }

  /** The code of the close frame, if there is one. */
  async end() {
    const { frame, code } = await this.#socket.ended(100_000);
    return frame ? `${code}` : 'cut';
  }

  async sendAfterEnd(server, ...packets) {
    await this.#socket.send(...packets);
    const session = new PollingSession(this.owner, server, { eio: this.#socket.eio });
    session.sid = this.#socket.sid;
    return [summaryOf(await session.post(...packets)), summaryOf(await session.poll())];
  }
}

/** The transports; each opens a session with these options. */
export const TRANSPORTS = {
  'polling, no poll waits': async (t, server, options) => new ByPolling(await PollingSession.open(t, server, options), false),
  'polling, a poll waits': async (t, server, options) => new ByPolling(await PollingSession.open(t, server, options), true),
  'a fresh WebSocket': async (t, server, options) => new BySocket(t, await WebSocketSession.open(t, server, options)),
  'a WebSocket after polling': async (t, server, options) => (
    new BySocket(t, await upgrade(t, server, await PollingSession.open(t, server, options)))
  ),
  'polling after a vain upgrade': async (t, server, options) => {
    const session = await PollingSession.open(t, server, options);
    const vain = await TcpConnection.open(t, server);
    await vain.request('GET', session.target.replace('=polling', '=websocket'), session.lines);
    return new ByPolling(session, false);
  },
  'polling after a failed probe': async (t, server, options) => {
    const session = await PollingSession.open(t, server, options);
    (await probe(t, server, session)).tcp.destroy();
    return new ByPolling(session, true);
  },
};
