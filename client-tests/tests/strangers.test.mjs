// @ts-check
// Owns the promise that clients which are not admitted take little memory: their sessions are few and short, and nothing is
// kept of requests that belong to no session. Does not know the limits of admitted clients.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, sidOf, target } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { TcpConnection, UPGRADE_LINES, exchange, head, pipeline } from '../clients/tcp.mjs';
import { VISITS, visitMany } from '../clients/visits.mjs';
import { sized } from '../harness/random.mjs';
import { newScope, useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';

const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];
const HOST = 'Host: localhost';
const PROTOCOLS = [4, 3];
const MIB = 1024 * 1024;
const UNKNOWN = 400;

/** How late an end may be. */
const LATE_MS = 2000;

/** A refusal with the time to wait. */
function assertTooMany(response) {
  assert.equal(response?.status, 429, response?.body);
  assert.match(response.headers['retry-after'] ?? '', /^[1-9]\d*$/);
}

/** A session or a WebSocket is open. */
const assertAccepted = (response) => assert.ok([200, 101].includes(response?.status), `${response?.status} ${response?.body}`);

describe('sessions that are not admitted', () => {
  const MOST = 16;
  const TIMEOUT_MS = 2000;
  const scope = useScope();
  let server;
  before(async () => {
    server = await startServer(scope, [...JWT, '--max-unauthenticated', `${MOST}`, '--handshake-timeout', `${TIMEOUT_MS}ms`]);
  });

  /** A TCP connection on which a request was served, so that it does not count itself. */
  async function served(t) {
    const connection = await TcpConnection.open(t, server);
    assert.equal((await connection.request('GET', '/livez', [HOST]))?.status, 200);
    return connection;
  }

  const isGone = async (connection, eio, sid) => (
    (await connection.request('POST', target({ eio, sid }), [HOST, 'Content-Type: text/plain'], eio === 3 ? '1:2' : '3'))?.status === UNKNOWN
  );

  /** Waits until all of them have ended. */
  async function emptied(connection, sessions) {
    const over = async () => {
      for (const { eio, sid } of sessions) if (!await isGone(connection, eio, sid)) return false;
      return true;
    };
    await eventually(over, 'the sessions are over', TIMEOUT_MS + LATE_MS);
  }

  test('are limited in number, of both protocols together, also from loopback; further ones are refused with 429', async (t) => {
    const connections = [await served(t), await served(t), await served(t), await served(t)];
    const others = [await served(t), await served(t), await served(t), await served(t)];
    for (let rounds = 0; rounds < 2; rounds++) {
      const sessions = [];
      for (let count = 0; count < MOST; count++) {
        const eio = PROTOCOLS[count % 2];
        const response = await connections[count % 4].request('GET', target({ eio }), [HOST]);
        assertAccepted(response);
        sessions.push({ eio, sid: sidOf(eio, /** @type {any} */ (response)) });
      }
      for (const eio of PROTOCOLS) {
        assertTooMany(await connections[0].request('GET', target({ eio }), [HOST]));
        assertTooMany(await others.pop()?.request('GET', target({ eio, transport: 'websocket' }), [HOST, ...UPGRADE_LINES]));
      }
      await emptied(connections[1], sessions);
    }
  });

  test('that are admitted do not count', async (t) => {
    const connection = await served(t);
    for (let count = 0; count < 2 * MOST; count++) {
      const eio = PROTOCOLS[count % 2];
      const session = await PollingSession.open(t, server, { eio, token: await token({ sub: uniqueName('anna') }) });
      if (eio === 4) await session.post(PACKET.connect);
      await session.packet(PACKET.connect);
    }
    assertAccepted(await connection.request('GET', target(), [HOST]));
  });

  const SESSIONS = { polling: PollingSession, 'a WebSocket': WebSocketSession };
  const WAYS = {
    'that send no CONNECT': () => {},
    'that are refused': (session) => (session.eio === 4 ? session.send('40{"token":"wrong"}') : session.send('40/events?token=wrong,')),
    'that are refused again and again': async (session) => {
      for (let times = 0; times < 3; times++) {
        await session.send(session.eio === 4 ? '40{"token":"wrong"}' : '40/events?token=wrong,');
        await sleep(400);
      }
    },
    'that connect to an unknown namespace': (session) => session.send('40/nowhere,'),
  };
  for (const eio of PROTOCOLS) {
    for (const [how, Session] of Object.entries(SESSIONS)) {
      describe(`by ${how}, of protocol ${eio}, end after --handshake-timeout`, { concurrency: true }, () => {
        for (const [what, act] of Object.entries(WAYS)) {
          test(`${what}, though they send heartbeats`, async (t) => {
            const began = Date.now();
            const session = await Session.open(t, server, { eio });
            let alive = true;
            const acting = Promise.resolve(act(session)).catch(() => {});
            while (alive && Date.now() < began + TIMEOUT_MS + LATE_MS) {
              await sleep(100);
              const answer = await session.send(eio === 3 ? PACKET.ping : PACKET.pong);
              alive = session instanceof WebSocketSession ? session.end === undefined : answer?.status === 200;
            }
            await acting;
            const lived = Date.now() - began;
            assert.ok(!alive, `the session was alive after ${lived} ms`);
            if (what !== 'that are refused again and again') assert.ok(lived > TIMEOUT_MS - 500, `the session ended after ${lived} ms`);
            if (session instanceof WebSocketSession) assert.ok([1008, 1002].includes(session.end.code), JSON.stringify(session.end));
          });
        }
      });
    }
  }
});

