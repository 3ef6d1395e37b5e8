// @ts-check
// Owns the promise to the operator: the server reports its health, logs without secrets, mints tokens, shuts down in
// order.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { connectUser, sendMessage } from '../clients/fixtures.mjs';
import { ask, connect, connectRefused, refusal } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { runToEnd, startServer, storeFile } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';

describe('over HTTP', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope); });

  for (const path of ['/livez', '/readyz', '/healthz']) {
    test(`${path} reports that all is well, with and without its trailing slash`, async () => {
      for (const url of [`${server.url}${path}`, `${server.url}${path}/`]) assert.equal((await fetch(url)).status, 200);
    });
  }

  test('/ is a few lines of plain text: what this is, its version, and where to connect', async () => {
    const response = await fetch(server.url);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type') ?? '', /^text\/plain/);
    const text = await response.text();
    const [version] = (await runToEnd(['--version'])).stdout.match(/\d+\.\d+\.\d+\S*/) ?? assert.fail('there is no version');
    assert.match(text, /polychat/i);
    assert.ok(text.includes(version), text);
    assert.match(text, /socket\.io/);
    assert.ok(text.trim().split('\n').length <= 20, text);
  });

  test('a page that is not there is 404', async () => {
    assert.equal((await fetch(`${server.url}/no/such/page`)).status, 404);
  });
});

describe('the log', () => {
  const TEXT = 'what nobody but the members may read';
  const TOO_LONG = 'a long secret '.repeat(100);

  /** Some of each request whose content must not be logged; returns the tokens used. */
  async function eventfulLife(t, server) {
    const tokens = [
      await token({ sub: 'alice' }),
      await token({ sub: 'alice', exp: now() - 60 }),
      await token({ sub: 'alice' }, 'another secret'),
      'not-even-a-token-7f3a',
    ];
    const [good, ...bad] = tokens;
    const ways = (jwt) => [
      { auth: { token: jwt } },
      { query: { token: jwt } },
      { query: { token: jwt }, transports: ['polling'] },
      { extraHeaders: { authorization: `Bearer ${jwt}` } },
    ];
    for (const options of bad.flatMap(ways)) await connectRefused(t, server.url, options);
    for (const options of ways(good)) {
      const socket = await connect(t, server.url, options);
      const { user } = await ask(socket, 'create-user', { user: {} });
      const { chat } = await ask(socket, 'create-chat', { chat: { name: 'Tea' }, users: [user.id] });
      await sendMessage({ socket }, chat, TEXT);
      await refusal(socket, 'new-message', { room: chat.id, msg: TOO_LONG });
      await refusal(socket, 'new-message', { room: chat.id, msg: TEXT, type: 'NO TYPE' });
      await refusal(socket, 'new-message', { room: chat.id, msg: 'hello', client_id: { text: TEXT } });
      socket.close();
    }
    return tokens;
  }

  for (const format of ['json', 'text']) {
    test(`as ${format} never holds a token, a secret or a message`, async (t) => {
      const args = ['--auth', 'jwt', '--jwt-secret', SECRET, '--log-format', format, '--max-message-bytes', '500'];
      const server = await startServer(t, [...args, '--store', (await storeFile(t)).store]);
      const tokens = await eventfulLife(t, server);
      assert.deepEqual(await server.stop(), { code: 0, signal: null });
      const logs = server.logs();
      for (const secret of [...tokens, SECRET, TEXT, TOO_LONG.slice(0, 40)]) {
        assert.ok(!logs.includes(secret), `'${secret}' stands in the log\n${logs}`);
      }
    });
  }

  test('as json is JSON, line by line, from the first to the last', async (t) => {
    const server = await startServer(t, ['--log-format', 'json']);
    await connectUser(t, server, 'alice');
    await server.stop();
    const lines = server.logs().split('\n').filter((line) => line.trim());
    assert.ok(lines.length > 0);
    for (const line of lines) assert.doesNotThrow(() => JSON.parse(line), `not JSON: ${line}`);
  });
});

