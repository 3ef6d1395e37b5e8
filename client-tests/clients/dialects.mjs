// @ts-check
// Owns one form of client for all four dialects: a connection of a user to any node, which enters a chat, sends to it and
// reads it, and the messages that it received in the common form. A chat has its `id` and its `pk`.
import { fromAction, fromEventName, fromMarketplace, fromType } from '../data/normalize.mjs';
import { eventually, within } from '../harness/wait.mjs';
import * as action from './action.mjs';
import { connectSocketIo, entered } from './marketplace.mjs';
import { collect, connect } from './socketio.mjs';
import * as type from './type-data.mjs';

/** More than any chat of the tests has. */
const BEYOND = 1_000_000;

const tokenOf = (user) => user.token ?? user.externalUserId;

/** A request of a client: its result, or the code of its refusal. @typedef {Promise<{ value?: any, code?: string }>} Outcome */

/** What the clients of all dialects have in common; a subclass makes the requests. */
class DialectClient {
  constructor(dialect, user) {
    this.dialect = dialect;
    this.user = user;
  }

  get name() { return `${this.user.externalUserId} by ${this.dialect}`; }

  /** Does what a front end does before it shows a chat. */
  async enter(_chat) {}

  /** @returns {Outcome} */
  async trySend(_chat, _text, _more) { throw new Error(`${this.name} cannot send`); }

  /** @returns {Outcome} */
  async tryHistory(_chat) { throw new Error(`${this.name} cannot read`); }

  /**
   * The messages of a chat that were received so far, the own ones included.
   * @returns {{ seq: number, text: string, at: number }[]}
   */
  heard(_chat) { throw new Error(`${this.name} receives nothing`); }

