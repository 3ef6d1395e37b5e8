// @ts-check
// Owns the description of the REST API: a validator that is not ours finds it valid, every operation in it can be
// called, and every answer is as described, those to invalid requests included.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { uniqueName } from '../clients/fixtures.mjs';
import { enterSocketIo } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { seededRandom } from '../harness/random.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { Description, filled } from './rest_document.openapi.mjs';
import { generateValue } from './rest_document.schema-fuzzer.mjs';

const SEED = Number(process.env.POLYCHAT_SEED ?? 20250301);
const ROUNDS = 60;

const scope = useScope();
let server;
let host;
let described;
before(async () => {
  server = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  // The users 1 and 2: some of the made-up requests revoke their tokens.
  const first = new Backend(server, await token({ sub: 'first', role: 'service' }));
  await first.user('second');
  host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
  described = await Description.of(server);
});

const dates = { dateFromS: 1_957_817_098, dateToS: 2_514_131_321 };

/** Fresh records, which no other test uses. */
async function things() {
  const [owner, guest, other] = [await host.user('owner'), await host.user('guest'), await host.user('other')];
  const chat = await host.chat(owner, guest);
  await host.sendMessage(chat, owner, 'hello', { photos: ['p-1'], client_id: uniqueName('c') });
  await host.sendMessage(chat, guest, 'hello');
  const event = await host.event(owner);
  return { owner, guest, other, chat, event, asked: await application(event, guest) };
}

/** A chat about an event in which access was requested, as a guest does it. */
async function application(event, guest) {
  const user = { ...guest, token: await token({ sub: guest.externalUserId }) };
  const connection = await enterSocketIo(scope, server, user);
  const { chatId } = await connection.ask('request_access', { eventId: event.id });
  connection.close();
  return chatId;
}

/** By operation: the values in its path, its query, its body, its headers, and the status that all is well. */
const CALLS = {
  createUser: () => ({ body: { externalUserId: uniqueName('vera'), name: 'Vera', imageUUID: 'i-1' }, status: 200 }),
  listUsers: () => ({ query: { limit: 2 }, status: 200 }),
  getUser: ({ owner }) => ({ values: { user: owner.id }, status: 200 }),
  changeUser: ({ owner }) => ({ values: { user: owner.pk }, body: { github: 'g' }, status: 200 }),
  createChat: ({ owner, guest }) => ({
    body: { name: 'Lunch', users: [owner.pk, guest.id] }, headers: { 'idempotency-key': uniqueName('k') }, status: 201,
  }),
  listChats: ({ owner }) => ({ query: { user: owner.id, limit: 1 }, status: 200 }),
  getChat: ({ chat }) => ({ values: { chat: chat.id }, status: 200 }),
  changeChat: ({ chat }) => ({ values: { chat: chat.pk }, body: { name: 'Tea', team: 3 }, status: 200 }),
  deleteChat: ({ chat }) => ({ values: { chat: chat.id }, status: 204 }),
  addMembers: ({ chat, other }) => ({ values: { chat: chat.id }, body: { users: [other.pk] }, status: 200 }),
  removeMember: ({ chat, guest }) => ({ values: { chat: chat.id, user: guest.id }, status: 200 }),
  listMembers: ({ chat }) => ({ values: { chat: chat.id }, status: 200 }),
  setRole: ({ chat, guest }) => ({ values: { chat: chat.id, user: guest.pk }, body: { role: 'moderator' }, status: 200 }),
  muteUser: ({ chat, guest }) => ({ values: { chat: chat.pk, user: guest.id }, body: { seconds: 60 }, status: 200 }),
  unmuteUser: ({ chat, guest }) => ({ values: { chat: chat.id, user: guest.id }, status: 204 }),
  banUser: ({ chat, other }) => ({ values: { chat: chat.id, user: other.id }, body: { seconds: null }, status: 200 }),
  unbanUser: ({ chat, other }) => ({ values: { chat: chat.id, user: other.id }, status: 204 }),
  listBans: ({ chat }) => ({ values: { chat: chat.id }, status: 200 }),
  revokeTokens: ({ other }) => ({ values: { user: other.id }, body: { before: '2025-03-01T14:51:53Z' }, status: 200 }),
  disconnect: ({ other }) => ({ values: { user: other.id }, status: 204 }),
  listAudit: ({ chat, guest }) => ({ query: { chat: chat.id, user: guest.pk, limit: 2 }, status: 200 }),
  sendMessage: ({ chat, owner }) => ({
    values: { chat: chat.id }, body: { userId: owner.pk, text: 'hi', photos: ['p-1'], client_id: 'c-9' }, status: 201,
  }),
  listMessages: ({ chat }) => ({
    values: { chat: chat.id }, query: { after_seq: 0, limit: 1, from: '2020-01-01', to: '2999-01-01T00:00:00Z' },
    status: 200,
  }),
  markRead: ({ chat, owner }) => ({ values: { chat: chat.id }, body: { userId: owner.pk, seq: 1 }, status: 200 }),
  sync: ({ chat }) => ({ body: { chats: { [chat.id]: 0, [chat.pk]: { seq: 1 } } }, status: 200 }),
  import: ({ owner }) => {
    const chat = { externalChatId: uniqueName('chat') };
    const message = { type: 'message', chat, original_id: 7, sender: owner.pk, text: 'old', created_at: '2024-01-01T10:00:00Z' };
    const records = [{ type: 'user', externalUserId: uniqueName('user') }, { type: 'chat', ...chat }, message, { type: 'read' }];
    return { body: { records }, status: 200 };
  },
  createEvent: ({ owner }) => ({
    body: { eventOwnerId: owner.pk, name: 'Picnic', iconsUUIDs: ['i-1'], location: 'ONLINE', ...dates },
    headers: { 'idempotency-key': uniqueName('k') }, status: 201,
  }),
  listEvents: ({ owner }) => ({ query: { owner: owner.pk, limit: 1 }, status: 200 }),
  getEvent: ({ event }) => ({ values: { event: event.id }, status: 200 }),
  changeEvent: ({ event }) => ({ values: { event: event.id }, body: { location: 'Riga' }, status: 200 }),
  deleteEvent: ({ event }) => ({ values: { event: event.id }, status: 204 }),
  openEventChat: ({ event, other }) => ({ values: { event: event.id }, body: { userId: other.pk }, status: 201 }),
  grantAccess: ({ event, asked }) => ({
    values: { event: event.id, chat: asked }, body: { granted: true }, status: 200,
  }),
  requestAccess: ({ event, other }) => ({
    values: { event: event.id }, body: { userId: other.pk, message: 'May I come?', client_id: uniqueName('c') }, status: 200,
  }),
  createToken: ({ owner }) => ({ body: { userId: owner.pk, ttl_s: 60 }, status: 201 }),
};

