// @ts-check
// Owns the promises of single requests to Engine.IO and to the raw addresses: which are refused, with which response, and
// what a WebSocket handshake needs. Runs against Node's server with JUDGE=node. Does not know the life of a session.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target, upgrade } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { OPCODE, TcpConnection, UPGRADE_LINES, exchange, head } from '../clients/tcp.mjs';
import { isJudged, skipOnNode, startSubject } from '../harness/judge.mjs';
import { useScope } from '../harness/scope.mjs';

const HOST = 'Host: localhost';
const PROTOCOLS = [4, 3];
const MESSAGES = {
  0: 'Transport unknown', 1: 'Session ID unknown', 2: 'Bad handshake method', 3: 'Bad request', 5: 'Unsupported protocol version',
};

let server;
const scope = useScope();
before(async () => { server = await startSubject(scope); });

/** The response to one request; with `upgrade` it asks for a WebSocket. */
const ask = (t, /** @type {any} */ { method = 'GET', path = target(), lines = [], upgrades = false }) => (
  exchange(t, server, head(method, path, [HOST, ...lines, ...(upgrades ? UPGRADE_LINES : [])]))
);

/** An error of Engine.IO, which no cache keeps. Node's server sends some of them without a body, and all without Cache-Control. */
function assertError(response, status, code) {
  assert.equal(response?.status, status, response?.body);
  if (isJudged && response.headers['content-type'] !== 'application/json') return;
  assert.equal(response.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(response.body), { code, message: MESSAGES[code] });
  if (!isJudged) assert.equal(response.headers['cache-control'], 'no-store');
}

describe('an invalid request of Engine.IO is refused as by Node', () => {
  const WEBSOCKET = { transport: 'websocket' };
  const GONE = { sid: 'gone' };
  const BODY = ['Content-Length: 0'];
  /** @type {Record<string, [any, number]>} */
  const CASES = {
    'no parameters': [{ path: '/socket.io/' }, 0],
    'no transport': [{ path: '/socket.io/?EIO=4' }, 0],
    'an unknown transport': [{ path: target({ transport: 'pigeon' }) }, 0],
    'an unknown transport with an unknown session': [{ path: target({ transport: 'pigeon', ...GONE }) }, 0],
    'an upgrade to an unknown transport': [{ path: target({ transport: 'pigeon' }), upgrades: true }, 0],
    'a name that every object has as a transport': [{ path: target({ transport: 'constructor' }) }, 0],
    'a poll of an unknown session': [{ path: target(GONE) }, 1],
    'a body for an unknown session': [{ method: 'POST', path: target(GONE), lines: BODY }, 1],
    'an upgrade of an unknown session': [{ path: target({ ...WEBSOCKET, ...GONE }), upgrades: true }, 1],
    'a name that every object has as a session': [{ path: target({ sid: '__proto__' }) }, 1],
    'a handshake by POST': [{ method: 'POST', lines: BODY }, 2],
    'a handshake by PUT': [{ method: 'PUT', lines: BODY }, 2],
    'a handshake by DELETE': [{ method: 'DELETE' }, 2],
    'a handshake of a WebSocket by POST': [{ method: 'POST', path: target(WEBSOCKET), lines: BODY }, 2],
    'a WebSocket without an upgrade': [{ path: target(WEBSOCKET) }, 3],
  };
  for (const [what, [request, code]] of Object.entries(CASES)) {
    for (const eio of PROTOCOLS) {
      const path = request.path?.replace('EIO=4', `EIO=${eio}`) ?? target({ eio });
      test(`${what} (protocol ${eio})`, async (t) => { assertError(await ask(t, { ...request, path }), 400, code); });
    }
  }

  for (const eio of ['2', '5', '', 'x']) {
    test(`protocol '${eio}'`, skipOnNode('it reads any version but 4 as 3'), async (t) => {
      for (const path of [`/socket.io/?EIO=${eio}&transport=polling`, `/socket.io/?EIO=${eio}&transport=websocket`]) {
        assertError(await ask(t, { path, upgrades: path.endsWith('websocket') }), 400, 5);
      }
    });
  }

  test('JSONP', skipOnNode('it has JSONP'), async (t) => {
    for (const eio of PROTOCOLS) assertError(await ask(t, { path: target({ eio, j: '0' }) }), 400, 3);
  });

  for (const eio of PROTOCOLS) {
    test(`of a session that stays open (protocol ${eio})`, async (t) => {
      const session = await PollingSession.open(t, server, { eio });
      const own = { eio, sid: session.sid };
      const other = eio === 4 ? 3 : 4;
      assertError(await ask(t, { path: target({ ...own, transport: 'websocket' }) }), 400, 3);
      assertError(await ask(t, { path: target({ ...own, eio: other }) }), 400, 3);
      assertError(await ask(t, { path: target({ ...own, transport: 'pigeon' }) }), 400, 0);
      if (!isJudged) assertError(await ask(t, { path: target({ ...own, j: '0' }) }), 400, 3);
      if (!isJudged) assertError(await ask(t, { method: 'PUT', path: target(own), lines: BODY }), 400, 3);
      if (eio === 4) await session.post(PACKET.connect);
      await session.packet(PACKET.connect);
      const socket = await upgrade(t, server, session);
      await socket.send('421["create-user",{"user":{"externalUserId":"errors"}}]');
      await socket.packet('431');
      assertError(await ask(t, { path: target(own) }), 400, 3);
      assertError(await ask(t, { method: 'POST', path: target(own), lines: BODY }), 400, 3);
    });
  }

  test('the client as a file, with a hint where to get it', async (t) => {
    for (const path of ['/socket.io/socket.io.js', '/socket.io/socket.io.min.js']) {
      const response = await ask(t, { path });
      assert.equal(response?.status, isJudged ? 200 : 404, response?.body);
      if (!isJudged) assert.match(response.body, /socket\.io-client|cdn\.socket\.io/);
    }
  });
});

