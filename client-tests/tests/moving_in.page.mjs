// @ts-check
// Owns what the walks of all front ends share: pages that end with the test, what they show, the addresses of the document as
// they are here, and the stops that are alike. Does not know a dialect.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { eventually } from '../harness/wait.mjs';
import { ANNA, ORIGIN, execute, programOf } from './moving_in.host.mjs';
import { MISSING } from './moving_in.walk.mjs';

/** The programs that sign tokens, as the document runs them. */
const COMMANDS = ['node chat_token.mjs', 'python3 chat_token.py', 'php chat_token.php'];

/** A user whose id in the host application is no number, and the number that is chosen for it. */
const NAMED = { id: 'vera', pk: 2001 };

/** The text that is written to the old chat after the first import. */
export const REST = 'written after the import';

/** The texts that are written with the new address. */
export const LIVE = ['after the move', 'и ещё'];

/** The address of the server of a place. */
export const serverOf = ({ port }) => ({ url: `http://127.0.0.1:${port}` });

/** Lines of the document with polychat's address as it is here. */
export const placedAt = ({ port }, lines) => lines
  .replaceAll('wss://chat.example', `ws://127.0.0.1:${port}`).replaceAll('https://chat.example', `http://127.0.0.1:${port}`);

/** A client that ends with the test. */
export function page(t, client) {
  t.after(() => client.leave());
  return client;
}

/** Waits until exactly these texts are shown. */
export async function show(textsOf, texts) {
  const shown = () => JSON.stringify(textsOf());
  await eventually(() => shown() === JSON.stringify(texts), 'the texts are shown').catch(() => {});
  assert.deepEqual(textsOf(), texts);
}

const linesIn = (place, file) => {
  const text = readFileSync(join(place.folder, file), 'utf8').trim();
  return text === '' ? [] : text.split('\n').map((line) => JSON.parse(line));
};

/** The map has every old id, with the numbers of polychat in the order of the chat. */
function assertMap(place, ids) {
  const messages = linesIn(place, 'map.jsonl').filter(({ type }) => type === 'message');
  assert.deepEqual(messages.map(({ original_id, seq }) => [original_id, seq]), ids.map((id, at) => [`${id}`, at + 1]));
}

/** The user of the connection that a token opens. */
async function userOf(t, place, token) {
  const wire = await dial(t, serverOf(place), PATH.action, { token });
  return (await wire.ask({ action: 'whoami' })).data;
}

/** A token of each language opens a connection of its user, whose number is the host application's. */
async function assertTokens(t, place) {
  for (const mint of COMMANDS.filter((command) => !MISSING.includes(command.split(' ')[0]))) {
    const { output } = await place.untilEnd(`${mint} ${ANNA}`);
    const { id, externalUserId } = await userOf(t, place, output.trim());
    assert.deepEqual([id, externalUserId], [ANNA, `${ANNA}`], mint);
  }
  const { tokenFor } = await programOf(place, 'chat_token.mjs');
  const named = await userOf(t, place, await tokenFor(NAMED.id, { pk: NAMED.pk, username: 'Vera' }));
  assert.deepEqual([named.id, named.username], [NAMED.pk, 'Vera']);
}

/** Pages of the host application may connect, with a token of a session, and pages of other origins may not. */
async function assertOrigins(t, place, host) {
  assert.equal((await fetch(host.url)).status, 401, 'there is no token without a session');
  const token = await (await host.fetchAs(ANNA)('/chat-token')).text();
  await dial(t, serverOf(place), PATH.either, { token, headers: { origin: ORIGIN } });
  const headers = { origin: 'https://other.example' };
  assert.equal(await refusedWith(t, serverOf(place), PATH.either, { token, headers }), 403);
}

/**
 * The stops that are alike: the tokens, the origins, what is written to the old chat after the first import, the map with
 * these old `ids`, and the way back, which finds the texts of `live`.
 */
export const commonStops = (t, place, host, { database, ids, live }) => ({
  Tokens: () => assertTokens(t, place),
  Origins: () => assertOrigins(t, place, host),
  '3. Close the old chat': () => execute(place, database.rest),
  '4. Import the rest.': () => assertMap(place, ids),
  '2. Stop polychat.': () => place.stopServer(),
  '3. Take what is new': () => assert.deepEqual(linesIn(place, 'since.jsonl').map(({ text }) => text), live),
});
