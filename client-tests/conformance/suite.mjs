// @ts-check
// Owns the register of cases: the published documents, their sections, and the cases of each, which run on polychat and on
// Node's server alike. A case in which the servers differ returns what it observes, and `differences.mjs` has the
// expected values. Does not know the cases.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isNode } from '../harness/subject.mjs';
import { DIFFERENCES } from './differences.mjs';

/** How many cases run at once, beside those that wait for the heartbeat. */
const AT_ONCE = 24;

/** The suites and cases all begin together; `inTurn` holds them back. */
const CONCURRENCY = 10_000;

/** In the short form cases that wait for the heartbeat are left out. */
const isShort = process.env.CONFORMANCE_FORM === 'short';

/**
 * A case: `run` fails, or returns the text to compare with the list of differences.
 * @typedef {{ title: string, run: (t: import('node:test').TestContext) => Promise<unknown>, slow: boolean, differs: boolean }} Case
 * @typedef {{ slow?: boolean }} CaseOptions
 */

/** A section of a document. */
class Section {
  /** @type {Case[]} */
  cases = [];

  /** @param {string} title */
  constructor(title) { this.title = title; }

  /**
   * A case in which all servers do the same.
   * @param {string} title
   * @param {(t: import('node:test').TestContext) => Promise<unknown>} run
   * @param {CaseOptions} options
   */
  test(title, run, { slow = false } = {}) { this.cases.push({ title, run, slow, differs: false }); }

  /**
   * A case in which the servers differ: `run` returns its observation, in words.
   * @param {string} title
   * @param {(t: import('node:test').TestContext) => Promise<string>} run
   * @param {CaseOptions} options
   */
  differs(title, run, { slow = false } = {}) { this.cases.push({ title, run, slow, differs: true }); }
}

/** A published document. */
export class Document {
  /** @type {Map<string, Section>} */
  sections = new Map();

  /** @param {string} name */
  constructor(name) { this.name = name; }

  /** The section with this title. */
  section(title) {
    if (!this.sections.has(title)) this.sections.set(title, new Section(title));
    return /** @type {Section} */ (this.sections.get(title));
  }

  get cases() { return [...this.sections.values()].flatMap(({ cases }) => cases); }
}

/** The entry in the list of differences. */
export const differenceOf = (document, title) => (
  DIFFERENCES.find((each) => each.documents.includes(document) && each.title === title)
);

async function compare(document, { title, run }, t) {
  const difference = differenceOf(document, title);
  const observed = await run(t);
  assert.ok(difference, `it is not in the list of differences; here: ${observed}`);
  assert.equal(observed, isNode ? difference.node : difference.polychat);
}

/** The cases that wait for their turn. @type {(() => void)[]} */
const queue = [];
let running = 0;

/** Runs a case as one of `AT_ONCE`. */
async function inTurn(run) {
  if (running >= AT_ONCE) await new Promise((resolve) => { queue.push(() => resolve(undefined)); });
  else running += 1;
  try {
    await run();
  } finally {
    const next = queue.shift();
    if (next) next();
    else running -= 1;
  }
}

/** Makes a test of each case. */
export function register(/** @type {Document[]} */ documents) {
  describe('the documents', { concurrency: CONCURRENCY }, () => {
    for (const { name, sections } of documents) {
      describe(name, { concurrency: CONCURRENCY }, () => {
        for (const { title, cases } of sections.values()) {
          describe(title, { concurrency: CONCURRENCY }, () => {
            for (const each of cases.filter(({ slow }) => !(slow && isShort))) {
              test(each.title, (t) => {
                const run = async () => { await (each.differs ? compare(name, each, t) : each.run(t)); };
                return each.slow ? run() : inTurn(run);
              });
            }
          });
        }
      });
    }
  });
}