describe('sessions from one address', () => {
  const MOST = 3;
  const scope = useScope();
  let server;
  before(async () => {
    server = await startServer(scope, [...JWT, '--trusted-proxies', '127.0.0.1', '--max-connections-per-address', `${MOST}`]);
  });

  const from = (address) => [HOST, `X-Forwarded-For: ${address}`];
  const ask = (t, address, path, lines = []) => exchange(t, server, head('GET', path, [...from(address), ...lines]));

  /** Opens one connection of each kind: how to end it. */
  const KINDS = {
    'polling, protocol 4': (t, address, jwt) => bySession(t, PollingSession, address, 4, jwt),
    'polling, protocol 3': (t, address, jwt) => bySession(t, PollingSession, address, 3, jwt),
    'a WebSocket, protocol 4': (t, address, jwt) => bySession(t, WebSocketSession, address, 4, jwt),
    'a WebSocket, protocol 3': (t, address, jwt) => bySession(t, WebSocketSession, address, 3, jwt),
    'a raw WebSocket': async (t, address, jwt) => {
      const connection = await TcpConnection.open(t, server);
      assertAccepted(await connection.request('GET', `/ws/chats/?token=${jwt}`, [...from(address), ...UPGRADE_LINES]));
      return () => connection.destroy();
    },
  };

  /** An admitted session: how to end it. */
  async function bySession(t, Session, address, eio, jwt) {
    const session = await Session.open(t, server, { eio, token: jwt, lines: from(address).slice(1) });
    if (session.eio === 4) await session.send(PACKET.connect);
    await session.packet(PACKET.connect);
    return () => session.send(PACKET.close);
  }

  /** The response to one more of this kind. */
  const further = (t, kind, address, jwt) => {
    if (kind === 'a raw WebSocket') return ask(t, address, `/ws/chats/?token=${jwt}`, UPGRADE_LINES);
    const [transport, eio] = [kind.startsWith('polling') ? 'polling' : 'websocket', Number(kind.at(-1))];
    return ask(t, address, target({ eio, transport, token: jwt }), transport === 'polling' ? [] : UPGRADE_LINES);
  };

  /** Opens as many as are allowed from `first` and from `alike`, which count as one address; `other` is another one. */
  async function assertLimited(t, kinds, /** @type {string[]} */ [first, alike, other]) {
    const jwt = await token({ sub: uniqueName('anna') });
    const endings = [];
    for (let count = 0; count < MOST; count++) {
      endings.push(await KINDS[kinds[count % kinds.length]](t, count % 2 ? alike : first, jwt));
    }
    for (const kind of kinds) for (const address of [first, alike]) assertTooMany(await further(t, kind, address, jwt));
    assertAccepted(await further(t, kinds[0], other, jwt));
    await endings[0]();
    await eventually(async () => (await further(t, kinds[0], alike, jwt))?.status !== 429, 'one more is accepted again');
  }

  const ADDRESSES = {
    'of IPv4': (last) => [`192.0.2.${last}`, `192.0.2.${last}`, `192.0.2.${last + 1}`],
    'of IPv6, by its network of 64 bits': (last) => [
      `2001:db8:0:${last}::1`, `2001:db8:0:${last}:ffff:1:2:3`, `2001:db8:0:${last + 1}::1`,
    ],
  };
  for (const [what, addresses] of Object.entries(ADDRESSES)) {
    for (const [index, kind] of Object.keys(KINDS).entries()) {
      test(`are limited in number until one has ended: ${kind}, ${what}`, (t) => assertLimited(t, [kind], addresses(10 + 2 * index)));
    }
    test(`are limited in number until one has ended: all transports together, ${what}`, (t) => (
      assertLimited(t, ['a raw WebSocket', 'polling, protocol 4', 'a WebSocket, protocol 3'], addresses(30))
    ));
  }
});

