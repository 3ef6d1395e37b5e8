// @ts-check
// Owns the promise about names of the server: in open mode on a loopback address, and wherever names are listed, a request
// that names another host is refused, since a page can send it by DNS rebinding.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { exchange, head } from '../clients/tcp.mjs';
import { connect } from '../clients/socketio.mjs';
import { dial } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { runToEnd, startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const UPGRADE = [
  'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const EVIL = ['evil.example', 'evil.example:3000', 'localhost.evil.example', '10.0.0.1:3000', '0.0.0.0:3000', 'a@localhost', ''];
const LOOPBACK = ['localhost', 'LocalHost:3000', '127.0.0.1', '127.1.2.3:80', '[::1]', '[::1]:3000'];

/** What is refused, and the status with which it is served otherwise. */
const requests = (jwt) => {
  const bearer = [`Authorization: Bearer ${jwt}`];
  return {
    'the page about the server': { path: '/', served: 200 },
    'the page about the API': { path: '/docs', served: 303 },
    'an address that is not there': { path: '/nowhere', served: 404 },
    'the metrics': { path: '/metrics', lines: bearer, served: 200 },
    'a call of the API': { path: '/api/v1/users', lines: bearer, served: 200 },
    'a session by polling': { path: '/socket.io/?EIO=4&transport=polling', served: 200 },
    'a WebSocket of Socket.IO': { path: '/socket.io/?EIO=4&transport=websocket', lines: UPGRADE, served: 101 },
    'a raw WebSocket': { path: '/ws/chats/', lines: [...UPGRADE, ...bearer], served: 101 },
    'a raw WebSocket, dialect undecided': { path: '/ws', lines: [...UPGRADE, ...bearer], served: 101 },
  };
};

/**
 * The response to a request under this name.
 * @param {any} t
 * @param {any} server
 * @param {string} host
 * @param {{ path: string, lines?: string[] }} request
 */
const under = async (t, server, host, { path, lines = [] }, method = 'GET') => {
  const response = await exchange(t, server, head(method, path, [`Host: ${host}`, ...lines]));
  return response ?? assert.fail(`no response to ${path}`);
};

async function assertServed(t, server, hosts, jwt) {
  for (const [what, request] of Object.entries(requests(jwt))) {
    for (const host of hosts) {
      assert.equal((await under(t, server, host, request)).status, request.served, `${what} of ${host}`);
    }
  }
}

async function assertRefused(t, server, hosts, jwt) {
  for (const [what, request] of Object.entries(requests(jwt))) {
    for (const host of hosts) {
      const { status, body, headers } = await under(t, server, host, request);
      assert.equal(status, 403, `${what} of ${host}`);
      assert.match(body, /--allowed-hosts/);
      assert.equal(headers['access-control-allow-origin'], undefined);
    }
  }
}

/** A server of a suite. */
function useServer(scope, args) {
  let server;
  before(async () => { server = await startServer(scope, args); });
  return () => server;
}

describe('a server that needs no token, on a loopback address', () => {
  const scope = useScope();
  const plain = useServer(scope, []);
  const listed = useServer(scope, ['--allowed-hosts', 'chat.example,10.9.8.7']);

  test('serves loopback names', (t) => assertServed(t, plain(), LOOPBACK, 'anna'));

  test('serves no other name', (t) => assertRefused(t, plain(), EVIL, 'anna'));

  test('refuses in the format of the client', async (t) => {
    const of = async (path, lines) => under(t, plain(), 'evil.example', { path, lines });
    const api = await of('/api/v1/users');
    assert.match(api.headers['content-type'], /problem\+json/);
    assert.equal(JSON.parse(api.body).code, 'forbidden');
    const session = await of('/socket.io/?EIO=4&transport=polling');
    assert.equal(JSON.parse(session.body).code, 4);
    assert.match((await of('/ws/chats/', UPGRADE)).headers['content-type'], /text\/plain/);
  });

  test('answers no preflight of another name', async (t) => {
    const lines = ['Origin: http://evil.example', 'Access-Control-Request-Method: POST'];
    const { status, headers } = await under(t, plain(), 'evil.example', { path: '/api/v1/users', lines }, 'OPTIONS');
    assert.equal(status, 403);
    assert.equal(headers['access-control-allow-origin'], undefined);
  });

  test('does not serve a session that is open under another name', async (t) => {
    const opened = await under(t, plain(), 'localhost', { path: '/socket.io/?EIO=4&transport=polling' });
    const { sid } = JSON.parse(opened.body.slice(1));
    const path = `/socket.io/?EIO=4&transport=polling&sid=${sid}`;
    assert.equal((await under(t, plain(), 'evil.example', { path })).status, 403);
  });

  test('compares the name in the target, too, and needs one', async (t) => {
    const status = async (target, lines, version) => (await exchange(t, plain(), head('GET', target, lines, version)))?.status;
    assert.equal(await status('http://evil.example/', ['Host: localhost']), 403);
    assert.equal(await status('http://localhost/', ['Host: localhost']), 200);
    assert.equal(await status('/', [], '1.0'), 403);
  });

  test('reports its health under any name', async (t) => {
    for (const path of ['/livez', '/readyz', '/healthz', '/livez/']) {
      assert.equal((await under(t, plain(), 'evil.example', { path })).status, 200, path);
    }
    assert.equal((await exchange(t, plain(), head('GET', '/readyz', [], '1.0')))?.status, 200);
  });

  test('serves the names that are listed', async (t) => {
    const names = ['chat.example', 'Chat.Example.:443', '10.9.8.7:3000', 'localhost'];
    await assertServed(t, listed(), names, 'anna');
    assert.equal((await under(t, listed(), 'sub.chat.example', { path: '/' })).status, 403);
  });

  test('counts what it refuses', async (t) => {
    const counted = await startServer(t);
    for (const path of ['/socket.io/?EIO=4&transport=polling', '/ws/chats/', '/api/v1/users', '/']) {
      await under(t, counted, 'evil.example', { path });
    }
    const text = await (await fetch(`${counted.url}/metrics`)).text();
    assert.match(text, /polychat_connections_refused_total\{reason="host"\} 2\b/);
    assert.match(text, /polychat_errors_total\{dialect="rest",code="forbidden"\} 1\b/);
  });
});

describe('a server that needs tokens', () => {
  const scope = useScope();
  const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];
  const any = useServer(scope, JWT);
  const listed = useServer(scope, [...JWT, '--allowed-hosts', 'chat.example']);

  test('serves every name', async (t) => {
    const jwt = await token({ sub: 'backend', role: 'service' });
    await assertServed(t, any(), ['evil.example', 'localhost'], jwt);
  });

  test('serves only those that are listed, and loopback names', async (t) => {
    const jwt = await token({ sub: 'backend', role: 'service' });
    await assertServed(t, listed(), ['chat.example', 'chat.example:8443', 'localhost', '127.0.0.1:3000'], jwt);
    await assertRefused(t, listed(), EVIL, jwt);
  });

  test('lets official clients connect by a listed name', async (t) => {
    const jwt = await token({ sub: 'anna' });
    for (const transports of [['polling'], ['websocket']]) {
      await connect(t, listed().url, { auth: { token: jwt }, transports, extraHeaders: { host: 'chat.example' } });
    }
    await dial(t, listed(), '/ws/chats/', { token: jwt });
  });
});

describe('the address of the metrics', () => {
  const METRICS = { path: '/metrics', served: 200 };
  const at = async (server) => ({ port: Number(/http:\/\/127\.0\.0\.1:(\d+)\/metrics/.exec(server.logs())?.[1]) });

  test('needs no token, so on loopback it serves loopback names alone', async (t) => {
    const server = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET, '--metrics-listen', '127.0.0.1:0']);
    const metrics = await at(server);
    for (const host of LOOPBACK) assert.equal((await under(t, metrics, host, METRICS)).status, 200, host);
    for (const host of EVIL) assert.equal((await under(t, metrics, host, METRICS)).status, 403, host);
  });

  test('serves the names that are listed', async (t) => {
    const server = await startServer(t, ['--metrics-listen', '127.0.0.1:0', '--allowed-hosts', 'prometheus.example']);
    assert.equal((await under(t, await at(server), 'prometheus.example:9090', METRICS)).status, 200);
  });
});

describe('on an address that others can reach', () => {
  const OPEN = ['--listen', '0.0.0.0:0', '--auth', 'open', '--insecure-open-auth'];

  test('open mode serves every name, since the server does not know its own', async (t) => {
    await assertServed(t, await startServer(t, OPEN), ['evil.example'], 'anna');
  });

  test('open mode serves only those that are listed, and loopback names', async (t) => {
    const server = await startServer(t, [...OPEN, '--allowed-hosts', 'chat.example']);
    await assertServed(t, server, ['chat.example', 'localhost'], 'anna');
    await assertRefused(t, server, ['evil.example'], 'anna');
  });
});

test('* allows every name, and what is no name is refused at the start', async (t) => {
  await assertServed(t, await startServer(t, ['--allowed-hosts', '*']), ['evil.example'], 'anna');
  for (const wrong of ['https://chat.example', 'chat.example:443', 'chat.example/', '*.chat.example', '']) {
    const { code, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--store', 'sqlite::memory:', '--allowed-hosts', wrong]);
    assert.notEqual(code, 0, wrong);
    assert.match(stderr, /^polychat: --allowed-hosts: ".*" is no host; write a name like chat\.example[^\n]*\n$/);
  }
});
