// @ts-check
// Owns a mongod with its data in a given folder: a replica set of one member.
import fs from 'node:fs';
import { mongoDriver } from './lab.mjs';

export class Mongod {
  #child;

  constructor(child, port) {
    this.#child = child;
    this.port = port;
  }

  static async start(binary, folder, port, run) {
    fs.mkdirSync(folder, { recursive: true });
    const mongod = new Mongod(run([binary, '--dbpath', folder, '--port', `${port}`, '--bind_ip', '127.0.0.1', '--nounixsocket',
      '--replSet', 'rs0', '--wiredTigerCacheSizeGB', '2', '--quiet'], 1, 'ignore'), port);
    await mongod.#writable();
    return mongod;
  }

  get pid() { return this.#child.pid; }

  database(name) { return `mongodb://127.0.0.1:${this.port}/${name}?replicaSet=rs0`; }

  // The port may have changed, so the member's address is set again.
  async #writable() {
    const { MongoClient } = mongoDriver();
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
    await this.#child.ended;
  }
}