function call(backend, { method, path }, { values = {}, query = {}, body, headers = {} }) {
  const search = new URLSearchParams(query);
  return backend.call(method, `${filled(path, values)}${search.size > 0 ? `?${search}` : ''}`, body, headers);
}

test('an independent validator finds the description valid, as OpenAPI 3.1', async () => {
  const validator = new Validator();
  const result = await validator.validate(structuredClone(described.document));
  assert.deepEqual(result.errors ?? [], []);
  assert.ok(result.valid);
  assert.match(described.document.openapi, /^3\.1\./);
  assert.equal(validator.version, '3.1');
});

test('every reference in the description leads somewhere', () => {
  const lookAt = (part) => {
    if (part === null || typeof part !== 'object') return;
    if (typeof part.$ref === 'string') {
      const found = part.$ref.slice('#/'.length).split('/').reduce((within, key) => within?.[key], described.document);
      assert.ok(found, part.$ref);
    }
    Object.values(part).forEach(lookAt);
  };
  lookAt(described.document);
});

test('the description and the page for people need no token', async () => {
  assert.equal((await fetch(`${server.url}/api/v1/openapi.json/`)).status, 200);
  for (const path of ['/docs', '/docs/']) {
    const response = await fetch(`${server.url}${path}`);
    assert.equal(response.status, 200, path);
    assert.match(response.headers.get('content-type') ?? '', /^text\/html/);
    const html = await response.text();
    assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//, 'the page fetches something from elsewhere');
    for (const [, file] of html.matchAll(/(?:src|href)="\.?\/?([^":]+)"/g)) {
      assert.equal((await fetch(`${server.url}/docs/${file}`)).status, 200, file);
    }
  }
});

test('the tests know every operation in the description, and no others', () => {
  assert.deepEqual(described.operations().map(({ id }) => id).sort(), Object.keys(CALLS).sort());
});

