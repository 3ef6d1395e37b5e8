// @ts-check
// Owns the record of every message that was sent and of its outcome, for tests that end servers under load.
import assert from 'node:assert/strict';
import { Changes } from '../harness/wait.mjs';

/**
 * Keeps every message by its client_id with its outcome: acknowledged (the stored message), refused (the error) or
 * unanswered. A message's text is its client_id, so that a chat's history can be compared with the ledger.
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

  /** Records the outcome of one attempt; it replaces the outcome of an earlier one. */
  record(writer, sent, answer) {
    const { client_id } = sent;
    this.refused.delete(client_id);
    this.unanswered.delete(client_id);
    if (!answer) this.unanswered.set(client_id, { writer, sent });
    else if (answer.error) this.refused.set(client_id, { writer, sent, error: answer.error });
    else this.acknowledged.set(client_id, answer);
    this.#entries.happened();
  }

  /** Every writer sends again each message that it does not know to be stored. */
  async retry() {
    const open = [...this.refused.values(), ...this.unanswered.values()];
    await Promise.all(open.map(({ writer, sent }) => writer.attempt(sent)));
  }
}

/** Every acknowledged message is stored, as it was acknowledged. `stored` maps a text to the stored message. */
export function assertKept(ledger, stored) {
  for (const [text, acknowledged] of ledger.acknowledged) {
    const found = stored.get(text);
    assert.ok(found, `'${text}' was acknowledged, and is lost`);
    const fields = ['id', 'seq', 'room'].filter((field) => field in acknowledged);
    for (const field of fields) {
      assert.equal(found[field], acknowledged[field], `the ${field} of '${text}' has changed`);
    }
  }
}
