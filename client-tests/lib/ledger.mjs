// Owns the book of what was sent and what became of it, for the tests that end servers under load.
import { connect } from './client.mjs';
import { Changes } from './wait.mjs';

const ANSWER_MS = 3000;

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

/** A user's connection that comes back by itself, and books what it sends. */
export class Sender {
  #socket;
  #ledger;
  #room;
  #name;
  #made = 0;

  static async connect(owner, server, ledger, { user, room }) {
    const sender = new Sender();
    sender.#ledger = ledger;
    sender.#room = room;
    sender.#name = user.externalUserId;
    sender.#socket = await connect(owner, server.url, {
      auth: { token: sender.#name }, reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200,
    });
    sender.#socket.on('disconnect', (reason) => ledger.losses.push(reason));
    return sender;
  }

  get connected() { return this.#socket.connected; }

  /** One attempt: the answer, or nothing if none came. */
  async attempt(sent) {
    const answer = await this.#socket.timeout(ANSWER_MS).emitWithAck('new-message', sent).catch(() => undefined);
    this.#ledger.book(this, sent, answer);
    return answer;
  }

  #compose() {
    const client_id = `${this.#name}/${++this.#made}`;
    return { room: this.#room, msg: client_id, client_id };
  }

  /** Sends one message after the other, each again until it is acknowledged, as long as `goesOn` says so. */
  async persist(goesOn) {
    while (goesOn()) await this.#insist(this.#compose());
  }

  async #insist(sent) {
    for (let attempts = 0; attempts < 100; attempts++) {
      const answer = await this.attempt(sent);
      if (answer && !answer.error) return;
      if (answer && !TRY_AGAIN.includes(answer.error.code)) throw new Error(`refused: ${JSON.stringify(answer.error)}`);
    }
    throw new Error(`'${sent.client_id}' was not acknowledged in 100 attempts`);
  }

  /** Sends each message once, until the connection is gone or the server no longer takes any. */
  async pour(most) {
    for (let sent = 0; sent < most && this.connected; sent++) {
      const answer = await this.attempt(this.#compose());
      if (!answer || answer.error) return;
    }
  }
}
