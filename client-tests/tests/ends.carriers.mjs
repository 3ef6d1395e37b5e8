// @ts-check
// Owns what an end looks like on each transport: the same few verbs over polls and WebSockets, of protocol 4 and 3. Does
// not know why sessions end.
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, probe, upgrade } from '../clients/engineio-session.mjs';
import { TcpConnection } from '../clients/tcp.mjs';

/** A response in a few words: the packets of a poll, or the status and the code of an error. */
function wordsOf(/** @type {any} */ { status, body, packets }) {
  if (status === 0) return 'cut';
  if (status === 200) return packets?.join(' ') ?? body;
  return status === 400 ? `HTTP 400 ${body}` : `HTTP ${status}`;
}

export const GONE = 'HTTP 400 {"code":1,"message":"Session ID unknown"}';

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

  /** From now on a poll waits, if one does on this transport: each that brings something is followed by the next. */
  watch() {
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
  }

  /** Stops reading. */
  stall() {}

  resume() {}

  /** What the client sees of the end: the answer to the poll that waits, or to the next one. */
  async end() { return wordsOf(await (this.#poll ?? this.#session.poll())); }

  /** Sends after the end, in every way: the answers. */
  async insist(server, ...packets) {
    const again = this.#session.at(server);
    return [wordsOf(await again.post(...packets)), wordsOf(await again.poll())];
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

  watch() {}

  stall() { this.#socket.tcp.pause(); }

  resume() { this.#socket.tcp.resume(); }

  /** The code of the close frame, if there is one. */
  async end() {
    const { frame, code } = await this.#socket.ended(100_000);
    return frame ? `${code}` : 'cut';
  }

  async insist(server, ...packets) {
    await this.#socket.send(...packets);
    const session = new PollingSession(this.owner, server, { eio: this.#socket.eio });
    session.sid = this.#socket.sid;
    return [wordsOf(await session.post(...packets)), wordsOf(await session.poll())];
  }
}

/** Every way to carry a session; each opens one with these options. */
export const CARRIERS = {
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
    vain.destroy();
    return new ByPolling(session, false);
  },
  'polling after a failed probe': async (t, server, options) => {
    const session = await PollingSession.open(t, server, options);
    (await probe(t, server, session)).tcp.destroy();
    return new ByPolling(session, true);
  },
};
