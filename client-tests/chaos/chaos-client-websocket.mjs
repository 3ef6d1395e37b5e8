// @ts-check
// Owns the clients under faults of the dialects on the raw WebSocket, and how such a client reconnects.
import { setTimeout } from 'node:timers/promises';
import { ChaosClient, MarketplaceChaosClient } from './chaos-client.mjs';
import { PATH as MARKETPLACE_PATH } from '../clients/marketplace.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { fromAction, fromType } from '../data/normalize.mjs';

/** The delay before a reconnect, like that of the official client of Socket.IO. */
const RECONNECT_MS = 100;

/**
 * Adds a WebSocket that is dialled again whenever it ends. A subclass has `path`, `query`, `onFrame(frame)`, and
 * `onOpen()` if it has to send something first.
 */
const overWebSocket = (Base) => class extends Base {
  async open() {
    this.#reconnectForEver();
    await this.firstConnection();
  }

  async #dial() {
    this.dropConnection();
    const { path, query, user } = this;
    await dial(this.connectionOwner, this.endpoint, path, {
      token: user.externalUserId, query, opened: (wire) => this.#use(wire),
    });
    if (this.closed) throw new Error('closed meanwhile');
    await this.onOpen();
  }

  #use(wire) {
    this.wire = wire;
    wire.listen((frame) => {
      this.onFrame(frame);
      this.changed();
    });
  }

  async #reconnectForEver() {
    while (!this.closed) {
      try {
        await this.#dial();
        await this.wire.closed;
      } catch {
        this.dropConnection();
      }
      this.onDisconnected();
      await setTimeout(RECONNECT_MS);
    }
  }

  onOpen() {}
};

/** A client whose requests have ids, which the answers carry. */
class RequestIdClient extends overWebSocket(ChaosClient) {
  #requests = 0;
  #answers = new Map();

  onFrame(frame) {
    if (!('request_id' in frame)) this.onPush(frame);
    else if (this.#answers.has(frame.request_id)) this.#answers.set(frame.request_id, frame);
    // Else the answer is too late, and the request was sent again.
  }

  /** The answer; nothing if it does not come. */
  async request(frame) {
    const { wire } = this;
    const request_id = ++this.#requests;
    this.#answers.set(request_id, undefined);
    if (wire.isOpen) wire.send({ ...frame, request_id });
    await this.orNothing(() => this.#answers.get(request_id) || !wire.isOpen);
    const answer = this.#answers.get(request_id);
    this.#answers.delete(request_id);
    return answer;
  }

  /** The data of an answer that `fits`; anything else is an error. */
  async requireData(frame, fits) {
    const answer = await this.request(frame);
    if (!answer || !fits(answer)) throw new Error(`${JSON.stringify(frame)} got ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** The ledger compares seq and chat. */
  acknowledged({ seq }) { return { seq, room: this.chat.chatId }; }
}

const CODES = { 429: 'rate_limited', 503: 'unavailable' };

const isSuccess = (answer) => answer.response_status < 400;

export class ActionClient extends RequestIdClient {
  path = PATH.action;
  query = { ack: '1' };

  async onOpen() {
    await this.requireData({ action: 'subscribe_to_messages_in_room', pk: this.chat.pk }, isSuccess);
    this.onConnected();
  }

  onPush(frame) {
    const isMessage = frame.action === 'create' && !('errors' in frame) && frame.data.room === this.chat.pk;
    if (isMessage) this.session?.receive(fromAction(frame.data));
  }

  async deliver({ msg, client_id }) {
    await this.orNothing(() => this.connected);
    const answer = await this.request({ action: 'create_message', pk: this.chat.pk, message: msg, client_id });
    if (!answer) return undefined;
    if (isSuccess(answer)) return this.acknowledged(fromAction(answer.data));
    return { error: { code: CODES[answer.response_status] ?? `status ${answer.response_status}`, ...answer } };
  }

  /** This dialect returns the latest thousand messages; older ones come from REST. */
  async missedAfter(seq) {
    const all = await this.history();
    if (all.length > 0 && all[0].seq > seq + 1) return [...await this.listByRest(seq), ...all];
    return all.filter((message) => message.seq > seq);
  }

  async history() {
    const room = await this.requireData({ action: 'retrieve', pk: this.chat.pk }, isSuccess);
    return room.messages.map(fromAction);
  }
}

export class TypeDataClient extends RequestIdClient {
  path = PATH.type;
  query = {};

  onOpen() { this.onConnected(); }

  onPush({ type, data }) {
    if (type === 'messageCreated' && data.chat === this.chat.pk) this.session?.receive(fromType(data));
  }

  /** A message that was sent on this connection is only answered, not delivered. */
  isNotDelivered({ text }) { return text.startsWith(`${this.name}/`); }

  async deliver({ msg, client_id }) {
    await this.orNothing(() => this.connected);
    const answer = await this.request({ type: 'newMessage', data: { chat: this.chat.pk, text: msg, client_id } });
    if (!answer) return undefined;
    if (answer.type === 'error') return { error: answer };
    const message = fromType(answer.data);
    this.record(message);
    return this.acknowledged(message);
  }

  /** Requests more and more of the latest messages until they reach back far enough. */
  async missedAfter(seq) {
    for (let last = 200; ; last *= 4) {
      const latest = await this.#messages({ last });
      const isEnough = latest.length < last || latest[0].seq <= seq + 1;
      if (isEnough) return latest.filter((message) => message.seq > seq);
    }
  }

  history() { return this.#messages({}); }

  async #messages(filter) {
    const request = { type: 'getChatMessages', data: { chatId: this.chat.pk, ...filter } };
    const messages = await this.requireData(request, ({ type }) => type === 'chatMessages');
    return messages.map(fromType).toSorted((one, other) => one.seq - other.seq);
  }
}

/** The same frames as on Socket.IO without acknowledgements: the delivered message is the answer. */
export class MarketplaceWebSocketClient extends overWebSocket(MarketplaceChaosClient) {
  path = MARKETPLACE_PATH;
  query = {};
  #awaited = new Map();
  #page;

  onFrame({ event, data }) {
    if (event === 'history') this.#page = data;
    if (event === 'debug_info' && data.event === 'send_message') this.#settle(this.#awaited.keys().next().value, { error: data });
    if (event === 'chat_updates') {
      data.messages.forEach((message) => this.#settle(message.client_id, this.acknowledged(message)));
    }
    this.onMarketplaceFrame(event, data);
  }

  /** Refusals do not carry the client_id: they come in the order of the requests. */
  #settle(client_id, answer) {
    const awaited = this.#awaited.get(client_id);
    if (awaited) awaited.answer = answer;
    this.#awaited.delete(client_id);
  }

  async deliver(sent) {
    await this.orNothing(() => this.connected);
    const { wire } = this;
    const awaited = {};
    this.#awaited.set(sent.client_id, awaited);
    if (wire.isOpen) wire.send({ event: 'send_message', data: this.body(sent) });
    await this.orNothing(() => awaited.answer || !wire.isOpen);
    this.#awaited.delete(sent.client_id);
    return awaited.answer;
  }

  async page(body) {
    const { wire } = this;
    this.#page = undefined;
    if (wire.isOpen) wire.send({ event: 'load_history', data: body });
    await this.orNothing(() => this.#page || !wire.isOpen);
    return this.#page;
  }
}
