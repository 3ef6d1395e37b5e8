// Owns the book of what was sent and what became of it, for the tests that end servers under load.
import { setTimeout } from 'node:timers/promises';
import { connect } from './client.mjs';
import { Changes } from './wait.mjs';

/** How long an answer is waited for before the message is sent again. */
export const ANSWER_MS = 3000;

/** How the official client comes back by itself, soon. */
export const COMING_BACK = { reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 };

/** Refusals after which the same message may simply be sent again. */
const TRY_AGAIN = ['unavailable', 'rate_limited'];

/**
 * Keeps every message by its client_id with what became of it: acknowledged (the stored message), refused (the
 * error) or unanswered. A message's text is its client_id, so that a reader of the chat can be compared with the book.
 */
export class Ledger {
  #entries = new Changes();

  constructor() {
    this.acknowledged = new Map();
    this.refused = new Map();
    this.unanswered = new Map();
    /** Why connections were lost, one reason for each time. */
    this.losses = [];
  }

  /** Waits until this many messages in all are acknowledged. */
  until(count, ms) {
    const what = () => `${count} acknowledged messages (so far ${this.acknowledged.size})`;
    return this.#entries.until(() => this.acknowledged.size >= count, what, ms);
  }

  /** Books what became of one attempt, which replaces what became of an earlier one. */
  book(sender, sent, answer) {
    const { client_id } = sent;
    this.refused.delete(client_id);
    this.unanswered.delete(client_id);
    if (!answer) this.unanswered.set(client_id, { sender, sent });
    else if (answer.error) this.refused.set(client_id, { sender, sent, error: answer.error });
    else this.acknowledged.set(client_id, answer);
    this.#entries.happened();
  }

  /** Every sender sends again what it does not know to be stored. */
  async retry() {
    const open = [...this.refused.values(), ...this.unanswered.values()];
    await Promise.all(open.map(({ sender, sent }) => sender.attempt(sent)));
  }
}

/**
 * Somebody who writes into a chat and books each attempt. How a message goes out is said by who extends this:
 * `deliver(sent)` answers with what came back, or with nothing.
 */
export class Writer {
  #ledger;
  #room;
  #made = 0;

  constructor(ledger, { name, room }) {
    this.#ledger = ledger;
    this.#room = room;
    this.name = name;
  }

  /** One attempt: the answer, or nothing if none came. */
  async attempt(sent) {
    const answer = await this.deliver(sent);
    this.#ledger.book(this, sent, answer);
    return answer;
  }

  /** A message that was never sent before. */
  compose() {
    const client_id = `${this.name}/${++this.#made}`;
    return { room: this.#room, msg: client_id, client_id };
  }

  /**
   * Sends one message after the other, each again until it is acknowledged, as long as `goesOn` says so; `pause` is
   * awaited after each attempt.
   */
  async persist(goesOn, pause = () => {}) {
    while (goesOn()) await this.#insist(this.compose(), pause);
  }

  async #insist(sent, pause) {
    for (let attempts = 0; attempts < 100; attempts++) {
      const answer = await this.attempt(sent);
      await pause();
      if (answer && !answer.error) return;
      if (answer && !TRY_AGAIN.includes(answer.error.code)) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
      if (answer?.error.retry_after_ms) await setTimeout(answer.error.retry_after_ms);
    }
    throw new Error(`'${sent.client_id}' was not acknowledged in 100 attempts`);
  }

  /** Sends each message once, until the connection is gone or the server no longer takes any. */
  async pour(most) {
    for (let sent = 0; sent < most && this.connected; sent++) {
      const answer = await this.attempt(this.compose());
      if (!answer || answer.error) return;
    }
  }
}

/** A user's connection of the event-name dialect that comes back by itself, and books what it sends. */
export class Sender extends Writer {
  #socket;

  constructor(ledger, who, socket) {
    super(ledger, who);
    this.#socket = socket;
  }

  static async connect(owner, server, ledger, { user, room }) {
    const name = user.externalUserId;
    const socket = await connect(owner, server.url, { auth: { token: name }, ...COMING_BACK });
    socket.on('disconnect', (reason) => ledger.losses.push(reason));
    return new Sender(ledger, { name, room }, socket);
  }

  get connected() { return this.#socket.connected; }

  deliver(sent) { return answerTo(this.#socket, 'new-message', sent); }
}

/** What a request is acknowledged with, or nothing if that takes too long. */
export const answerTo = (socket, event, body) => (
  socket.timeout(ANSWER_MS).emitWithAck(event, body).catch(() => undefined)
);
