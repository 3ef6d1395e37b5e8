// Owns a bad line: a TCP proxy in front of a server that drops what runs over it, in each of the ways networks do.
// It refuses to know what is spoken.
import { connect, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';

/** Both ends of one connection. */
class Line {
  constructor(client, target, onOver) {
    this.client = client;
    this.upstream = connect({ ...target, allowHalfOpen: true });
    this.ends = [this.client, this.upstream];
    for (const end of this.ends) {
      end.setNoDelay(true);
      end.on('error', () => this.reset());
      end.once('close', () => { if (this.ends.every(({ destroyed }) => destroyed)) onOver(); });
    }
    this.join();
  }

  join() {
    this.client.pipe(this.upstream);
    this.upstream.pipe(this.client);
  }

  /** Nothing gets through any more: it waits at both ends. */
  hold() {
    this.client.unpipe().pause();
    this.upstream.unpipe().pause();
  }

  /** Nothing gets through any more, and what is sent is gone. */
  swallow() {
    this.client.unpipe().resume();
    this.upstream.unpipe().resume();
  }

  /** One of the two is told that the other one will say no more; what it says itself is gone. */
  hangUpOn(end) {
    this.swallow();
    end.end();
  }

  reset() { for (const end of this.ends) end.resetAndDestroy(); }
}

/** What can happen to a line, and how it goes on afterwards. */
const DROPS = {
  reset: { begin: (line) => line.reset() },
  'hang up on the server': { begin: (line) => line.hangUpOn(line.upstream), end: (line) => line.reset() },
  'hang up on the client': { begin: (line) => line.hangUpOn(line.client), end: (line) => line.reset() },
  'black hole': { begin: (line) => line.swallow(), end: (line) => line.reset() },
  delay: { begin: (line) => line.hold(), end: (line) => line.join() },
};

export const WAYS = Object.keys(DROPS);

class Proxy {
  #lines = new Set();
  #drop;

  constructor(port) { this.target = { host: '127.0.0.1', port }; }

  async listen(owner) {
    const listener = createServer({ allowHalfOpen: true }, (client) => this.#take(client));
    await new Promise((resolve, reject) => { listener.once('error', reject).listen(0, '127.0.0.1', resolve); });
    owner.after(() => {
      listener.close();
      for (const line of this.#lines) line.reset();
    });
    this.url = `http://127.0.0.1:${listener.address().port}`;
    return this;
  }

  #take(client) {
    const line = new Line(client, this.target, () => this.#lines.delete(line));
    this.#lines.add(line);
    this.#drop?.begin(line);
  }

  /** Drops every line, those that are dialled meanwhile too, in one of WAYS for a while. */
  async drop(way, ms) {
    this.#drop = DROPS[way];
    for (const line of this.#lines) this.#drop.begin(line);
    await setTimeout(ms);
    const { end } = this.#drop;
    this.#drop = undefined;
    for (const line of this.#lines) end?.(line);
  }
}

/** A line to a server that is good until it is dropped. */
export const badLine = (owner, { port }) => new Proxy(port).listen(owner);