describe('memory', () => {
  /** Bounds what remains after a round like an earlier one: the allocator's reserves, but nothing for each request. */
  const assertFlat = (grown, most) => assert.ok(grown < most, `the server grew by ${(grown / MIB).toFixed(1)} MiB`);

  /** The same within a while, after which everything has ended. */
  async function assertBecomesFlat(server, before, most) {
    for (let waits = 0; waits < 60 && server.memory().now - before >= most; waits++) await sleep(250);
    assertFlat(server.memory().now - before, most);
  }

  test('is not taken by handshakes that are never admitted, neither while they come nor afterwards', async (t) => {
    const server = await startServer(t, [...JWT, '--handshake-timeout', '1s']);
    const round = async () => {
      const scope = newScope();
      await Promise.all(Array.from({ length: 4 }, (_, lane) => (
        pipeline(scope, server, sized(4000, 30_000), () => head('GET', target({ eio: PROTOCOLS[lane % 2] }), [HOST]))
      )));
      await scope.end();
    };
    const idle = server.memory().now;
    await round();
    assertFlat(server.memory().peak - idle, 40 * MIB);
    await sleep(1000 + LATE_MS);
    const after = server.memory().now;
    await round();
    await sleep(1000 + LATE_MS);
    assertFlat(server.memory().now - after, 8 * MIB);
    assert.equal((await exchange(t, server, head('GET', target(), [HOST])))?.status, 200, 'a handshake is accepted again');
  });

  const LONG = 60_000;
  const FAKES = {
    'that only look like requests of a session': (sid) => `/livez?transport=websocket&sid=${sid}`,
    'of sessions that nobody knows': (sid) => target({ sid }),
    'of sessions that nobody knows, by WebSocket': (sid) => target({ transport: 'websocket', sid }),
    'of sessions with long parameters that are refused': (sid) => target({ transport: sid }),
  };
  for (const [what, path] of Object.entries(FAKES)) {
    test(`is not taken by requests ${what}`, async (t) => {
      const server = await startServer(t);
      const request = (index) => head('GET', path(`${index}`.padEnd(LONG, 'x')), [HOST]);
      await pipeline(t, server, 200, request);
      const before = server.memory().now;
      await pipeline(t, server, 2000, request); // the connection stays open
      assertFlat(server.memory().now - before, 30 * MIB);
    });
  }

  for (const [how, visit] of Object.entries(VISITS)) {
    test(`is freed after clients that leave right behind their CONNECT (${how})`, async (t) => {
      const server = await startServer(t, [
        '--max-connections-per-user', 'off', '--max-unauthenticated', 'off', '--handshake-timeout', '1s',
      ]);
      const idle = server.openSockets();
      const round = (count) => visitMany(server, visit, count, idle);
      await round(sized(6000, 60_000));
      const before = server.memory().now;
      await round(sized(6000, 60_000));
      await assertBecomesFlat(server, before, 5 * MIB);
    });
  }
});
