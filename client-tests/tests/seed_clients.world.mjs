// @ts-check
// Owns the world of the clients that were written from the documents alone: a server whose numbers are the host
// application's, the host's users 14 and 16, a network that can be cut, and a talk that lasts over both ways to lose it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { Backend } from '../clients/rest.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

/** The requests as the documents show them, by dialect and name; the values in them are mostly descriptions. */
export const EXAMPLES = JSON.parse(readFileSync(new URL('./seed_clients.examples.json', import.meta.url), 'utf8'));

const OPTIONS = ['--auth', 'open', '--numeric-external-ids', '--own-numbers-from', '1000'];

/** The first number that the server gives out itself. */
export const FIRST_OWN = 1000;

/** The ids in the host application, those of a document's example. */
export const ANNA = 14;
export const BORIS = 16;

/** How long a client waits before it connects again: others can send meanwhile. */
const RETRY_MS = 500;
export const RAW_OPTIONS = { retryMs: RETRY_MS };
export const SOCKETIO_OPTIONS = { forceNew: true, reconnectionDelay: RETRY_MS, randomizationFactor: 0 };

const PATIENCE_MS = 20_000;

/** Waits until it becomes true, as long as a reconnect may take. */
export const soon = (check, what) => eventually(check, what, PATIENCE_MS);

/**
 * A server on one port and one store, with Anna and Boris as the host application has made them.
 * @param {import('../harness/scope.mjs').Owner} owner
 */
export async function newWorld(owner) {
  const port = await freePort();
  const args = [...OPTIONS, '--listen', `127.0.0.1:${port}`, '--store', (await storeFile(owner)).store];
  let server = await startServer(owner, args);
  const host = new Backend(server);
  const userOf = (id, name) => host.ok(200, 'POST', '/users', { externalUserId: `${id}`, name });
  const anna = await userOf(ANNA, 'Anna');
  const boris = await userOf(BORIS, 'Boris');
  return {
    url: server.url,
    /** As a page has it in `window.location.host`. */
    address: `127.0.0.1:${port}`,
    server,
    host,
    anna,
    boris,
    userOf,
    /** An open room that Anna owns. */
    room: (details) => host.ok(201, 'POST', '/chats', { name: 'Python', policy: 'open', users: [anna.id], ...details }),
    lose: () => server.kill(),
    restore: async () => { server = await startServer(owner, args); },
  };
}

/** Waits until every screen shows exactly these texts. */
async function show(screens, textsOf, texts) {
  const isShown = () => screens.every((screen) => isDeepStrictEqual(textsOf(screen), texts));
  await soon(isShown, 'the texts are shown').catch(() => {});
  for (const screen of screens) assert.deepEqual(textsOf(screen), texts);
}

/**
 * Two people talk while the server is killed, and while one has lost the socket. At the end each of their screens
 * shows every text once, in order, and has the right ones as its own.
 *
 * `write` is false where the client is offline and keeps nothing, `messagesOf` has what a screen shows, `textOf` its text,
 * `sessionsOf` how often a client has entered the chat.
 */
export async function talk(world, [anna, boris], { write, messagesOf, textOf, sessionsOf }) {
  const both = [anna, boris];
  /** @type {string[]} */
  const shown = [];
  /** @type {Map<any, string[]>} */
  const ownTexts = new Map(both.map((screen) => [screen, []]));
  const textsOf = (screen) => messagesOf(screen).map(textOf);
  const keep = (author, text) => {
    shown.push(text);
    ownTexts.get(author)?.push(text);
  };
  const say = async (author, text, screens = both) => {
    assert.equal(write(author, text), true, 'the client is online');
    keep(author, text);
    await show(screens, textsOf, shown);
  };
  /** Call it before they are lost: waits until they are back. */
  const comeback = (screens) => {
    const earlier = screens.map(sessionsOf);
    const areBack = () => screens.every((screen, index) => sessionsOf(screen) > earlier[index]);
    return () => soon(areBack, 'the clients are back');
  };

  await say(anna, 'Hi world!!!');
  await say(boris, 'Привет!');

  // The server is killed. What is written meanwhile is sent afterwards, by the library or by the user.
  const untilBack = comeback(both);
  await world.lose();
  await soon(() => both.every(({ isOnline }) => !isOnline), 'the clients notice it');
  const isKept = write(anna, 'written offline');
  await world.restore();
  await untilBack();
  if (isKept) keep(anna, 'written offline');
  else await say(anna, 'written offline');
  await show(both, textsOf, shown);

  // One socket is dropped. What the other sends meanwhile is missed.
  const untilAnnaIsBack = comeback([anna]);
  anna.drop();
  await say(boris, 'missed', [boris]);
  await untilAnnaIsBack();
  await show(both, textsOf, shown);

  await say(anna, 'the last of Anna');
  await say(boris, 'the last of Boris');
  for (const screen of both) {
    const own = messagesOf(screen).filter((message) => screen.isMine(message)).map(textOf);
    assert.deepEqual(own, ownTexts.get(screen));
  }
}
