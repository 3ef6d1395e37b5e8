// @ts-check
// Owns the promise that an invalid request to the REST API gets a problem that names the fault and its place, changes
// nothing, and affects no client.
import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { before, describe, test } from 'node:test';
import { enterSocketIo } from '../clients/marketplace.mjs';
import { Backend, isProblem } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';
const UNKNOWN = [NEVER_GIVEN_OUT, 4_000_000_000, '4000000000'];
const maxMessageBytes = 2000;
const maxFrameBytes = 20_000;
const dates = { dateFromS: 1_957_817_098, dateToS: 2_514_131_321 };

const scope = useScope();
let server;
let host;
let anna;
let boris;
let chat;
let event;
let eventChat;
before(async () => {
  const limits = ['--max-message-bytes', `${maxMessageBytes}`, '--max-frame-bytes', `${maxFrameBytes}`];
  server = await startServer(scope, [...limits, '--max-members', '5']);
  host = new Backend(server);
  [anna, boris] = [await host.user('anna', { name: 'Anna' }), await host.user('boris')];
  chat = await host.chat(anna, boris);
  event = await host.event(anna);
  eventChat = await host.eventChat(event, boris);
});

const shown = (value) => `${JSON.stringify(value)}`.slice(0, 70);
const photos = (count) => Array.from({ length: count }, (_, index) => `photo-${index}`);

/**
 * By operation: method, path, a good body, and for each field the invalid values: value, status, code.
 * @returns {Record<string, [string, string, object, Record<string, any[][]>]>}
 */
const TABLE = () => {
  const bad = (status, code, ...values) => values.map((value) => [value, status, code]);
  const invalid = (...values) => bad(400, 'invalid', ...values);
  const needed = (...values) => invalid(undefined, null, ...values);
  const noText = [7, true, [], {}, ['x']];
  const noUser = [true, [], {}, '', 'nobody', 0, -1, 1.5, 2 ** 53, '0', '07', NEVER_GIVEN_OUT.slice(1)];
  const noSecond = ['', 'x', '1', true, [], {}, 1.5, 1e300, 2 ** 63, 10 ** 15, -(10 ** 15)];
  const profile = Object.fromEntries(['username', 'name', 'avatar', 'github', 'imageUUID'].map((field) => (
    [field, [...invalid(...noText), ...bad(413, 'too_large', 'x'.repeat(3000))]]
  )));
  const tooMany = bad(413, 'too_large', photos(21), ['x'.repeat(300)]);
  const icons = [...invalid(7, true, 'x', {}, [7], [null], [['x']]), ...tooMany];
  return {
    'a new user': ['POST', '/users', { externalUserId: 'somebody' }, {
      ...profile, externalUserId: [...needed(...noText, '', ' '), ...bad(413, 'too_large', 'x'.repeat(3000))],
    }],
    'a changed user': ['PATCH', `/users/${anna.id}`, {}, profile],
    'a new chat': ['POST', '/chats', { users: [anna.id] }, {
      name: [...invalid(...noText), ...bad(413, 'too_large', 'x'.repeat(1025))],
      users: [
        ...needed(7, 'x', anna.id, {}, true, [], ...noUser.map((user) => [anna.id, user]), [null], [[anna.id]]),
        ...bad(404, 'not_found', ...UNKNOWN.map((user) => [anna.id, user])),
      ],
    }],
    'a changed chat': ['PATCH', `/chats/${chat.id}`, {}, {
      name: [...invalid(...noText), ...bad(413, 'too_large', 'x'.repeat(1025))],
      team: invalid('7', '', true, [], {}, 0, -1, 1.5, 2 ** 53),
    }],
    'new members': ['POST', `/chats/${chat.id}/members`, { users: [anna.id] }, {
      users: [
        ...needed(7, 'x', {}, true, [], [null], ...noUser.map((user) => [user])),
        ...bad(404, 'not_found', ...UNKNOWN.map((user) => [user])),
      ],
    }],
    'a new message': ['POST', `/chats/${chat.id}/messages`, { userId: anna.id, text: 'hello' }, {
      userId: [...invalid(...noUser), ...bad(404, 'not_found', ...UNKNOWN)],
      text: [...needed('', ' \n\u3000'), ...bad(413, 'too_large', 'x'.repeat(maxMessageBytes + 1))],
      type: invalid(...noText, '', 'Text', 'a b', 'x'.repeat(33), 'ä'),
      photos: [...invalid(7, true, 'x', {}, [7], [null], [['x']], [''], [' ']), ...tooMany],
      client_id: invalid(...noText, '', 'x'.repeat(65)),
    }],
    'a new event': ['POST', '/events', { eventOwnerId: anna.pk, name: 'Picnic', ...dates }, {
      eventOwnerId: [...needed(...noUser), ...bad(404, 'not_found', ...UNKNOWN)],
      name: [...needed(...noText, '', ' \n\u3000'), ...bad(413, 'too_large', 'x'.repeat(1025))],
      iconsUUIDs: icons,
      location: [...invalid(...noText), ...bad(413, 'too_large', 'x'.repeat(1025))],
      dateFromS: needed(...noSecond), dateToS: needed(...noSecond),
    }],
    'a changed event': ['PATCH', `/events/${event.id}`, {}, {
      eventOwnerId: invalid(boris.pk), id: invalid(7), name: [...invalid(...noText, '', ' ')],
      iconsUUIDs: icons, location: invalid(...noText),
      dateFromS: invalid(...noSecond), dateToS: invalid(...noSecond),
    }],
    'a new chat about an event': ['POST', `/events/${event.id}/chats`, { userId: boris.id }, {
      userId: [...needed(...noUser), ...bad(404, 'not_found', ...UNKNOWN), ...bad(403, 'forbidden', anna.pk)],
    }],
    'a decision': ['PUT', `/events/${event.id}/chats/${eventChat.chatId}/access`, { granted: true }, {
      granted: needed('true', 1, 0, '', [], {}),
    }],
  };
};

