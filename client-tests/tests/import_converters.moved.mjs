// @ts-check
// Owns moving a converted file into a store with `polychat import`, and reading by REST what is there afterwards.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Backend } from '../clients/rest.mjs';
import { runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';

const PAGE = 1000;

/** A store into which files are moved, one after the other, and whose server runs in between. */
class NewHome {
  #owner;
  #store;
  #folder;
  #files = 0;

  constructor(owner, store, folder) {
    this.#owner = owner;
    this.#store = store;
    this.#folder = folder;
  }

  #save(text) {
    const file = join(this.#folder, `old-${++this.#files}.jsonl`);
    writeFileSync(file, text);
    return file;
  }

  /** Checks a file, which must be right in every line, and imports it: what was printed. */
  async moveIn({ stdout: text }) {
    const file = this.#save(text);
    const check = await runToEnd(['import', file, '--store', this.#store, '--dry-run']);
    assert.equal(check.code, 0, check.stdout + check.stderr);
    const result = await runToEnd(['import', file, '--store', this.#store]);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    return result.stdout + result.stderr;
  }

  start(args = []) { return startServer(this.#owner, ['--store', this.#store, ...args]); }

  /** Everything that its server has. */
  async content() {
    const server = await this.start();
    const content = await contentOf(server);
    await server.stop();
    return content;
  }
}

/** A new store. */
export async function newHome(owner) {
  return new NewHome(owner, (await storeFile(owner)).store, await tempDir(owner));
}

const byPk = (a, b) => a.pk - b.pk;

/** The users of a server, and its chats with their members and messages; a user is named by its external id. */
async function contentOf(server) {
  const backend = new Backend(server);
  const users = (await backend.all('/users', 'users', PAGE)).flat();
  const externalId = new Map(users.flatMap(({ id, pk, externalUserId }) => [[id, externalUserId], [pk, externalUserId]]));
  const chats = [];
  for (const chat of (await backend.all('/chats', 'chats', PAGE)).flat()) {
    const pages = await backend.all(`/chats/${chat.id}/messages?after_seq=0`, 'messages', PAGE);
    chats.push({
      pk: chat.pk, externalChatId: chat.externalChatId, name: chat.name, policy: chat.policy,
      owner: externalId.get(chat.owner) ?? null, members: chat.users.map((id) => externalId.get(id)).sort(),
      messages: pages.flat().map(({ original_id, user_id, msg, created_at, metadata, id, seq }) => ({
        original_id, sender: externalId.get(user_id), text: msg, time: Date.parse(created_at), metadata, id, seq,
      })),
    });
  }
  const profile = ({ pk, externalUserId, username, name, github, avatar }) => ({ pk, externalUserId, username, name, github, avatar });
  return { users: users.map(profile).sort(byPk), chats: chats.sort(byPk) };
}