describe('polychat token', () => {
  const mint = async (...args) => {
    const { code, stdout, stderr } = await runToEnd(['token', ...args, '--jwt-secret', SECRET]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    return stdout.trim();
  };

  test('prints a token that lets its user in', async (t) => {
    const server = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
    const socket = await connect(t, server.url, { auth: { token: await mint('--user', 'alice') } });
    const { user } = await ask(socket, 'create-user', { user: {} });
    assert.equal(user.externalUserId, 'alice');
  });

  test('prints a token with a role', async (t) => {
    const server = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
    const jwt = await mint('--user', 'backend', '--role', 'service');
    const socket = await connect(t, server.url, { auth: { token: jwt } });
    const { user } = await ask(socket, 'create-user', { user: { externalUserId: 'alice' } });
    assert.equal(user.externalUserId, 'alice');
  });

  test('prints a token with the lifetime that was given', async () => {
    const start = now();
    const jwt = await mint('--user', 'alice', '--ttl', '1h');
    const { exp, sub } = decodeJwt(jwt);
    assert.equal(sub, 'alice');
    assert.equal(decodeProtectedHeader(jwt).alg, 'HS256');
    assert.ok(exp >= start + 3600 && exp <= now() + 3601, `${exp - start} s`);
  });

  test('checks a token, and says what is wrong with it, without the secret', async () => {
    const check = (jwt, ...args) => runToEnd(['token', '--check', jwt, ...args]);
    const keys = ['--jwt-secret', SECRET];
    const good = await check(await mint('--user', 'alice', '--ttl', '1h'), ...keys);
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /^the token is valid, for a user\n {2}sub {2}"alice"\n {2}exp {2}20\S+Z\n {2}iat {2}20\S+Z\n$/);
    const service = await check(await mint('--user', 'backend', '--role', 'service'), ...keys);
    assert.match(service.stdout, /valid, for a service/);
    const minted = await mint('--user', 'alice');
    const expired = await token({ sub: 'alice', exp: now() - 5 });
    for (const { jwt, secret, why } of [
      { jwt: expired, secret: SECRET, why: /expired at 20/ },
      { jwt: minted, secret: SECRET.split('').reverse().join(''), why: /signature was made by none of the keys/ },
      { jwt: 'no-token', secret: SECRET, why: /not a JWT/ },
    ]) {
      const { code, stdout, stderr } = await check(jwt, '--jwt-secret', secret);
      assert.equal(code, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^polychat: the token is refused: [^\n]*\n$/);
      assert.match(stderr, why);
      assert.ok(!stderr.includes(secret) && !stderr.includes(jwt));
    }
    assert.match((await check(minted)).stderr, /--jwt-secret/);
    assert.match((await check(minted, '--user', 'alice', ...keys)).stderr, /cannot be used with/);
  });

  test('requires a secret and a user', async () => {
    for (const args of [['token', '--user', 'alice'], ['token', '--jwt-secret', SECRET]]) {
      const { code, stdout, stderr } = await runToEnd(args);
      assert.notEqual(code, 0);
      assert.equal(stdout, '');
      assert.match(stderr, /--jwt-secret|--user/);
    }
  });
});

describe('the orderly end', () => {
  test('leaves a store that opens again', async (t) => {
    const { store } = await storeFile(t);
    for (let starts = 0; starts < 3; starts++) {
      const server = await startServer(t, ['--store', store]);
      assert.deepEqual(await server.stop(), { code: 0, signal: null });
    }
  });

  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`does not wait for clients that have nothing to say (${signal})`, async (t) => {
      const server = await startServer(t, ['--shutdown-timeout', '1h']);
      await connectUser(t, server, 'alice');
      await connectUser(t, server, 'bob', { transports: ['polling'] });
      await connectUser(t, server, 'carol', { client: 2 });
      assert.deepEqual(await server.stop(signal), { code: 0, signal: null });
    });
  }
});