/** Everything that the bad requests could have changed. */
async function everything() {
  const paths = ['/users', '/chats', '/events', `/chats/${chat.id}/messages`, `/chats/${eventChat.chatId}`];
  return Promise.all(paths.map((path) => host.get(path)));
}

test('a field that is wrong, or missing where it is needed, is named, and nothing changes', async (t) => {
  const connection = await enterSocketIo(t, server, boris);
  const before = await everything();
  for (const [what, [method, path, good, fields]] of Object.entries(TABLE())) {
    for (const [field, values] of Object.entries(fields)) {
      for (const [value, status, code] of values) {
        await t.test(`${what}: ${field} ${shown(value)}`, async () => {
          const problem = await host.refused(status, code, method, path, { ...good, [field]: value });
          if (status === 400) assert.ok(problem.detail.includes(field) || /date/.test(field), problem.detail);
        });
      }
    }
    await t.test(`${what}: an unknown field`, async () => {
      const problem = await host.refused(400, 'invalid', method, path, { ...good, colour: 'red' });
      assert.match(problem.detail, /colour/);
      await host.refused(400, 'invalid', method, `${path}?colour=red`, good);
    });
  }
  assert.deepEqual(await everything(), before);
  assert.equal(connection.frames.length, 1, 'a bad request was delivered');
});

describe('a body', () => {
  const json = { 'content-type': 'application/json' };
  const CREATIONS = ['/users', '/chats', '/events'];

  const NO_JSON = {
    nothing: '', 'a blank': ' ', 'a text': 'hello', 'JSON that ends too early': '{"externalUserId":', two: '{}{}',
    'a comma too many': '{"externalUserId":"x",}', 'half an escape': '{"externalUserId":"\\ud8"}',
    'bytes that are no UTF-8': Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), NUL: Buffer.from([0]),
    'lists without an end': '['.repeat(10_000), 'objects without an end': '{"externalUserId":'.repeat(1000),
    'a list': '[]', 'a list of bodies': '[{"externalUserId":"x"}]', 'a number': '7', null: 'null', quoted: '"hello"',
    'a key twice': '{"externalUserId":"somebody","externalUserId":"somebody-else"}',
    'UTF-16': Buffer.from('{"externalUserId":"x"}', 'utf16le'),
  };

  for (const [what, text] of Object.entries(NO_JSON)) {
    test(`that is ${what} is invalid`, async () => {
      for (const path of CREATIONS) isProblem(await host.raw('POST', path, text, json), 400, 'invalid');
    });
  }

  test('that is not declared as JSON is 415', async () => {
    const text = JSON.stringify({ externalUserId: 'somebody' });
    const types = ['text/plain', 'text/json', 'application/x-www-form-urlencoded', 'multipart/form-data', 'json'];
    for (const type of types) {
      for (const path of CREATIONS) {
        isProblem(await host.raw('POST', path, text, { 'content-type': type }), 415, 'invalid');
      }
    }
    const untyped = await host.raw('POST', '/users', Buffer.from(text));
    isProblem(untyped, 415, 'invalid');
    for (const type of ['application/json; charset=utf-8', 'APPLICATION/JSON', 'application/json;charset="utf-8"']) {
      assert.equal((await host.raw('POST', '/users', text, { 'content-type': type })).status, 200, type);
    }
  });

  test('that is too large is 413, and the server continues', async () => {
    const text = JSON.stringify({ externalUserId: 'x'.repeat(maxFrameBytes + 1) });
    for (const path of CREATIONS) isProblem(await host.raw('POST', path, text, json), 413, 'too_large');
    await host.get('/users');
  });

  test('that is far too large is 413, too: the answer is not lost with the connection', async () => {
    const text = JSON.stringify({ externalUserId: 'x'.repeat(5_000_000) });
    const lost = [];
    for (let time = 0; time < 40; time++) {
      const answer = await host.raw('POST', '/users', text, json).catch((error) => { lost.push(error.cause?.code); });
      if (answer) isProblem(answer, 413, 'too_large');
    }
    assert.deepEqual(lost, [], 'how often, and why, the client never saw an answer');
  });

  test('that is too large and of no declared length is 413, too', async () => {
    const answered = new Promise((resolve, reject) => {
      const asking = httpRequest(`${server.url}/api/v1/users`, { method: 'POST', headers: json }, (response) => {
        response.resume();
        resolve(response);
      });
      asking.once('error', reject);
      for (let sent = 0; sent < 10; sent++) asking.write(' '.repeat(maxFrameBytes / 5));
      asking.end('{}');
    });
    const response = await within(answered, () => 'an answer');
    assert.deepEqual([response.statusCode, response.headers['content-type']], [413, 'application/problem+json']);
  });

  test('with too many users is refused', async () => {
    const many = [];
    for (let made = 0; made < 6; made++) many.push((await host.user('one-of-many')).pk);
    const problem = await host.refused(413, 'too_large', 'POST', '/chats', { users: many });
    assert.match(problem.detail, /5/);
    const full = await host.ok(201, 'POST', '/chats', { users: many.slice(1) });
    await host.refused(413, 'too_large', 'POST', `/chats/${full.id}/members`, { users: many });
    assert.equal((await host.get(`/chats/${full.id}`)).users.length, 5);
  });
});

