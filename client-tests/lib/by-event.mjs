// Owns how the marketplace dialect is spoken on either transport: its visitors, and what they were told.
import { connect } from './client.mjs';
import { Changes, within } from './wait.mjs';
import { dial } from './wire.mjs';

export const NAMESPACE = '/events';
export const PATH = '/ws/events/';

/** What the server says in this dialect; version 2 of the client knows no way to listen to everything. */
const SAID = ['initial_data', 'chat_updates', 'chat_unread', 'history', 'debug_info', 'exception'];

/** A connection that keeps what it is told, in order, as `{event, data}`. */
class Visitor {
  #news = new Changes();
  #taken = 0;

  constructor(user, over) {
    this.user = user;
    this.over = over;
    this.frames = [];
    this.ended = undefined;
  }

  hear(frame) {
    this.frames.push(frame);
    this.#news.happened();
  }

  end(why) {
    this.ended = why;
    this.#news.happened();
  }

  get name() { return `${this.user.externalUserId} (${this.over})`; }

  /** Waits until `check` says something truthy about this connection: that. */
  until(check, what, ms) {
    const told = () => `${this.name}: ${what}; it was told ${JSON.stringify(this.frames.slice(-3)).slice(0, 1500)}`;
    return this.#news.until(() => check(this) || (this.ended && { ended: this.ended }), told, ms).then((answer) => {
      if (answer.ended) throw new Error(`${this.name}: the connection ended (${answer.ended}) before ${what}`);
      return answer;
    });
  }

  /** The next `count` frames that were not taken yet. */
  async take(count = 1) {
    const from = this.#taken;
    this.#taken += count;
    await this.until(() => this.frames.length >= from + count, `frame ${from + count}`);
    return this.frames.slice(from, from + count);
  }

  /** The body of the next frame, which must have this name. */
  async next(event) {
    const [frame] = await this.take();
    if (frame.event !== event) throw new Error(`${this.name}: ${JSON.stringify(frame)} instead of ${event}`);
    return frame.data;
  }

  /** What came and was not taken; it is taken now. */
  takeRest() {
    const rest = this.frames.slice(this.#taken);
    this.#taken = this.frames.length;
    return rest;
  }

  /** The first frame from the `from`-th on, past or to come, that fits. */
  first(fits, what, from = 0) {
    return this.until(() => this.frames.slice(from).find(fits), what);
  }
}

/** On Socket.IO: a request has an acknowledgement, too. */
class SocketVisitor extends Visitor {
  constructor(user, socket) {
    super(user, 'Socket.IO');
    this.socket = socket;
    for (const event of SAID) socket.on(event, (data) => this.hear({ event, data }));
    socket.on('disconnect', (reason) => this.end(reason));
    socket.on('connect', () => this.end(undefined)); // it may have come back
  }

  tell(event, data) { this.socket.emit(event, data); }

  /** The one argument of the acknowledgement. */
  async ask(event, ...bodies) {
    const answered = new Promise((resolve) => {
      this.socket.emit(event, ...bodies, (...answer) => resolve(answer));
    });
    const answer = await within(answered, () => `${this.name}: the acknowledgement of ${event}`);
    if (answer.length !== 1) throw new Error(`${event} was acknowledged with ${answer.length} arguments`);
    return answer[0];
  }

  close() { this.socket.close(); }
}

class RawVisitor extends Visitor {
  constructor(user, wire) {
    super(user, 'WebSocket');
    this.wire = wire;
    wire.listen((frame) => this.hear(frame));
    wire.closed.then(({ code, reason }) => this.end(`${code} ${reason}`));
  }

  tell(event, data) { this.wire.send({ event, data }); }

  close() { return this.wire.close(); }
}

const tokenOf = (user) => user.token ?? user.externalUserId;

/** Hears a socket that has not connected yet. */
export const hearing = (user, socket) => new SocketVisitor(user, socket);

/**
 * Where a token stands: version 2 of the client knows no `auth`, and takes a query for a part of the namespace's name
 * unless it is given to the connection.
 */
function credentials(user, { client, namedIn }) {
  const token = tokenOf(user);
  if (namedIn === 'query') return { query: { token } };
  const extraHeaders = { authorization: `Bearer ${token}` };
  const everywhere = { polling: { extraHeaders }, websocket: { extraHeaders } };
  return client === 2 ? { transportOptions: everywhere } : { auth: { token } };
}

/** A connection of this user over Socket.IO; its first frame may not have come yet. */
export async function bySocketIo(owner, server, user, { namedIn, ...options } = {}) {
  let visitor;
  const address = namedIn === 'query' ? [server.url, { namespace: NAMESPACE }] : [`${server.url}${NAMESPACE}`, {}];
  await connect(owner, address[0], {
    ...address[1], ...credentials(user, { ...options, namedIn }), ...options,
    opened: (socket) => { visitor = hearing(user, socket); },
  });
  return visitor;
}

/** A connection of this user over the raw WebSocket. */
export async function byWebSocket(owner, server, user, { path = PATH, ...options } = {}) {
  let visitor;
  await dial(owner, server, path, {
    token: tokenOf(user), ...options, opened: (wire) => { visitor = new RawVisitor(user, wire); },
  });
  return visitor;
}

export const TRANSPORTS = { 'Socket.IO': bySocketIo, 'the raw WebSocket': byWebSocket };

/** A connection that has been told what it begins with: `initial`. */
export async function entered(connecting) {
  const visitor = await connecting;
  visitor.initial = await visitor.next('initial_data');
  return visitor;
}

export const enterBySocketIo = (...args) => entered(bySocketIo(...args));
export const enterByWebSocket = (...args) => entered(byWebSocket(...args));

let asked = 0;

/**
 * Everything that this connection asked before is answered, and what it was told because of that has come: a request
 * that must fail is answered. The frames before that answer that were not taken are returned and taken.
 */
export async function settled(visitor) {
  const event = `no_such_event_${++asked}`;
  visitor.tell(event, {});
  await visitor.first((frame) => frame.event === 'debug_info' && frame.data.event === event, `the refusal of ${event}`);
  return visitor.takeRest().filter((frame) => frame.data?.event !== event);
}
