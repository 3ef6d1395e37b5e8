// @ts-check
// Owns the count of one attack: how often something was tried, and what failed. Does not know any attack.

/** The most failures that are printed for one attack. */
const PRINTED = 10;

export class Tally {
  attempts = 0;
  /** @type {string[]} */
  failures = [];
  /** What was measured, for the table. */
  measured = '';

  /** Counts attempts that went as they should. */
  count(attempts = 1) { this.attempts += attempts; }

  fail(what) { this.failures.push(what); }

  /** One attempt: `check` rejects, or returns a text, if something is wrong. */
  async attempt(what, check) {
    this.attempts += 1;
    try {
      const wrong = await check();
      if (typeof wrong === 'string') this.fail(`${what}: ${wrong}`);
    } catch (error) {
      this.fail(`${what}: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** What was measured has to be at most this. */
  bound(what, value, most, unit) {
    this.measured += `${this.measured && '; '}${what} ${value} ${unit} of ${most}`;
    if (!(value <= most)) this.fail(`${what}: ${value} ${unit}, more than ${most}`);
  }

  get printed() { return this.failures.slice(0, PRINTED).map((failure) => `  ${failure.slice(0, 2000)}`).join('\n'); }
}

/**
 * How an attack is run: its owner, random choices, whether the run is short, what counts, and the number of seconds after
 * which it should begin nothing more.
 * @typedef {{
 *   t: import('../harness/scope.mjs').Owner, chance: import('../harness/random.mjs').Chance, seed: number, short: boolean,
 *   tally: Tally, seconds: number,
 * }} Run
 *
 * An attack: its kind on the command line, what is attacked and what must hold, and how many seconds it takes in the long
 * form, and in the short one if it is part of that.
 * @typedef {{
 *   kind: string, what: string, holds: string, seconds: number, short?: number, run: (run: Run) => Promise<void>,
 * }} Attack
 */

/** Goes on until `seconds` are over: at least once. */
export async function during(seconds, work) {
  const end = Date.now() + seconds * 1000;
  for (let round = 0; round === 0 || Date.now() < end; round++) await work(round);
}
