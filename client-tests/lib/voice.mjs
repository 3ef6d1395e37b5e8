// Owns what a user's connection of any dialect has in common under faults: it comes back by itself, catches up with what
// it missed, and keeps each message that it was told of. It refuses to know how any dialect is spoken.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { ANSWER_MS, Writer } from './ledger.mjs';
import { Changes } from './wait.mjs';

/** How long to wait before history is asked for again that was not answered. */
const AGAIN_MS = 100;

const PATIENCE_MS = 60_000;

/** From the moment when messages come by themselves to the loss of the connection. */
class Session {
  constructor(voice) {
    this.voice = voice;
    this.live = [];
    this.caughtUp = false;
    this.over = false;
  }

  /** A message that came by itself. */
  hear(message) {
    if (this.over) return;
    this.live.push(message.seq);
    this.voice.keep(message);
  }
}

/**
 * A dialect's subclass connects in `open()` and tells by `began()` and `lost()` how it stands; `deliver(sent)` sends,
 * `missedAfter(seq)` is the whole of its catching up (what comes after a number), and `history()` everything that the
 * dialect shows. Both fail if there is no answer.
 */
export class Voice extends Writer {
  #kept = new Map();
  #known = 0;
  #sessions = [];
  #changes = new Changes();
  #quarrels = [];
  #endings = [];
  #attempts = new Map();

  constructor(owner, door, ledger, { user, chat, dialect, writes }) {
    super(ledger, { name: `${user.externalUserId}/${dialect}`, room: chat.chatId });
    Object.assign(this, { door, user, chat, dialect, writes, closed: false });
    owner.after(() => this.close());
  }

  /** Whoever owns this voice owns what it opens; what is opened again replaces what was there. */
  get holder() { return { after: (end) => this.#endings.push(end) }; }

  letGo() { for (const end of this.#endings.splice(0)) end(); }

  close() {
    this.closed = true;
    this.lost();
    this.letGo();
  }

  get session() { return this.#sessions.at(-1)?.over === false ? this.#sessions.at(-1) : undefined; }

  /** Up to this number nothing is missing. */
  get known() { return this.#known; }

  get connected() { return this.session !== undefined; }

  get isCaughtUp() { return this.session?.caughtUp === true; }

  /** Waits for the first connection; whoever is to come back by itself tries until there is one. */
  firstConnection() { return this.until(() => this.connected, 'a first connection', PATIENCE_MS); }

  /** The connection is back, and tells of new messages from now on. */
  began() {
    const session = new Session(this);
    this.#sessions.push(session);
    this.#catchUp(session);
    this.changed();
    return session;
  }

  lost() {
    if (this.session) this.session.over = true;
    this.changed();
  }

  changed() { this.#changes.happened(); }

  /** Waits until `check` says something truthy: that; or nothing, after as long as an answer is waited for. */
  orNothing(check) { return this.until(check, 'an answer', ANSWER_MS).catch(() => undefined); }

  until(check, what, ms) {
    return this.#changes.until(check, () => `${this.name}: ${what} (it knows up to ${this.known})`, ms);
  }

  /** Reconnecting clients do this, whatever the dialect: ask for what came after the last number that they know. */
  async #catchUp(session) {
    for (let attempts = 0; attempts < 1000 && !session.over; attempts++) {
      const missed = await this.missedAfter(this.known).catch(() => undefined);
      if (session.over) return;
      if (missed) {
        missed.forEach((message) => this.keep(message));
        session.caughtUp = true;
        this.changed();
        return;
      }
      await setTimeout(AGAIN_MS);
    }
  }

  /** A message that this user was told of, in whatever way. */
  keep(message) {
    const { seq } = message;
    const before = this.#kept.get(seq);
    if (!before) this.#kept.set(seq, message);
    else if (before.text !== message.text || before.at !== message.at) this.#quarrels.push([before, message]);
    while (this.#kept.has(this.#known + 1)) this.#known += 1;
    this.changed();
  }

  attempt(sent) {
    this.#attempts.set(sent.client_id, (this.#attempts.get(sent.client_id) ?? 0) + 1);
    return super.attempt(sent);
  }

  /** This was sent more than once, so that what was stored first may be told a second time. */
  mayRepeat(client_id) { return this.#attempts.get(client_id) > 1; }

  /** Whether a message is one that does not come by itself. */
  silentAbout() { return false; }

  /** In the end: every message once, in order, the same as everybody else's. */
  assertComplete(truth) {
    assert.deepEqual(this.#quarrels, [], `${this.name} was told different things of one message`);
    const kept = [...this.#kept.values()].toSorted((one, other) => one.seq - other.seq);
    assert.deepEqual(kept, truth, `${this.name} has something else than the history`);
    for (const { live } of this.#sessions) this.#assertInOrder(live, truth);
  }

  #assertInOrder(live, truth) {
    for (let at = 1; at < live.length; at++) {
      const [before, after] = [live[at - 1], live[at]];
      assert.ok(after > before, `${this.name} heard ${after} after ${before}`);
      const missing = truth.slice(before, after - 1).filter((message) => !this.silentAbout(message));
      assert.deepEqual(missing, [], `${this.name} was skipped between ${before} and ${after} (its ${at}th) of one connection`);
    }
  }

  /** How many connections there have been. */
  get connections() { return this.#sessions.length; }

  /** How many messages came by themselves. */
  get live() { return this.#sessions.reduce((sum, { live }) => sum + live.length, 0); }
}