  async #succeeds(outcome, what) {
    const { value, code } = await outcome;
    if (code) throw new Error(`${this.name}: ${what} was refused: ${code}`);
    return value;
  }

  async #fails(outcome, what) {
    const { value, code } = await outcome;
    if (!code) throw new Error(`${this.name}: ${what} was not refused: ${JSON.stringify(value)}`);
    return code;
  }

  /** The stored message. */
  send(chat, text, more) { return this.#succeeds(this.trySend(chat, text, more), `'${text}'`); }

  /** The code with which a message is refused. */
  sendRefusal(chat, text) { return this.#fails(this.trySend(chat, text), `'${text}'`); }

  /** The stored messages. */
  history(chat) { return this.#succeeds(this.tryHistory(chat), 'the history'); }

  /** The code with which the history is refused. */
  historyRefusal(chat) { return this.#fails(this.tryHistory(chat), 'the history'); }

  /** One page of the messages after a seq. @returns {Promise<any>} */
  async sync(_chat, _after) { throw new Error(`${this.name} has no sync`); }

  /** All pages of the messages after a seq: their seqs, and the head of the last page. */
  async syncAll(chat, after) {
    const found = [];
    for (let pages = 0; pages < 100; pages++) {
      const page = await this.sync(chat, found.at(-1) ?? after);
      if (page.error) throw new Error(`${this.name}: sync was refused: ${JSON.stringify(page.error)}`);
      found.push(...page.messages.map(({ seq }) => seq));
      if (!page.has_more) return { found, head: page.head };
    }
    throw new Error(`${this.name}: sync does not end`);
  }

  /** Waits until this text was received. */
  async untilHeard(chat, text, ms) {
    const heard = () => this.heard(chat).some((message) => message.text === text);
    await eventually(heard, `${this.name} receives '${text}'`, ms).catch((error) => {
      throw new Error(`${error.message}\nit has received ${JSON.stringify(this.heard(chat).slice(-5))}`);
    });
    return this.heard(chat);
  }

  textsHeard(chat) { return this.heard(chat).map(({ text }) => text); }
}

class EventNameClient extends DialectClient {
  constructor(user, socket, inbox) {
    super('event-name', user);
    this.socket = socket;
    this.inbox = inbox;
    this.made = [];
    this.synced = [];
  }

  /** With options of the official client, and `since`, which goes to `auth`. */
  static async connect(owner, server, user, { since, ...options } = /** @type {Record<string, any>} */ ({})) {
    let client;
    const opened = (socket) => {
      client = new EventNameClient(user, socket, collect(socket, 'new-message'));
      client.made = collect(socket, 'create-chat');
      client.synced = collect(socket, 'sync');
    };
    const auth = { token: tokenOf(user), ...(since && { since }) };
    await connect(owner, server.url, { auth, opened, ...options });
    return client;
  }

  async request(event, body) {
    const answered = new Promise((resolve) => { this.socket.emit(event, body, resolve); });
    const value = await within(answered, () => `${this.name}: the answer to ${event}`);
    return value.error ? { code: value.error.code } : { value };
  }

  async trySend({ id }, msg, more) {
    const { value, code } = await this.request('new-message', { room: id, msg, ...more });
    return { code, value: value && fromEventName(value) };
  }

  async tryHistory({ id }) {
    const { value, code } = await this.request('list-messages', { chat: { id } });
    return { code, value: value?.messages.map(fromEventName) };
  }

  heard({ id }) { return this.inbox.filter(({ room }) => room === id).map(fromEventName); }

  async sync({ id }, after) { return (await this.request('sync', { chats: { [id]: after } })).value.chats[id]; }

  async lists({ pk }) { return (await this.request('list-chats', {})).value.chats.some((chat) => chat.pk === pk); }

  get isOpen() { return this.socket.connected; }

  close() { this.socket.close(); }

  vanish() { this.socket.io.engine.transport.ws.terminate(); }
}

class ActionClient extends DialectClient {
  /** The messages among the frames that were looked at so far, with their rooms. */
  #messages = /** @type {{ room: number, message: any }[]} */ ([]);
  #seen = 0;

  constructor(user, connection) {
    super('action', user);
    this.connection = connection;
    this.wire = connection.wire;
  }

  static async connect(owner, server, user, { path } = /** @type {{ path?: string }} */ ({})) {
    const token = tokenOf(user);
    return new ActionClient(user, await action.connectAction(owner, server, token, { token, path, acks: true }));
  }

  async enter({ pk }) { await action.ask(this.connection, 'subscribe_to_messages_in_room', { pk }); }

  async request(name, fields) {
    const reply = await this.wire.ask({ action: name, ...fields });
    return reply.errors.length > 0 ? { code: reply.code } : { value: reply.data };
  }

  async trySend({ pk }, message, more) {
    const { value, code } = await this.request('create_message', { pk, message, ...more });
    return { code, value: value && fromAction(value) };
  }

  async tryHistory({ pk }) {
    const { value, code } = await this.request('retrieve', { pk });
    return { code, value: value?.messages.map(fromAction) };
  }

  heard({ pk }) {
    for (; this.#seen < this.wire.frames.length; this.#seen++) {
      const frame = this.wire.frames[this.#seen];
      if (frame.action !== 'create' || 'errors' in frame) continue;
      const message = action.isMessageEvent(frame);
      this.#messages.push({ room: message.room, message: fromAction(message) });
    }
    return this.#messages.filter(({ room }) => room === pk).map(({ message }) => message);
  }

  async sync({ pk }, after) { return (await this.request('sync', { chats: { [pk]: after } })).value.chats[pk]; }

  async lists({ pk }) { return (await this.request('list', {})).value.some((room) => room.pk === pk); }

  get isOpen() { return this.wire.isOpen; }

  close() { return this.wire.close(); }

  vanish() { this.wire.vanish(); }
}

class TypeClient extends DialectClient {
  constructor(user, connection) {
    super('type', user);
    this.connection = connection;
    this.wire = connection.wire;
  }

  static async connect(owner, server, user, { path } = /** @type {{ path?: string }} */ ({})) {
    const token = tokenOf(user);
    return new TypeClient(user, await type.connectType(owner, server, token, { token, path, push: true }));
  }

  async request(name, data) {
    const answer = await this.wire.ask({ type: name, data });
    return answer.type === 'error' ? { code: answer.code } : { value: answer.data };
  }

  async trySend({ pk }, text, more) {
    const { value, code } = await this.request('newMessage', { chat: pk, text, ...more });
    return { code, value: value && fromType(value) };
  }

  async tryHistory({ pk }) {
    const { value, code } = await this.request('getChatMessages', { chatId: pk });
    return { code, value: value?.map(fromType) };
  }

  heard({ pk }) {
    const messages = this.wire.frames.filter((frame) => frame.type === 'messageCreated' && frame.data.chat === pk);
    return messages.map(({ data }) => fromType(data));
  }

  async sync({ pk }, after) { return (await this.request('sync', { chats: { [pk]: after } })).value.chats[pk]; }

  async lists({ pk }) { return (await this.request('getChats', {})).value.some((chat) => chat.id === pk); }

  get isOpen() { return this.wire.isOpen; }

  close() { return this.wire.close(); }

  vanish() { this.wire.vanish(); }
}

class MarketplaceClient extends DialectClient {
  constructor(user, connection) {
    super('marketplace', user);
    this.connection = connection;
    this.socket = connection.socket;
  }

  static async connect(owner, server, user) {
    return new MarketplaceClient(user, await entered(connectSocketIo(owner, server, user)));
  }

  async request(event, body) {
    const value = await this.connection.ask(event, body);
    return value.error ? { code: value.error.code } : { value };
  }

  async trySend({ id }, text, more) {
    const { value, code } = await this.request('send_message', { chatId: id, message: { text, ...more } });
    return { code, value: value && fromMarketplace(value.messages[0]) };
  }

  async tryHistory({ id }) {
    const all = [];
    for (;;) {
      const { value, code } = await this.request('load_history', { chatId: id, lastMessageId: all[0]?.seq ?? BEYOND });
      if (code) return { code };
      all.unshift(...value.messages.map(fromMarketplace));
      if (value.messages.length === 0 || all[0].seq === 1) return { value: all };
    }
  }

  heard({ id }) {
    const updates = this.connection.frames.filter(({ event, data }) => event === 'chat_updates' && data.chatId === id);
    return updates.flatMap(({ data }) => data.messages.map(fromMarketplace));
  }

  get isOpen() { return this.socket.connected; }

  close() { this.socket.close(); }

  vanish() { this.socket.io.engine.transport.ws.terminate(); }
}

/** How a user connects in each dialect. */
export const DIALECTS = {
  'event-name': EventNameClient.connect,
  action: ActionClient.connect,
  type: TypeClient.connect,
  marketplace: MarketplaceClient.connect,
};

/** The dialects in which chats have members that come and go. */
export const { marketplace: _, ...OF_MEMBERS } = DIALECTS;

/**
 * Connections of a user to a server in each dialect, as a list.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {{ url: string }} server
 * @param {any} user
 * @param {Record<string, any>} dialects
 * @returns {Promise<any[]>}
 */
export const connectInEach = (owner, server, user, dialects = DIALECTS) => (
  Promise.all(Object.values(dialects).map((connecting) => connecting(owner, server, user)))
);

/** How a connection ends: the reason of Socket.IO, or the close frame. @returns {Promise<any>} */
export const endOf = (client) => (
  client.wire ? client.wire.closed : new Promise((resolve) => { client.socket.once('disconnect', resolve); })
);

/** All of these enter a chat. */
export const enterAll = (clients, chat) => Promise.all(clients.map((client) => client.enter(chat)));

/** Waits until each of these received this text. */
export const allHear = (clients, chat, text, ms) => Promise.all(clients.map((client) => client.untilHeard(chat, text, ms)));
