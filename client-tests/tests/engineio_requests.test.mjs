// @ts-check
// Owns the promises of single requests that are polychat's alone: the header Host at every address, JSONP, the client as a
// file. The requirements of the protocols are in conformance/.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PollingSession, target } from '../clients/engineio-session.mjs';
import { UPGRADE_LINES, exchange, head } from '../clients/tcp.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const HOST = 'Host: localhost';
const PROTOCOLS = [4, 3];

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

test('JSONP is refused in each protocol, and the session continues', async (t) => {
  for (const eio of PROTOCOLS) {
    const session = await PollingSession.open(t, server, { eio });
    for (const path of [target({ eio, j: '0' }), target({ eio, j: '0', sid: session.sid })]) {
      const response = await exchange(t, server, head('GET', path));
      assert.deepEqual([response?.status, JSON.parse(response?.body ?? '')], [400, { code: 3, message: 'Bad request' }]);
    }
    assert.equal((await session.post('6')).status, 200);
  }
});

test('a request for the client as a file is answered with where to get it', async (t) => {
  for (const path of ['/socket.io/socket.io.js', '/socket.io/socket.io.min.js']) {
    const response = await exchange(t, server, head('GET', path));
    assert.equal(response?.status, 404, response?.body);
    assert.match(response.body, /socket\.io-client|cdn\.socket\.io/);
  }
});

/** The addresses of WebSockets. */
const RAW_PATHS = ['/ws/chat/room/', '/ws/chats/', '/ws/chat/', '/ws/events/', '/ws'].map((path) => `${path}?token=alice`);
const WEBSOCKETS = [...PROTOCOLS.map((eio) => target({ eio, transport: 'websocket' })), ...RAW_PATHS];

describe('the header Host', () => {
  const EVERYWHERE = [
    '/', '/livez', '/readyz', '/metrics', '/api/v1/users', '/media/default/default.jpg', '/no/such/page', target(), target({ eio: 3 }),
    '/socket.io/socket.io.js',
  ];
  const requests = [
    ...EVERYWHERE.map((path) => ({ path, more: [] })), ...WEBSOCKETS.map((path) => ({ path, more: UPGRADE_LINES })),
  ];
  for (const { path, more } of requests) {
    test(`is required once in HTTP/1.1: ${path}`, async (t) => {
      const status = async (hosts) => (await exchange(t, server, head('GET', path, [...hosts, ...more])))?.status;
      assert.notEqual(await status([HOST]), 400);
      for (const hosts of [[], [HOST, HOST], [HOST, 'host: other']]) assert.equal(await status(hosts), 400, `${hosts}`);
    });
  }

  test('may be missing in HTTP/1.0 where names of hosts are not checked', async (t) => {
    const any = await startServer(t, ['--allowed-hosts', '*']);
    for (const path of ['/', '/livez', '/api/v1/users', '/media/default/default.jpg', target(), target({ eio: 3 })]) {
      assert.equal((await exchange(t, any, head('GET', path, [], '1.0')))?.status, 200, path);
    }
  });
});
