// @ts-check
// Owns the marketplace dialect on either transport: its connections, the frames that they received, and the state of a
// front end after these frames.
import assert from 'node:assert/strict';
import { connect } from './socketio.mjs';
import { dial } from './websocket.mjs';
import { Changes, within } from '../harness/wait.mjs';

export const NAMESPACE = '/events';
export const PATH = '/ws/events/';

/** The events of the server; version 2 of the client cannot listen to all events. */
const EVENTS = ['initial_data', 'chat_updates', 'chat_unread', 'history', 'debug_info', 'exception'];

/** A connection that keeps the frames that it receives, in order, as `{event, data}`. */
class MarketplaceConnection {
  #news = new Changes();
  #taken = 0;

  constructor(user, over) {
    this.user = user;
    this.over = over;
    this.frames = [];
    this.ended = undefined;
    /** The body of `initial_data`, once it has come. @type {any} */
    this.initial = undefined;
    /** The state of a front end. @type {FrontEnd | undefined} */
    this.screen = undefined;
  }

  receive(frame) {
    this.frames.push(frame);
    this.#news.happened();
  }

  end(why) {
    this.ended = why;
    this.#news.happened();
  }

  get name() { return `${this.user.externalUserId} (${this.over})`; }

  /** Waits until the result of `check` is truthy: the result. */
  until(check, what, ms) {
    const delivered = () => `${this.name}: ${what}; it received ${JSON.stringify(this.frames.slice(-3)).slice(0, 1500)}`;
    return this.#news.until(() => check(this) || (this.ended && { ended: this.ended }), delivered, ms).then((answer) => {
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

  /** Takes the frames that have come and were not taken. */
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
class SocketIoConnection extends MarketplaceConnection {
  constructor(user, socket) {
    super(user, 'Socket.IO');
    this.socket = socket;
    for (const event of EVENTS) socket.on(event, (data) => this.receive({ event, data }));
    socket.on('disconnect', (reason) => this.end(reason));
    socket.on('connect', () => this.end(undefined)); // it may have come back
  }

  send(event, data) { this.socket.emit(event, data); }

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

class WebSocketConnection extends MarketplaceConnection {
  constructor(user, wire) {
    super(user, 'WebSocket');
    this.wire = wire;
    wire.listen((frame) => this.receive(frame));
    wire.closed.then(({ code, reason }) => this.end(`${code} ${reason}`));
  }

  send(event, data) { this.wire.send({ event, data }); }

  close() { return this.wire.close(); }
}

const tokenOf = (user) => user.token ?? user.externalUserId;

/** A connection on a socket that has not connected yet. */
export const connectionOn = (user, socket) => new SocketIoConnection(user, socket);

/**
 * Options with the token: version 2 of the client has no `auth`, and takes a query for a part of the namespace's name
 * unless it belongs to the connection.
 */
function credentials(user, { client, namedIn }) {
  const token = tokenOf(user);
  if (namedIn === 'query') return { query: { token } };
  const extraHeaders = { authorization: `Bearer ${token}` };
  const everywhere = { polling: { extraHeaders }, websocket: { extraHeaders } };
  return client === 2 ? { transportOptions: everywhere } : { auth: { token } };
}

/**
 * A connection of this user over Socket.IO; its first frame may not have come yet.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {{ externalUserId?: string, token?: string }} user
 * @param {import('./socketio.mjs').ClientOptions & { namedIn?: 'query' }} options
 * @returns {Promise<SocketIoConnection>}
 */
export async function connectSocketIo(owner, server, user, { namedIn, ...options } = {}) {
  let connection;
  const byName = namedIn === 'query';
  await connect(owner, byName ? server.url : `${server.url}${NAMESPACE}`, {
    ...(byName && { namespace: NAMESPACE }), ...credentials(user, { client: options.client, namedIn }), ...options,
    opened: (socket) => { connection = connectionOn(user, socket); },
  });
  return connection;
}

/**
 * A connection of this user over the raw WebSocket.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {{ externalUserId?: string, token?: string }} user
 * @param {import('./websocket.mjs').DialOptions & { path?: string }} options
 * @returns {Promise<WebSocketConnection>}
 */
export async function connectWebSocket(owner, server, user, { path = PATH, ...options } = {}) {
  let connection;
  await dial(owner, server, path, {
    token: tokenOf(user), ...options, opened: (wire) => { connection = new WebSocketConnection(user, wire); },
  });
  return connection;
}

export const TRANSPORTS = { 'Socket.IO': connectSocketIo, 'the raw WebSocket': connectWebSocket };

/**
 * A connection that has received its `initial_data`: `initial`.
 * @template {MarketplaceConnection | Promise<MarketplaceConnection>} T
 * @param {T} connecting
 * @returns {Promise<Awaited<T>>}
 */
export async function entered(connecting) {
  const connection = await connecting;
  connection.initial = await connection.next('initial_data');
  return connection;
}

/** @param {Parameters<typeof connectSocketIo>} args */
export const enterSocketIo = (...args) => entered(connectSocketIo(...args));
/** @param {Parameters<typeof connectWebSocket>} args */
export const enterWebSocket = (...args) => entered(connectWebSocket(...args));

let asked = 0;

/**
 * Waits until all earlier requests are answered and their frames have been received, by a request that must fail. Takes
 * and returns the frames before its answer that were not taken.
 */
export async function flush(connection) {
  const event = `no_such_event_${++asked}`;
  connection.send(event, {});
  await connection.first((frame) => frame.event === 'debug_info' && frame.data.event === event, `the refusal of ${event}`);
  return connection.takeRest().filter((frame) => frame.data?.event !== event);
}

/**
 * The state of a front end on one connection: its chats, from `initial_data` and all frames since. It trusts every
 * frame, and fails where frames of one connection contradict each other.
 */
class FrontEnd {
  #connection;
  #seen = 0;

  constructor(connection) {
    this.#connection = connection;
    this.chats = new Map();
    this.events = new Map();
  }

  /** The chats after all frames so far. */
  get shown() {
    for (; this.#seen < this.#connection.frames.length; this.#seen++) {
      const { event, data } = this.#connection.frames[this.#seen];
      this[`on_${event}`]?.(data);
    }
    return this.chats;
  }

  #complain(what, data) {
    assert.fail(`${this.#connection.name}: ${what}: ${JSON.stringify(data).slice(0, 500)}`);
  }

  on_initial_data(entries) {
    if (this.#seen > 0) this.#complain('initial_data came late, or twice', entries);
    for (const { event, eventOwnerId, chats } of entries) {
      if (this.events.has(event.id)) this.#complain('an event stands there twice', event);
      this.events.set(event.id, { ...event, eventOwnerId });
      for (const chat of chats) {
        if (this.chats.has(chat.chatId)) this.#complain('a chat stands there twice', chat);
        this.#inOrder(chat.messages);
        this.chats.set(chat.chatId, { ...chat, event: event.id });
      }
    }
  }

  on_chat_updates(update) {
    if (this.#seen === 0) this.#complain('chat_updates came before initial_data', update);
    const { event, eventOwnerId, chatId, messages, ...rest } = update;
    this.events.set(event.id, { ...event, eventOwnerId });
    const before = this.chats.get(chatId)?.messages ?? [];
    const expected = (before.at(-1)?.messageId ?? 0) + 1;
    if (messages.length > 0 && messages[0].messageId !== expected) {
      this.#complain(`message ${messages[0].messageId} came where ${expected} should have`, update);
    }
    this.#inOrder(messages);
    this.chats.set(chatId, { chatId, ...rest, event: event.id, messages: [...before, ...messages] });
  }

  on_chat_unread({ chatId, myUnreadCount, interlocutorUnreadCount }) {
    const chat = this.chats.get(chatId);
    if (!chat) this.#complain('chat_unread is about an unknown chat', chatId);
    Object.assign(chat, { myUnreadCount, interlocutorUnreadCount });
  }

  on_history({ chatId, messages }) {
    const chat = this.chats.get(chatId);
    this.#inOrder(messages);
    const known = chat.messages[0]?.messageId ?? 1;
    chat.messages = [...messages.filter(({ messageId }) => messageId < known), ...chat.messages];
  }

  #inOrder(messages) {
    for (let index = 1; index < messages.length; index++) {
      if (messages[index].messageId !== messages[index - 1].messageId + 1) {
        this.#complain('messages are not in order', messages);
      }
    }
  }

  /** The seq of the newest message in a chat, 0 without one. */
  head(chatId) { return this.shown.get(chatId)?.messages.at(-1)?.messageId ?? 0; }

  /** `[mine, the interlocutor's]`: how many messages of a chat are unread. */
  counts(chatId) {
    const chat = this.shown.get(chatId);
    return chat && [chat.myUnreadCount, chat.interlocutorUnreadCount];
  }
}

/** The front end of a connection, created once. */
export function frontEnd(connection) {
  connection.screen ??= new FrontEnd(connection);
  return connection.screen;
}
