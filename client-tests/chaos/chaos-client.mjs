// @ts-check
// Owns the part of a client under faults that does not depend on the transport: it sends with retries, reconnects, catches
// up with the messages that it missed, and records every message that it received.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { fromMarketplace } from '../data/normalize.mjs';
import { Changes } from '../harness/wait.mjs';

/** How long a writer waits for an answer before it sends the message again. */
export const ANSWER_MS = 3000;

/** Refusals after which the same message may be sent again. */
const TRANSIENT = ['unavailable', 'rate_limited'];

/** How long to wait before a failed catch-up is tried again. */
const CATCH_UP_RETRY_MS = 100;

const PATIENCE_MS = 60_000;

/** Sends messages into one chat and records the outcome of each attempt. A subclass implements `deliver`, `connected`. */
export class Writer {
  #ledger;
  #room;
  #composed = 0;

  constructor(ledger, { name, room }) {
    this.#ledger = ledger;
    this.#room = room;
    this.name = name;
  }

  /** Whether messages can be sent now. @returns {boolean} */
  get connected() { throw new Error(`${this.name} has no connection`); }

  /** Sends a message once: the server's answer, or nothing if none came. @returns {Promise<any>} */
  deliver(_sent) { throw new Error(`${this.name} cannot send`); }

  /** One attempt: the answer, or nothing if none came. */
  async attempt(sent) {
    const answer = await this.deliver(sent);
    this.#ledger.record(this, sent, answer);
    return answer;
  }

  /** A message that was never sent before. */
  compose() {
    const client_id = `${this.name}/${++this.#composed}`;
    return { room: this.#room, msg: client_id, client_id };
  }

  /**
   * Sends one message after the other, each until it is acknowledged, as long as `goesOn()`; `pause` is awaited after
   * each attempt.
   */
  async sendWhile(goesOn, pause = () => {}) {
    while (goesOn()) await this.#sendUntilAcknowledged(this.compose(), pause);
  }

  async #sendUntilAcknowledged(sent, pause) {
    for (let attempts = 0; attempts < 100; attempts++) {
      const answer = await this.attempt(sent);
      await pause();
      if (answer && !answer.error) return;
      if (answer && !TRANSIENT.includes(answer.error.code)) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
      if (answer?.error.retry_after_ms) await setTimeout(answer.error.retry_after_ms);
    }
    throw new Error(`'${sent.client_id}' was not acknowledged in 100 attempts`);
  }

  /** Sends up to `most` messages, each once, until the connection is lost or the server refuses one. */
  async sendOnce(most) {
    for (let sent = 0; sent < most && this.connected; sent++) {
      const answer = await this.attempt(this.compose());
      if (!answer || answer.error) return;
    }
  }
}

/** One connection, from the moment when messages are delivered live until it is lost. */
class Session {
  #client;

  constructor(client) {
    this.#client = client;
    this.live = [];
    this.caughtUp = false;
    this.over = false;
  }

  /** A message that was delivered live. */
  receive(message) {
    if (this.over) return;
    this.live.push(message.seq);
    this.#client.record(message);
  }
}

/**
 * A dialect's subclass connects in `open()`, calls `onConnected()` and `onDisconnected()`, and implements `deliver`,
 * `missedAfter` and `history`. The latter two reject if there is no answer.
 */
export class ChaosClient extends Writer {
  #received = new Map();
  #contiguousSeq = 0;
  #sessions = [];
  #changes = new Changes();
  #conflicts = [];
  #cleanups = [];
  #attempts = new Map();

  constructor(owner, endpoint, ledger, { user, chat, dialect, writes }) {
    super(ledger, { name: `${user.externalUserId}/${dialect}`, room: chat.chatId });
    this.endpoint = endpoint;
    this.user = user;
    this.chat = chat;
    this.dialect = dialect;
    this.writes = writes;
    this.closed = false;
    owner.after(() => this.close());
  }

  /** Connects, and reconnects whenever the connection is lost. @returns {Promise<void>} */
  open() { throw new Error(`${this.name} cannot connect`); }

  /** All messages after a seq. @returns {Promise<any[]>} */
  missedAfter(_seq) { throw new Error(`${this.name} cannot catch up`); }

  /** All messages that the dialect returns. @returns {Promise<any[]>} */
  history() { throw new Error(`${this.name} has no history`); }

