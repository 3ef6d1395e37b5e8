// @ts-check
// Owns the promise about browsers: pages of any origin in open mode, else only of the allowed ones.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connect } from '../clients/socketio.mjs';
import { refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';

const OURS = ['https://app.example', 'https://admin.example:8443'];
const FOREIGN = ['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null'];
const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

/** The origin that may read the answer, as a browser would learn it: from the request and from its preflight. */
async function allowedOrigins({ url }, origin) {
  const handshake = `${url}/socket.io/?EIO=4&transport=polling`;
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };
  const answers = await Promise.all([
    fetch(handshake, { headers: { origin } }),
    fetch(handshake, { method: 'OPTIONS', headers: { origin, ...preflight } }),
  ]);
  return answers.map((answer) => answer.headers.get('access-control-allow-origin'));
}

async function assertAllowed(server, origin) {
  for (const allowed of await allowedOrigins(server, origin)) assert.ok(['*', origin].includes(allowed), `${allowed}`);
}

async function assertNotAllowed(server, origin) {
  for (const allowed of await allowedOrigins(server, origin)) assert.ok(!['*', origin].includes(allowed), `${allowed}`);
}

describe('a page of another origin', () => {
  const scope = useScope();
  let open;
  let closed;
  let listed;
  before(async () => {
    open = await startServer(scope);
    closed = await startServer(scope, JWT);
    listed = await startServer(scope, [...JWT, '--allowed-origins', OURS.join(',')]);
  });

  test('is named in the log, once a minute, with the option that would allow it; the start names the allowed ones', async () => {
    const server = await startServer(scope, [...JWT, '--allowed-origins', OURS.join(',')]);
    assert.ok(server.logs().includes(`origins the server's own, ${OURS.join(', ')}\n`), server.logs());
    for (let round = 0; round < 3; round++) await allowedOrigins(server, FOREIGN[0]);
    for (const origin of OURS) await allowedOrigins(server, origin);
    await allowedOrigins(server, 'null');
    await eventually(() => server.logs().includes('--allowed-origins * allows it'), 'a line about a page of a file');
    const lines = server.logs().split('\n').filter((line) => line.includes('refused a page of another origin'));
    assert.equal(lines.length, 2, lines.join('\n'));
    assert.ok(lines[0].includes(`--allowed-origins ${FOREIGN[0]} allows it`), lines[0]);
  });

  test('may connect where no token is needed', async () => {
    for (const origin of [...OURS, ...FOREIGN]) await assertAllowed(open, origin);
  });

  test('may connect where it is listed', async () => {
    for (const origin of OURS) await assertAllowed(listed, origin);
  });

  test('may not connect where others are listed', async () => {
    for (const origin of FOREIGN) await assertNotAllowed(listed, origin);
  });

  test('may not connect where a token is needed and nobody is listed', async () => {
    for (const origin of [...OURS, ...FOREIGN]) await assertNotAllowed(closed, origin);
  });

  // CORS does not hold a browser back from a WebSocket: the server has to.
  test('may not open the WebSocket of Socket.IO where it may not connect, whatever its token', async (t) => {
    const jwt = await token({ sub: 'anna' });
    const trusting = await startServer(scope, ['--allowed-origins', OURS.join(',')]);
    for (const server of [listed, closed, trusting]) {
      const own = server.url;
      for (const origin of [...FOREIGN, `${own}0`]) {
        const path = '/socket.io/?EIO=4&transport=websocket';
        assert.equal(await refusedWith(t, server, path, { headers: { origin } }), 403, origin);
      }
      for (const origin of server === closed ? [own] : [...OURS, own]) {
        await connect(t, server.url, { auth: { token: jwt }, extraHeaders: { origin } });
      }
    }
    for (const origin of FOREIGN) await connect(t, open.url, { extraHeaders: { origin } });
  });

  test('may send an Authorization header where it may connect', async () => {
    const preflight = {
      'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type',
    };
    for (const [server, origin] of [[open, FOREIGN[0]], [listed, OURS[0]]]) {
      const { headers } = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`, {
        method: 'OPTIONS',
        headers: { origin, ...preflight },
      });
      assert.match(headers.get('access-control-allow-headers') ?? '', /authorization/i);
    }
  });
});
