// Owns a mongod whose data stays where it is told: a replica set of one member.
import { once } from 'node:events';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

const driver = () => {
  for (const place of ['peers/node-socketio/', '../client-tests/']) {
    try { return createRequire(path.join(import.meta.dirname, place))('mongodb'); } catch { /* not installed there */ }
  }
  throw new Error('no MongoDB driver: npm ci in peers/node-socketio, or make client');
};

export class Mongod {
  #child;
  #ended;

  static async start(binary, folder, port, run) {
    fs.mkdirSync(folder, { recursive: true });
    const mongod = new Mongod();
    mongod.port = port;
    mongod.#child = run([binary, '--dbpath', folder, '--port', `${port}`, '--bind_ip', '127.0.0.1', '--nounixsocket',
      '--replSet', 'rs0', '--wiredTigerCacheSizeGB', '2', '--quiet'], 1, 'ignore');
    mongod.#ended = once(mongod.#child, 'exit');
    await mongod.#writable();
    return mongod;
  }

  get pid() { return this.#child.pid; }

  database(name) { return `mongodb://127.0.0.1:${this.port}/${name}?replicaSet=rs0`; }

  // The port may be another one than the last time, so the member is told where it is.
  async #writable() {
    const { MongoClient } = driver();
    const client = new MongoClient(`mongodb://127.0.0.1:${this.port}/?directConnection=true`);
    const members = [{ _id: 0, host: `127.0.0.1:${this.port}` }];
    try {
      const admin = client.db('admin');
      for (let i = 0; i < 300; i++) {
        try {
          if ((await admin.command({ hello: 1 })).isWritablePrimary) return;
          const known = await admin.command({ replSetGetConfig: 1 }).catch(() => undefined);
          if (!known) await admin.command({ replSetInitiate: { _id: 'rs0', members } });
          else if (known.config.members[0].host !== members[0].host) {
            await admin.command({ replSetReconfig: { ...known.config, members, version: known.config.version + 1 }, force: true });
          }
        } catch { /* not there yet */ }
        await new Promise((resolve) => { setTimeout(resolve, 200); });
      }
      throw new Error('the mongod takes no writes');
    } finally {
      await client.close();
    }
  }

  async end() {
    this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