test('every noun of the API has its operations', () => {
  const nameless = ({ method, path }) => `${method} ${path.replaceAll(/\{\w+\}/g, '{}')}`;
  const there = new Set(described.operations().map(nameless));
  const expected = [
    ...['users', 'chats', 'events'].flatMap((all) => (
      [`POST /${all}`, `GET /${all}`, `GET /${all}/{}`, `PATCH /${all}/{}`]
    )),
    'DELETE /chats/{}', 'DELETE /events/{}', 'POST /chats/{}/members', 'DELETE /chats/{}/members/{}',
    'POST /chats/{}/messages', 'GET /chats/{}/messages', 'POST /events/{}/chats', 'POST /tokens',
    'GET /chats/{}/members', 'PUT /chats/{}/members/{}/role', 'PUT /chats/{}/mutes/{}', 'DELETE /chats/{}/mutes/{}', 'PUT /chats/{}/bans/{}',
    'DELETE /chats/{}/bans/{}', 'GET /chats/{}/bans', 'POST /users/{}/revoke', 'GET /audit', 'POST /chats/{}/read', 'POST /events/{}/applications',
    'POST /sync', 'DELETE /users/{}/connections', 'POST /import',
  ];
  for (const operation of expected) assert.ok(there.has(operation), operation);
});

describe('every operation', () => {
  for (const id of Object.keys(CALLS)) {
    const operation = () => described.operations().find((each) => each.id === id);

    test(`${id} answers a good request as it is described`, async () => {
      const good = CALLS[id](await things());
      if (good.body) assert.ok(described.takes(operation(), good.body), 'the request is not what is described');
      const answer = await call(host, operation(), good);
      assert.equal(answer.status, good.status, answer.text);
      described.assertDescribes(operation(), answer);
    });

    test(`${id} refuses as it is described: callers, names, fields, parameters, forms of bodies`, async () => {
      const set = await things();
      const good = CALLS[id](set);
      const user = new Backend(server, await token({ sub: set.owner.externalUserId }));
      const refused = async (status, backend, request) => {
        const answer = await call(backend, operation(), request);
        assert.equal(answer.status, status, answer.text);
        described.assertDescribes(operation(), answer);
      };
      await refused(401, new Backend(server), good);
      await refused(401, new Backend(server, 'no token'), good);
      await refused(403, user, good);
      await refused(400, host, { ...good, query: { ...good.query, colour: 'red' } });
      for (const name of Object.keys(good.values ?? {})) {
        await refused(404, host, { ...good, values: { ...good.values, [name]: 4_000_000_000 } });
      }
      if (!good.body) return;
      await refused(400, host, { ...good, body: { ...good.body, colour: 'red' } });
      await refused(400, host, { ...good, body: [good.body] });
      await refused(415, host, { ...good, headers: { ...good.headers, 'content-type': 'text/plain' } });
    });
  }
});

describe(`${ROUNDS} made-up requests`, () => {
  for (const id of Object.keys(CALLS)) {
    test(`to ${id} get answers that are described, and never a 5xx (seed ${SEED})`, async (t) => {
      const operation = described.operations().find((each) => each.id === id);
      const resolve = ($ref) => $ref.slice('#/'.length).split('/').reduce((part, key) => part[key], described.document);
      const dice = seededRandom(SEED);
      const schema = described.bodyOf(operation);
      let set = await things();
      const statuses = new Set();
      for (let round = 0; round < ROUNDS; round++) {
        const { values = {} } = CALLS[id](set);
        const name = () => dice.pick(['0', '-1', 'x', '😀', '%2F', '1'.repeat(40), 1, 2]);
        const strange = Object.fromEntries(Object.keys(values).map((each) => [each, name()]));
        const queried = (operation.parameters ?? []).filter((each) => each.in === 'query' && dice.below(3) === 0);
        const request = {
          values: dice.below(4) > 0 ? values : strange,
          query: Object.fromEntries(queried.map((each) => [each.name, generateValue(each.schema, resolve, dice)])),
          body: schema && generateValue(schema, resolve, dice),
        };
        const answer = await call(host, operation, request);
        assert.ok(answer.status < 500, `${answer.text} answers ${JSON.stringify(request).slice(0, 1000)}`);
        described.assertDescribes(operation, answer);
        statuses.add(answer.status);
        if (answer.status === 204) set = await things();
      }
      t.diagnostic(`${id}: ${[...statuses].sort().join(', ')}`);
    });
  }
});