  /** The owner of the current connection; `dropConnection()` ends everything registered here. */
  get connectionOwner() { return { after: (cleanup) => this.#cleanups.push(cleanup) }; }

  dropConnection() { for (const cleanup of this.#cleanups.splice(0)) cleanup(); }

  close() {
    this.closed = true;
    this.onDisconnected();
    this.dropConnection();
  }

  get session() { return this.#sessions.at(-1)?.over === false ? this.#sessions.at(-1) : undefined; }

  /** No message up to this seq is missing. */
  get contiguousSeq() { return this.#contiguousSeq; }

  get connected() { return this.session !== undefined; }

  get isCaughtUp() { return this.session?.caughtUp === true; }

  firstConnection() { return this.until(() => this.connected, 'a first connection', PATIENCE_MS); }

  /** The connection is open again, and messages are delivered live from now on. */
  onConnected() {
    const session = new Session(this);
    this.#sessions.push(session);
    this.#catchUp(session);
    this.changed();
    return session;
  }

  onDisconnected() {
    if (this.session) this.session.over = true;
    this.changed();
  }

  changed() { this.#changes.happened(); }

  /** The first truthy result of `check`; nothing after ANSWER_MS. */
  orNothing(check) { return this.until(check, 'an answer', ANSWER_MS).catch(() => undefined); }

  until(check, what, ms) {
    return this.#changes.until(check, () => `${this.name}: ${what} (it has all up to ${this.contiguousSeq})`, ms);
  }

  /** Catches up, the same in every dialect: requests the messages after the last seq that the client has. */
  async #catchUp(session) {
    for (let attempts = 0; attempts < 1000 && !session.over; attempts++) {
      const missed = await this.missedAfter(this.contiguousSeq).catch(() => undefined);
      if (session.over) return;
      if (missed) {
        missed.forEach((message) => this.record(message));
        session.caughtUp = true;
        this.changed();
        return;
      }
      await setTimeout(CATCH_UP_RETRY_MS);
    }
  }

  /** A message that this client received, live or in answer to a request. */
  record(message) {
    const { seq } = message;
    const before = this.#received.get(seq);
    if (!before) this.#received.set(seq, message);
    else if (before.text !== message.text || before.at !== message.at) this.#conflicts.push([before, message]);
    while (this.#received.has(this.#contiguousSeq + 1)) this.#contiguousSeq += 1;
    this.changed();
  }

  attempt(sent) {
    this.#attempts.set(sent.client_id, (this.#attempts.get(sent.client_id) ?? 0) + 1);
    return super.attempt(sent);
  }

  /** This message was sent more than once, so it may be delivered a second time. */
  wasRetried(client_id) { return this.#attempts.get(client_id) > 1; }

  /** Whether the dialect does not deliver this message live to this client. */
  isNotDelivered(_message) { return false; }

  /** In the end: every message once, in order, the same as in the history. */
  assertComplete(history) {
    assert.deepEqual(this.#conflicts, [], `${this.name} received different forms of one message`);
    const received = [...this.#received.values()].toSorted((one, other) => one.seq - other.seq);
    assert.deepEqual(received, history, `${this.name} has something else than the history`);
    for (const { live } of this.#sessions) this.#assertInOrder(live, history);
  }

  #assertInOrder(live, history) {
    for (let at = 1; at < live.length; at++) {
      const [before, after] = [live[at - 1], live[at]];
      assert.ok(after > before, `${this.name} received ${after} after ${before}`);
      const missing = history.slice(before, after - 1).filter((message) => !this.isNotDelivered(message));
      assert.deepEqual(missing, [], `${this.name} missed what is between ${before} and ${after} (its ${at}th) of one connection`);
    }
  }

  /** How many connections there have been. */
  get connections() { return this.#sessions.length; }

  /** How many messages were delivered live. */
  get live() { return this.#sessions.reduce((sum, { live }) => sum + live.length, 0); }
}

/**
 * The marketplace dialect on either transport: `initial_data` gives the seq at which a connection begins, and no message
 * is delivered twice. A subclass implements `page`.
 */
export class MarketplaceChaosClient extends ChaosClient {
  #initial = [];
  head = 0;

  onMarketplaceFrame(event, data) {
    if (event === 'initial_data') this.#begin(data);
    else if (event === 'chat_updates' && data.chatId === this.chat.chatId) data.messages.forEach((each) => this.#receive(each));
  }

  #begin(entries) {
    const chat = entries.flatMap(({ chats }) => chats).find(({ chatId }) => chatId === this.chat.chatId);
    this.#initial = chat.messages.map(fromMarketplace);
    this.head = this.#initial.at(-1)?.seq ?? 0;
    const session = this.onConnected();
    if (this.head > 0) session.live.push(this.head); // the next live message has to follow on it
  }

  #receive(update) {
    const message = fromMarketplace(update);
    const due = (this.session?.live.at(-1) ?? 0) + 1;
    // The answer for a message that was stored already has the same form, and may overtake its delivery.
    if (message.seq !== due && update.client_id && this.wasRetried(update.client_id)) this.record(message);
    else this.session?.receive(message);
    this.head = Math.max(this.head, message.seq);
  }

  /** The answer to `load_history`. @returns {Promise<any>} */
  page(_body) { throw new Error(`${this.name} has no history`); }

  body({ msg, client_id }) { return { chatId: this.chat.chatId, message: { text: msg, client_id } }; }

  acknowledged({ messageId }) { return { seq: messageId, room: this.chat.chatId }; }

  async missedAfter(seq) { return this.#backTo(seq, [...this.#initial]); }

  history() { return this.#backTo(0, []); }

  /** Page by page backwards from the earliest message at hand. */
  async #backTo(after, all) {
    for (let first = all[0]?.seq ?? this.head + 1; first > after + 1;) {
      const { messages } = await this.page({ chatId: this.chat.chatId, lastMessageId: first });
      if (messages.at(-1)?.messageId !== first - 1) throw new Error(`there is nothing before ${first}`);
      all.unshift(...messages.map(fromMarketplace));
      first = all[0].seq;
    }
    return all.filter(({ seq }) => seq > after);
  }
}
