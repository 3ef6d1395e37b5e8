// @ts-check
// Owns a mongod of the tests: a replica set of one member in a folder of its own, which its owner ends.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { MongoClient } from 'mongodb';
import { freePort, tempDir } from './server.mjs';
import { eventually, within } from './wait.mjs';

const FETCHED = fileURLToPath(new URL('../../target/mongod/mongod', import.meta.url));
const BINARY = process.env.MONGOD || FETCHED;
const START_MS = 60_000;

class Mongod {
  #child;
  #ended;

  constructor(port, folder) {
    this.port = port;
    this.folder = folder;
    this.url = `mongodb://127.0.0.1:${port}/?replicaSet=rs0`;
  }

  /** Starts the process, for the first time or again, and waits until it takes writes. */
  async start() {
    const child = spawn(BINARY, [
      '--bind_ip', '127.0.0.1', '--port', `${this.port}`, '--nounixsocket', '--dbpath', this.folder, '--replSet', 'rs0',
      '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false', '--quiet',
    ], { stdio: 'ignore' });
    this.#child = child;
    this.#ended = new Promise((resolve, reject) => {
      child.once('exit', resolve);
      child.once('error', ({ message }) => reject(new Error(`cannot run ${BINARY} (make mongod): ${message}`)));
    });
    process.once('exit', () => child.kill('SIGKILL'));
    await Promise.race([this.#writable(), this.#ended.then(() => { throw new Error('the mongod ended at once'); })]);
    return this;
  }

  async #writable() {
    const client = new MongoClient(`mongodb://127.0.0.1:${this.port}/?directConnection=true`);
    try {
      const admin = client.db('admin');
      await eventually(async () => {
        try {
          if ((await admin.command({ hello: 1 })).isWritablePrimary) return true;
          const members = [{ _id: 0, host: `127.0.0.1:${this.port}` }];
          await admin.command({ replSetInitiate: { _id: 'rs0', members } }).catch(() => {});
        } catch { /* not there yet */ }
        return false;
      }, 'a mongod that takes writes', START_MS);
    } finally {
      await client.close();
    }
  }

  signal(name) { this.#child.kill(name); }

  async kill() {
    this.#child.kill('SIGKILL');
    await within(this.#ended, () => 'the end of the mongod');
  }
}

/** A replica set that takes writes. */
export async function startMongod(owner) {
  const mongod = new Mongod(await freePort(), await tempDir(owner));
  owner.after(() => mongod.kill());
  return mongod.start();
}

/** The URL of a database on a replica set of its own, and what kills and restarts that. */
export async function startKillableMongod(owner, database) {
  const mongod = await startMongod(owner);
  const url = new URL(mongod.url);
  url.pathname = `/${database}`;
  const again = async () => {
    await mongod.kill();
    await mongod.start();
  };
  return { store: url.href, again };
}
