// Owns how the dialects of the raw WebSocket are spoken under faults, and how such a connection comes back.
// It refuses to know what is done with what they hear.
import { setTimeout } from 'node:timers/promises';
import { PATH as EVENTS_PATH } from './by-event.mjs';
import { fromAction, fromType } from './forms.mjs';
import { ANSWER_MS } from './ledger.mjs';
import { Voice } from './voice.mjs';
import { MarketplaceVoice } from './voice-socketio.mjs';
import { PATH, dial } from './wire.mjs';

/** How soon to come back, like the official client of Socket.IO. */
const BACK_MS = 100;

/** A connection that is dialled again whenever it ends: `path`, `query`, `hears(frame)`, `enter()`. */
const raw = (Base) => class extends Base {
  async open() {
    this.#stay();
    await this.firstConnection();
  }

  async #dial() {
    this.letGo();
    const { path, query, user } = this;
    await dial(this.holder, this.door, path, { token: user.externalUserId, query, opened: (wire) => this.#use(wire) });
    if (this.closed) throw new Error('closed meanwhile');
    await this.enter();
  }

  #use(wire) {
    this.wire = wire;
    wire.listen((frame) => {
      this.hears(frame);
      this.changed();
    });
  }

  async #stay() {
    while (!this.closed) {
      try {
        await this.#dial();
        await this.wire.closed;
      } catch {
        this.letGo();
      }
      this.lost();
      await setTimeout(BACK_MS);
    }
  }

  enter() {}
};

/** One whose requests have ids, which the answers carry. */
class AskingVoice extends raw(Voice) {
  #asked = 0;
  #answers = new Map();

  hears(frame) {
    if (!('request_id' in frame)) this.hearsUnasked(frame);
    else if (this.#answers.has(frame.request_id)) this.#answers.set(frame.request_id, frame);
    // Else the answer is too late, and was asked for again.
  }

  /** The answer; nothing if it does not come. */
  async ask(frame) {
    const { wire } = this;
    const request_id = ++this.#asked;
    this.#answers.set(request_id, undefined);
    if (wire.isOpen) wire.send({ ...frame, request_id });
    await this.orNothing(() => this.#answers.get(request_id) || !wire.isOpen);
    const answer = this.#answers.get(request_id);
    this.#answers.delete(request_id);
    return answer;
  }

  async mustAsk(frame, fits) {
    const answer = await this.ask(frame);
    if (!answer || !fits(answer)) throw new Error(`${JSON.stringify(frame)} got ${JSON.stringify(answer)}`);
    return answer.data;
  }

  /** A number and a chat are what the ledger compares. */
  acknowledged({ seq }) { return { seq, room: this.chat.chatId }; }
}

const CODES = { 429: 'rate_limited', 503: 'unavailable' };

export class ActionVoice extends AskingVoice {
  path = PATH.action;
  query = { ack: '1' };

  async enter() {
    await this.mustAsk({ action: 'subscribe_to_messages_in_room', pk: this.chat.pk }, isDone);
    this.began();
  }

  hearsUnasked(frame) {
    const isMessage = frame.action === 'create' && !('errors' in frame) && frame.data.room === this.chat.pk;
    if (isMessage) this.session?.hear(fromAction(frame.data));
  }

  async deliver({ msg, client_id }) {
    await this.orNothing(() => this.connected);
    const answer = await this.ask({ action: 'create_message', pk: this.chat.pk, message: msg, client_id });
    if (!answer) return undefined;
    if (isDone(answer)) return this.acknowledged(fromAction(answer.data));
    return { error: { code: CODES[answer.response_status] ?? `status ${answer.response_status}`, ...answer } };
  }

  /** It shows a thousand at most: whoever missed more has to ask elsewhere. */
  async missedAfter(known) {
    const all = await this.history();
    if (all.length > 0 && all[0].seq > known + 1) return [...await this.elsewhere(known), ...all];
    return all.filter(({ seq }) => seq > known);
  }

  async history() {
    const room = await this.mustAsk({ action: 'retrieve', pk: this.chat.pk }, isDone);
    return room.messages.map(fromAction);
  }
}

const isDone = (answer) => answer.response_status < 400;

export class TypeVoice extends AskingVoice {
  path = PATH.type;
  query = {};

  enter() { this.began(); }

  hearsUnasked({ type, data }) {
    if (type === 'messageCreated' && data.chat === this.chat.pk) this.session?.hear(fromType(data));
  }

  /** What was sent here is told by the answer only. */
  silentAbout({ text }) { return text.startsWith(`${this.name}/`); }

  async deliver({ msg, client_id }) {
    await this.orNothing(() => this.connected);
    const answer = await this.ask({ type: 'newMessage', data: { chat: this.chat.pk, text: msg, client_id } });
    if (!answer) return undefined;
    if (answer.type === 'error') return { error: answer };
    const message = fromType(answer.data);
    this.keep(message);
    return this.acknowledged(message);
  }

  /** Ever more of the latest ones, until they reach back far enough. */
  async missedAfter(known) {
    for (let last = 200; ; last *= 4) {
      const latest = await this.#messages({ last });
      const isEnough = latest.length < last || latest[0].seq <= known + 1;
      if (isEnough) return latest.filter(({ seq }) => seq > known);
    }
  }

  history() { return this.#messages({}); }

  async #messages(filter) {
    const asked = { type: 'getChatMessages', data: { chatId: this.chat.pk, ...filter } };
    const messages = await this.mustAsk(asked, ({ type }) => type === 'chatMessages');
    return messages.map(fromType).toSorted((one, other) => one.seq - other.seq);
  }
}

/** The same frames as on Socket.IO, without an acknowledgement: what one is told is the answer. */
export class MarketplaceRawVoice extends raw(MarketplaceVoice) {
  path = EVENTS_PATH;
  query = {};
  #awaited = new Map();
  #page;

  hears({ event, data }) {
    if (event === 'history') this.#page = data;
    if (event === 'debug_info' && data.event === 'send_message') this.#settle(this.#awaited.keys().next().value, { error: data });
    if (event === 'chat_updates') data.messages.forEach((told) => this.#settle(told.client_id, this.acknowledged(told)));
    this.hearsFrame(event, data);
  }

  /** Refusals do not say of what: they come in the order of the requests. */
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