test('a handshake is answered with the session and its parameters on either transport, and no cache keeps it', async (t) => {
  for (const eio of PROTOCOLS) {
    const { headers, packets: [open] } = await new PollingSession(t, server, { eio }).poll();
    assert.equal(headers['cache-control'], 'no-store');
    const { sid, maxPayload, ...parameters } = JSON.parse(open.slice(1));
    assert.deepEqual(parameters, { upgrades: ['websocket'], pingInterval: 25_000, pingTimeout: 20_000 });
    assert.ok(maxPayload >= 1_000_000);
    const { handshake } = await WebSocketSession.open(t, server, { eio });
    assert.notEqual(handshake.sid, sid);
    assert.deepEqual({ ...handshake, sid }, { sid, maxPayload, ...parameters, upgrades: [] });
  }
});

/** The addresses of WebSockets. */
const RAW_PATHS = ['/ws/chat/room/', '/ws/chats/', '/ws/chat/', '/ws/events/', '/ws'].map((path) => `${path}?token=alice`);
const ADDRESSES = [target({ transport: 'websocket' }), target({ eio: 3, transport: 'websocket' }), ...(isJudged ? [] : RAW_PATHS)];

describe('the handshake of a WebSocket', () => {
  const NAMES = ['Connection', 'Upgrade', 'Sec-WebSocket-Version', 'Sec-WebSocket-Key'];

  /** The header lines with some of them replaced, or left out. */
  const lines = (/** @type {any} */ changed) => [HOST, ...UPGRADE_LINES, ...(changed.more ?? [])].flatMap((line) => {
    const name = NAMES.find((each) => line.startsWith(`${each}:`));
    if (name === undefined || !(name in changed)) return [line];
    return changed[name] === undefined ? [] : [`${name}: ${changed[name]}`];
  });

  const GOOD = {
    'as every client sends it': {},
    'with two lines Connection': { Connection: 'keep-alive', more: ['connection: Upgrade'] },
    'with a list in Connection': { Connection: 'keep-alive, Upgrade' },
    'with spaces in the list': { Connection: 'keep-alive , \tUpgrade ,' },
    'in capital letters': { Connection: 'UPGRADE', Upgrade: 'WEBSOCKET' },
    'in small letters': { Connection: 'upgrade', Upgrade: 'WebSocket' },
  };
  const BAD = {
    'without a version': { 'Sec-WebSocket-Version': undefined },
    'with an empty version': { 'Sec-WebSocket-Version': '' },
    'with version 12': { 'Sec-WebSocket-Version': '12' },
    'with version 14': { 'Sec-WebSocket-Version': '14' },
    'without a key': { 'Sec-WebSocket-Key': undefined },
    'with a key of two bytes': { 'Sec-WebSocket-Key': 'AAA=' },
    'with a key of 17 bytes': { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAAA=' },
    'with a key that is not base64': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ$$' },
    'without Upgrade': { Upgrade: undefined },
    'with another protocol in Upgrade': { Upgrade: 'h2c' },
    'without Connection': { Connection: undefined },
    'with another Connection': { Connection: 'keep-alive' },
    'with a word in Connection that only begins alike': { Connection: 'Upgraded' },
  };
  for (const [what, changed] of Object.entries(GOOD)) {
    test(`${what} is answered with 101 at each address`, async (t) => {
      for (const path of ADDRESSES) {
        const response = await exchange(t, server, head('GET', path, lines(changed)));
        assert.equal(response?.status, 101, `${path}: ${response?.body}`);
        assert.equal(response.headers['sec-websocket-accept'], 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
      }
    });
  }
  for (const [what, changed] of Object.entries(BAD)) {
    test(`${what} is answered with 400 at each address`, async (t) => {
      for (const path of ADDRESSES) {
        const response = await exchange(t, server, head('GET', path, lines(changed)));
        assert.equal(response?.status, 400, `${path}: ${response?.body}`);
        if ('Sec-WebSocket-Version' in changed) assert.match(response.headers['sec-websocket-version'] ?? '', /^13\b/, path);
      }
    });
  }
});

describe('a WebSocket is closed with the code of the violation', () => {
  const FRAME_BYTES = 1_048_576;
  /** @type {Record<string, [number, (socket: WebSocketSession) => void]>} */
  const CASES = {
    'a text that is too long': [1009, (socket) => socket.sendFrame('x'.repeat(FRAME_BYTES + 1))],
    'a text that is too long in pieces': [1009, (socket) => {
      socket.sendFrame('x'.repeat(FRAME_BYTES), { fin: false });
      socket.sendFrame('x'.repeat(10), { opcode: OPCODE.continuation });
    }],
    'bytes that are no UTF-8': [1007, (socket) => socket.sendFrame(Buffer.from([0x34, 0xff, 0xfe]))],
    'a surrogate in UTF-8': [1007, (socket) => socket.sendFrame(Buffer.from([0x34, 0xed, 0xa0, 0x80]))],
    'an unknown opcode': [1002, (socket) => socket.sendFrame('x', { opcode: 3 })],
    'an unknown opcode of control': [1002, (socket) => socket.sendFrame('', { opcode: 11 })],
    'a reserved bit': [1002, (socket) => socket.sendFrame('42["x"]', { reserved: 4 })],
    'a frame that is not masked': [1002, (socket) => socket.sendFrame('42["x"]', { masked: false })],
    'a continuation of nothing': [1002, (socket) => socket.sendFrame('x', { opcode: OPCODE.continuation })],
    'a new message within another one': [1002, (socket) => {
      socket.sendFrame('42["', { fin: false });
      socket.sendFrame('42["x"]');
    }],
    'a ping that is too long': [1002, (socket) => socket.sendFrame('x'.repeat(126), { opcode: OPCODE.ping })],
    'a ping in pieces': [1002, (socket) => socket.sendFrame('x', { opcode: OPCODE.ping, fin: false })],
    'a close frame of one byte': [1002, (socket) => socket.sendFrame('x', { opcode: OPCODE.close })],
    'a close frame with a code that may not be sent': [1002, (socket) => socket.sendFrame(Buffer.from([0x03, 0xed]), { opcode: OPCODE.close })],
    'a close frame with a reason that is no UTF-8': [1007, (socket) => (
      socket.sendFrame(Buffer.from([0x03, 0xe8, 0xff]), { opcode: OPCODE.close })
    )],
  };
  const KINDS = Object.fromEntries([
    ...PROTOCOLS.map((eio) => [`Socket.IO, protocol ${eio}`, (t) => WebSocketSession.open(t, server, { eio, token: uniqueName('bob') })]),
    ...(isJudged ? [] : RAW_PATHS.map((path) => [path, async (t) => {
      const tcp = await TcpConnection.open(t, server);
      assert.equal((await tcp.request('GET', path, [HOST, ...UPGRADE_LINES]))?.status, 101);
      return new WebSocketSession(tcp, 4);
    }])),
  ]);
  for (const [kind, open] of Object.entries(KINDS)) {
    test(`at ${kind}`, async (t) => {
      for (const [what, [code, offend]] of Object.entries(CASES)) {
        const socket = await open(t);
        offend(socket);
        assert.equal((await socket.ended()).code, code, what);
      }
    });
  }

  test('and answers close frames and pings', async (t) => {
    for (const open of Object.values(KINDS)) {
      const socket = await open(t);
      socket.sendFrame('ping', { opcode: OPCODE.ping });
      socket.sendFrame(Buffer.from([0x0f, 0xa0, 0x62, 0x79, 0x65]), { opcode: OPCODE.close });
      assert.equal((await socket.ended()).frame, true);
      assert.deepEqual(socket.pongs, ['ping']);
    }
  });
});

describe('the header Host', skipOnNode('its HTTP server is not the subject'), () => {
  const EVERYWHERE = [
    '/', '/livez', '/readyz', '/metrics', '/api/v1/users', '/media/default/default.jpg', '/no/such/page', target(), target({ eio: 3 }),
    '/socket.io/socket.io.js',
  ];
  const requests = [
    ...EVERYWHERE.map((path) => ({ path, more: [] })), ...ADDRESSES.map((path) => ({ path, more: UPGRADE_LINES })),
  ];
  for (const { path, more } of requests) {
    test(`is required once in HTTP/1.1: ${path}`, async (t) => {
      const status = async (hosts) => (await exchange(t, server, head('GET', path, [...hosts, ...more])))?.status;
      assert.notEqual(await status([HOST]), 400);
      for (const hosts of [[], [HOST, HOST], [HOST, 'host: other']]) assert.equal(await status(hosts), 400, `${hosts}`);
    });
  }

  test('may be missing in HTTP/1.0', async (t) => {
    for (const path of ['/', '/livez', '/api/v1/users', '/media/default/default.jpg', target(), target({ eio: 3 })]) {
      assert.equal((await exchange(t, server, head('GET', path, [], '1.0')))?.status, 200, path);
    }
  });
});
