// @ts-check
// Owns the rights on the REST API: only the host application's backend may use it; and the rights of the tokens that it
// has made.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { uniqueName } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket } from '../clients/marketplace.mjs';
import { Backend, isProblem } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, tempDir } from '../harness/server.mjs';
import { SECRET, keyPair, now, pemFile, signed, token, unsigned } from '../harness/tokens.mjs';

const DAY_S = 86_400;

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
});

/** Reading and writing, of every kind of thing. */
async function requests(backend) {
  const [anna, boris] = [await backend.user('anna'), await backend.user('boris')];
  const chat = await backend.chat(anna, boris);
  const event = await backend.event(anna);
  const { chatId } = await backend.eventChat(event, boris);
  return [
    ['GET', '/users'], ['GET', `/users/${anna.id}`], ['PATCH', `/users/${anna.id}`, { name: 'x' }],
    ['POST', '/users', { externalUserId: anna.externalUserId }], ['GET', '/chats'], ['GET', `/chats?user=${anna.id}`],
    ['GET', `/chats/${chat.id}`], ['PATCH', `/chats/${chat.id}`, { name: 'x' }],
    ['POST', '/chats', { users: [anna.id] }],
    ['GET', `/chats/${chat.id}/members`], ['PUT', `/chats/${chat.id}/members/${boris.id}/role`, { role: 'reader' }],
    ['PUT', `/chats/${chat.id}/mutes/${boris.id}`, { seconds: 60 }], ['DELETE', `/chats/${chat.id}/mutes/${boris.id}`],
    ['POST', `/chats/${chat.id}/members`, { users: [anna.id] }], ['DELETE', `/chats/${chat.id}/members/${boris.id}`],
    ['GET', `/chats/${chat.id}/messages`], ['POST', `/chats/${chat.id}/messages`, { userId: anna.id, text: 'x' }],
    ['PUT', `/chats/${chat.id}/bans/${boris.id}`, {}], ['GET', `/chats/${chat.id}/bans`],
    ['DELETE', `/chats/${chat.id}/bans/${boris.id}`], ['POST', `/users/${boris.id}/revoke`, {}], ['GET', '/audit'],
    ['DELETE', `/chats/${chat.id}`], ['GET', '/events'], ['GET', `/events/${event.id}`],
    ['POST', '/events', { eventOwnerId: anna.id, name: 'x', dateFromS: 1, dateToS: 2 }],
    ['PATCH', `/events/${event.id}`, { name: 'x' }], ['POST', `/events/${event.id}/chats`, { userId: boris.id }],
    ['PUT', `/events/${event.id}/chats/${chatId}/access`, { granted: true }], ['DELETE', `/events/${event.id}`],
    ['POST', '/tokens', { userId: anna.id }],
  ];
}

const NO_TOKENS = {
  'no token': async () => undefined,
  'a token that is none': async () => 'rubbish',
  'an empty token': async () => '',
  'an expired token': () => token({ sub: 'backend', role: 'service', exp: now() - 60 }),
  'a token with another secret': () => token({ sub: 'backend', role: 'service' }, 'another secret of some length'),
  'a token without a signature': async () => unsigned({ sub: 'backend', role: 'service' }),
  'a token without a user': () => token({ role: 'service' }),
};

for (const [what, make] of Object.entries(NO_TOKENS)) {
  test(`${what} is 401 everywhere, without a reason, and changes nothing`, async () => {
    const nobody = new Backend(server, await make());
    const details = new Set();
    for (const [method, path, body] of await requests(host)) {
      const answer = await nobody.call(method, path, body);
      details.add(isProblem(answer, 401, 'unauthenticated').detail);
      assert.match(answer.headers.get('www-authenticate'), /^Bearer/);
    }
    assert.equal(details.size, 1);
    assert.doesNotMatch([...details][0], /expire|signature|secret|sub/i);
  });
}

const NO_SERVICES = {
  'a user\'s token': (sub) => token({ sub }),
  'a token with another role': (sub) => token({ sub, role: 'admin' }),
  'a token with a list of roles': (sub) => token({ sub, role: ['service'] }),
  'a token whose role is written in another way': (sub) => token({ sub, role: 'Service' }),
};

for (const [what, make] of Object.entries(NO_SERVICES)) {
  test(`${what} is 403 everywhere, for the user's own things, too`, async () => {
    const all = await requests(host);
    const { externalUserId } = await host.user('anna');
    for (const [method, path, body] of all) {
      const user = new Backend(server, await make(externalUserId));
      const answer = await user.call(method, path, body);
      // A role that is no text makes no valid token.
      if (what.includes('list')) assert.ok([401, 403].includes(answer.status), `${method} ${path} ${answer.text}`);
      else isProblem(answer, 403, 'forbidden');
    }
  });
}

test('a service may do everything, with its token in the header or in the query', async () => {
  for (const [method, path, body] of await requests(host)) {
    const answer = await host.call(method, path, body);
    assert.ok(answer.status < 300 || answer.status === 409, `${method} ${path} was answered ${answer.text}`);
  }
  const jwt = await token({ sub: 'backend', role: 'service' });
  assert.equal((await fetch(`${server.url}/api/v1/users?limit=1&token=${jwt}`)).status, 200);
  const headers = { authorization: `bearer ${jwt}` };
  assert.equal((await fetch(`${server.url}/api/v1/users`, { headers })).status, 200);
});