describe('an address', () => {
  test('that is none is 404, in whatever form', async () => {
    const paths = [
      '', '/', '/nothing', '/users/1/chats', '/chats/1/2/3', '/Users', '/users//', '/events/1/chats/1', '/openapi',
      `/users/${'x'.repeat(5000)}`, '/users/%00', '/users/%FF', '/chats/%2e%2e%2fusers', '/events/1e3', '/events/01',
      '/events/9999999999999999999999', `/events/${NEVER_GIVEN_OUT}`, '/users/١',
    ];
    for (const path of paths) isProblem(await host.call('GET', path), 404, 'not_found');
  });

  test('takes the methods that it takes: others are 405, with those named', async () => {
    /** @type {[string, string, string[]][]} */
    const cases = [
      ['DELETE', '/users', ['GET', 'POST']], ['PUT', `/users/${anna.id}`, ['GET', 'PATCH']],
      ['POST', `/chats/${chat.id}`, ['GET', 'PATCH', 'DELETE']], ['PUT', `/chats/${chat.id}/members`, ['GET', 'POST']],
      ['DELETE', '/tokens', ['POST']], ['GET', `/events/${event.id}/chats`, ['POST']], ['FOO', '/users', []],
    ];
    for (const [method, path, allowed] of cases) {
      const answer = await host.call(method, path);
      isProblem(answer, 405, 'invalid');
      for (const each of allowed) assert.match(answer.headers.get('allow') ?? '', new RegExp(`\\b${each}\\b`), path);
    }
  });

  test('with a parameter that is wrong, given twice or unknown is invalid, and names it', async () => {
    const messages = `/chats/${chat.id}/messages`;
    const noTimes = ['yesterday', '', '2024-13-01', '2024-02-30', '1.5', '2024-01-01T00:00:00'];
    /** The path, and what the error names. @type {any[][]} */
    const wrong = [
      ...['/users', '/chats', '/events', messages].flatMap((path) => [
        ...['0', '-1', 'x', '', '1.5', '1e3', ' 1', '+1', '%31x'].map((limit) => [`${path}?limit=${limit}`, /limit/]),
        [`${path}?limit=1&limit=1`, /limit/], [`${path}?page=2`, /page/], [`${path}?cursor=&cursor=`, /cursor/],
        [`${path}?Limit=1`, /Limit/],
      ]),
      ...['after_seq', 'before_seq'].flatMap((name) => ['-1', 'x', '', '1.5'].map((value) => (
        [`${messages}?${name}=${value}`, new RegExp(name)]
      ))),
      ...['from', 'to'].flatMap((name) => noTimes.map((value) => (
        [`${messages}?${name}=${value}`, new RegExp(name)]
      ))),
      ...['', 'nobody', '0', '-1'].flatMap((value) => (
        [[`/chats?user=${value}`, /user/], [`/events?owner=${value}`, /owner/]]
      )),
    ];
    for (const [path, names] of wrong) {
      assert.match((await host.refused(400, 'invalid', 'GET', path)).detail, names, path);
    }
  });
});
