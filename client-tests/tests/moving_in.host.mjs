// @ts-check
// Owns the host application of a move: its users 14 and 16 with their sessions, its database with the old conversations, the
// address /chat-token, and an address that makes something in polychat. Does not know polychat's protocols.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** The ids in the host application. */
export const ANNA = 14;
export const BORIS = 16;

/** The names of its users. */
export const NAMES = { [ANNA]: 'anna', [BORIS]: 'boris' };

/**
 * How the host application signs a token, in its language: with the function of the document's program, and the name of the
 * user of its session as a claim.
 */
export const MINTS = {
  node: `node --input-type=module -e 'import { tokenFor } from "./chat_token.mjs";
    const { USER_ID, NAME } = process.env;
    console.log(await tokenFor(USER_ID, { username: NAME, name: NAME }));'`,
  python: `python3 -c 'import os; from chat_token import token_for
name = os.environ["NAME"]
print(token_for(os.environ["USER_ID"], username=name, name=name))'`,
  php: `php -r 'require "chat_token.php"; $name = getenv("NAME");
    echo token_for(getenv("USER_ID"), ["username" => $name, "name" => $name]);'`,
};

/** The origin of the host application's pages. */
export const ORIGIN = 'https://app.example';

const SCRIPT = 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.stdin.read())';

/** Runs statements on the host application's database. */
export const execute = (place, sql) => execFileSync('python3', ['-c', SCRIPT, join(place.folder, 'app.db')], { input: sql });

/** The user of the session that a request belongs to. */
const userOf = ({ headers }) => /session=(\d+)/.exec(headers.cookie ?? '')?.[1];

const bodyOf = async (request) => {
  let text = '';
  for await (const part of request) text += part;
  return text && JSON.parse(text);
};

/** A program of the document, as the host application imports it. */
export const programOf = (place, name) => import(pathToFileURL(join(place.folder, name)).href);

/** The call of REST. */
const backendOf = async (place) => (await programOf(place, 'api.mjs')).call;

/**
 * The host application, listening. `mint` is one of `MINTS`; `make` creates in polychat what a user has
 * created in the host application.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {import('./documents.terminal.mjs').Workplace} place
 * @param {{ mint: string, make: (call: any, user: string, body: any) => Promise<unknown> }} options
 */
export async function startHost(owner, place, { mint, make }) {
  /** @returns {Promise<[number, string]>} */
  const answer = async (request) => {
    const user = userOf(request);
    if (!user) return [401, 'no session'];
    if (request.url === '/chat-token') {
      const { output } = await place.untilEnd(`USER_ID=${user} NAME=${NAMES[user] ?? 'vera'} ${mint}`);
      return [200, output.trim()];
    }
    if (request.url === '/make') return [201, JSON.stringify(await make(await backendOf(place), user, await bodyOf(request)))];
    return [404, ''];
  };
  const refuse = ({ message }) => /** @type {[number, string]} */ ([500, message]);
  const server = createServer(async (request, response) => {
    const [status, text] = await answer(request).catch(refuse);
    response.writeHead(status).end(text);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  owner.after(() => server.close());
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    /** `fetch` as a page of this user has it. */
    fetchAs: (user) => (path, init) => fetch(`${url}${path}`, { ...init, headers: { cookie: `session=${user}` } }),
    /** A user creates something in the host application. */
    create: async (user, body) => {
      const init = { method: 'POST', headers: { cookie: `session=${user}` }, body: JSON.stringify(body) };
      const made = await fetch(`${url}/make`, init);
      const text = await made.text();
      assert.equal(made.status, 201, text);
      return JSON.parse(text);
    },
    /** One call of the backend. */
    call: async (...request) => (await backendOf(place))(...request),
  };
}