test('a service writes for members, and may not for others; without a name it acts as a service', async () => {
  const [anna, boris] = [await host.user('anna'), await host.user('boris')];
  const chat = await host.chat(anna);
  const path = `/chats/${chat.id}/messages`;
  await host.sendMessage(chat, anna, 'hello');
  await host.refused(403, 'forbidden', 'POST', path, { userId: boris.id, text: 'hello' });
  await host.refused(403, 'forbidden', 'POST', path, { text: 'as myself' });
  const self = await host.ok(200, 'POST', '/users', { externalUserId: 'backend' });
  await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [self.id] });
  assert.equal((await host.ok(201, 'POST', path, { text: 'as myself' })).user_id, self.id);
});

test('with open authentication nobody needs a token', async (t) => {
  const backend = new Backend(await startServer(t));
  for (const [method, path, body] of await requests(backend)) {
    if (path === '/tokens') continue;
    const answer = await backend.call(method, path, body);
    assert.ok(answer.status < 300 || answer.status === 409, `${method} ${path} was answered ${answer.text}`);
  }
});

describe('a token that the API makes', () => {
  test('admits that user, and has nothing but the user and the lifetime', async (t) => {
    const anna = await host.user('anna', { name: 'Anna' });
    const made = await host.call('POST', '/tokens', { userId: anna.id, ttl_s: 600 });
    assert.equal(made.status, 201, made.text);
    assert.equal(made.headers.get('cache-control'), 'no-store');
    const { token: jwt, expires_at } = made.body;
    const { sub, exp, role } = decodeJwt(jwt);
    assert.deepEqual([sub, role, decodeProtectedHeader(jwt).alg], [anna.externalUserId, undefined, 'HS256']);
    assert.ok(Math.abs(exp - now() - 600) < 10);
    assert.equal(Math.floor(Date.parse(expires_at) / 1000), exp);
    const socket = await connect(t, server.url, { auth: { token: jwt } });
    const { user } = await ask(socket, 'create-user', { user: {} });
    assert.deepEqual([user.id, user.name], [anna.id, 'Anna']);
    for (const enter of [enterSocketIo, enterWebSocket]) await enter(t, server, { ...anna, token: jwt });
    await new Backend(server, jwt).refused(403, 'forbidden', 'GET', '/users');
  });

  test('may be for somebody who is not known yet', async (t) => {
    const externalUserId = uniqueName('newcomer');
    const { token: jwt } = await host.ok(201, 'POST', '/tokens', { externalUserId });
    assert.ok(Math.abs(decodeJwt(jwt).exp - now() - 3600) < 10);
    const socket = await connect(t, server.url, { auth: { token: jwt } });
    assert.equal((await ask(socket, 'create-user', { user: {} })).user.externalUserId, externalUserId);
  });

  test('is never a service\'s, and requests for one are refused', async () => {
    for (const more of [{ role: 'service' }, { claims: { role: 'service' } }]) {
      await host.refused(400, 'invalid', 'POST', '/tokens', { externalUserId: 'backend', ...more });
    }
    const { token: jwt } = await host.ok(201, 'POST', '/tokens', { externalUserId: 'backend' });
    await new Backend(server, jwt).refused(403, 'forbidden', 'GET', '/users');
  });

  test('names exactly one user that is there, and ends in a while', async () => {
    const anna = await host.user('anna');
    const { externalUserId } = anna;
    for (const body of [
      {}, { userId: anna.id, externalUserId }, { userId: null }, { externalUserId: '' }, { externalUserId: 7 },
      ...[0, -1, 1.5, '600', null, 2 ** 53, 31 * DAY_S].filter((ttl_s) => ttl_s !== null).map((ttl_s) => (
        { externalUserId, ttl_s }
      )),
    ]) await host.refused(400, 'invalid', 'POST', '/tokens', body);
    await host.refused(404, 'not_found', 'POST', '/tokens', { userId: 4_000_000_000 });
    const { token: jwt } = await host.ok(201, 'POST', '/tokens', { externalUserId, ttl_s: 30 * DAY_S });
    assert.ok(decodeJwt(jwt).exp > now() + 29 * DAY_S);
  });

  test('is not made where there is no shared secret', async (t) => {
    const open = new Backend(await startServer(t));
    await open.refused(403, 'forbidden', 'POST', '/tokens', { externalUserId: 'anna' });
    const pair = await keyPair('ES256');
    const keys = await pemFile(await tempDir(t), pair);
    const asymmetric = await startServer(t, ['--auth', 'jwt', '--jwt-keys', keys]);
    const service = new Backend(asymmetric, await signed({ sub: 'backend', role: 'service' }, pair));
    await service.get('/users');
    await service.refused(403, 'forbidden', 'POST', '/tokens', { externalUserId: 'anna' });
  });
});
