// @ts-check
// Owns the trouble with the store: somebody else's write lock on its file, and how many transactions it has taken.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { within } from './wait.mjs';

/** Takes SQLite's write lock without writing, and lets go of it at the first line that it reads. */
const HOLDER = `
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], timeout=10, isolation_level=None)
store.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
store.execute("ROLLBACK")
print("free", flush=True)
`;

class StoreLock {
  #holder;

  constructor(owner, path) {
    this.#holder = spawn('python3', ['-c', HOLDER, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    owner.after(() => this.#holder.kill('SIGKILL'));
  }

  /** The holder's next line has to be this word. */
  async says(word) {
    const line = new Promise((resolve, reject) => {
      this.#holder.once('error', reject);
      this.#holder.stdout.once('data', (text) => resolve(String(text).trim()));
      this.#holder.stdout.once('end', () => resolve('nothing'));
    });
    const said = await within(line, () => `'${word}' from the one who locks the store`);
    if (said !== word) throw new Error(`the one who locks the store said ${said} instead of ${word}`);
    return this;
  }

  /** Lets the store answer again. */
  async release() {
    this.#holder.stdin.write('\n');
    await this.says('free');
  }
}

/** Locks a store file against writing, like a process that hangs in the midst of a transaction. Reading goes on. */
export const lockStore = (owner, path) => new StoreLock(owner, path).says('held');

const LOG_HEADER = 32;
const FRAME_HEADER = 24;

/**
 * How many transactions stand in the store's write-ahead log: there a frame that ends one says so (the file format is
 * SQLite's own, and documented). `age` counts how often the log was begun anew: numbers of one age can be compared.
 */
export function transactions(path) {
  const log = readFileSync(`${path}-wal`);
  const frame = FRAME_HEADER + log.readUInt32BE(8);
  const salt = log.subarray(16, 24);
  let count = 0;
  for (let at = LOG_HEADER; at + frame <= log.length; at += frame) {
    const written = log.subarray(at + 8, at + 16).equals(salt);
    const ends = log.readUInt32BE(at + 4) > 0;
    if (written && ends) count += 1;
  }
  return { age: log.readUInt32BE(12), count };
}
