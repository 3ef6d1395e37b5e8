// @ts-check
// Owns a write lock of another process on an SQLite store, and the count of the transactions in its log.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { within } from './wait.mjs';

/** Takes SQLite's write lock without writing, and releases it at the first line of its input. */
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

  /** Waits for the holder's next line, which must be this word. */
  async expectLine(word) {
    const line = new Promise((resolve, reject) => {
      this.#holder.once('error', reject);
      this.#holder.stdout.once('data', (text) => resolve(String(text).trim()));
      this.#holder.stdout.once('end', () => resolve('nothing'));
    });
    const printed = await within(line, () => `'${word}' from the process that locks the store`);
    if (printed !== word) throw new Error(`the process that locks the store printed ${printed} instead of ${word}`);
    return this;
  }

  /** Releases the lock. */
  async release() {
    this.#holder.stdin.write('\n');
    await this.expectLine('free');
  }
}

/** Locks a store against writes, like a process that hangs in a transaction. Reads go on. */
export const lockStore = (owner, path) => new StoreLock(owner, path).expectLine('held');

const LOG_HEADER = 32;
const FRAME_HEADER = 24;

/**
 * How many transactions are in the store's write-ahead log, where the last frame of each is marked (the format is
 * documented by SQLite). `age` counts the restarts of the log: counts of one age can be compared.
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
