// @ts-check
// Owns the promise about a CONNECT that fails for a passing reason: the transport ends without CONNECT_ERROR, so that
// official clients reconnect. Does not know the effect of store and limits on other requests.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target, upgrade } from '../clients/engineio-session.mjs';
import { chatOf, connectUsers, history, sendMessage, uniqueName } from '../clients/fixtures.mjs';
import { arrival, connect } from '../clients/socketio.mjs';
import { UPGRADE_LINES, exchange, head } from '../clients/tcp.mjs';
import { refusal } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { lockStore } from '../harness/store-lock.mjs';
import { eventually } from '../harness/wait.mjs';

const PROTOCOLS = [4, 3];
const PATIENCE_MS = 30_000;
const TRANSPORTS = [['websocket'], ['polling'], ['polling', 'websocket']];
const RAW_PATHS = ['/ws/chat/room/', '/ws/chats/', '/ws/events/', '/ws'];

/** The official clients with each of their transports. */
const CLIENTS = [4, 2].flatMap((client) => TRANSPORTS.map((transports) => ({ client, transports })));

/** An official client that begins to connect, and counts its attempts and its CONNECT_ERRORs; its delays are short. */
function startConnecting(t, url, { client, transports }, token) {
  const options = { forceNew: true, transports, reconnectionDelay: 100, reconnectionDelayMax: 300 };
  const socket = /** @type {any} */ (client === 4 ? io4(url, { ...options, auth: { token } }) : io2(url, { ...options, query: { token } }));
  t.after(() => socket.close());
  /** @type {any[]} */
  const refusals = [];
  const state = { socket, name: `client ${client} by ${transports}`, attempts: 0, refusals };
  socket.io.on('reconnect_attempt', () => { state.attempts += 1; });
  if (client === 4) socket.on('connect_error', (error) => { if (!socket.active) refusals.push(error.message); });
  else socket.on('error', (error) => { if (!(error instanceof Error)) refusals.push(error); });
  return state;
}

/** None of them got CONNECT_ERROR. */
function assertNotRefused(states) {
  for (const { name, refusals } of states) assert.deepEqual(refusals, [], name);
}

async function assertReconnected(states) {
  for (const { name, socket } of states) await eventually(() => socket.connected, `${name} is back`, PATIENCE_MS);
  assertNotRefused(states);
}

/** The transports; each opens a session that is connected to no namespace. */
const SESSIONS = {
  'a WebSocket': (t, server, options) => WebSocketSession.open(t, server, options),
  polling: (t, server, options) => PollingSession.open(t, server, options),
  'a WebSocket after polling': async (t, server, options) => upgrade(t, server, await PollingSession.open(t, server, options)),
};

/** The transport ends, without CONNECT_ERROR, DISCONNECT or CLOSE. */
async function assertEndsWithoutRefusal(session, what) {
  if (session instanceof WebSocketSession) {
    await session.ended(PATIENCE_MS);
  } else {
    for (let polls = 0; ; polls++) {
      assert.ok(polls < 10, `${what}: the session goes on: ${session.packets}`);
      if ((await session.poll()).status !== 200) break;
    }
  }
  const refusals = session.packets.filter((packet) => packet.startsWith('44') || packet.startsWith('41') || packet === PACKET.close);
  assert.deepEqual(refusals, [], what);
}

/** A refusal by HTTP with the time to wait. */
function assertRetryAfter(response, status, what) {
  assert.equal(response?.status, status, `${what}: ${response?.body}`);
  assert.match(response.headers['retry-after'] ?? '', /^[1-9]\d*$/, what);
}

describe('while the store does not answer', { concurrency: true }, () => {
  async function start(t) {
    const { path, store } = await storeFile(t);
    return { path, server: await startServer(t, ['--store', store]) };
  }

  test('official clients get no CONNECT_ERROR, and reconnect by themselves', async (t) => {
    const { path, server } = await start(t);
    const lock = await lockStore(t, path);
    const states = CLIENTS.map((client) => startConnecting(t, server.url, client, uniqueName('new')));
    for (const state of states) await eventually(() => state.attempts > 0, `${state.name} tries again`, PATIENCE_MS);
    assertNotRefused(states);
    await lock.release();
    await assertReconnected(states);
  });

  test('the transport of a CONNECT ends, and raw WebSockets are refused with Retry-After', async (t) => {
    const { path, server } = await start(t);
    const sessions = [];
    for (const eio of PROTOCOLS) {
      for (const [how, open] of Object.entries(SESSIONS)) {
        // A handshake of protocol 3 is a CONNECT: it has to come while the store is locked.
        if (eio === 4) sessions.push({ what: how, session: await open(t, server, {}) });
      }
    }
    await lockStore(t, path);
    for (const { session } of sessions) await session.send(`40${JSON.stringify({ token: uniqueName('new') })}`);
    for (const open of [SESSIONS['a WebSocket'], SESSIONS.polling]) {
      sessions.push({ what: 'protocol 3', session: await open(t, server, { eio: 3, token: uniqueName('new') }) });
    }
    // A new user waits for the write before, and for the lock: up to five seconds each.
    const raw = RAW_PATHS.map(async (address) => assertRetryAfter(
      await refusal(t, server, address, { token: uniqueName('new') }, PATIENCE_MS), 503, address,
    ));
    await Promise.all([...raw, ...sessions.map(({ session, what }) => assertEndsWithoutRefusal(session, what))]);
  });
});

describe('over the limit of connections of one user', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, ['--max-connections-per-user', '1']); });

  test('official clients get no CONNECT_ERROR, and connect by themselves when the limit allows', async (t) => {
    const first = await Promise.all(CLIENTS.map(async (client) => {
      const token = uniqueName('anna');
      return { token, client, socket: await connect(t, server.url, { auth: { token } }) };
    }));
    const states = first.map(({ token, client }) => startConnecting(t, server.url, client, token));
    for (const state of states) await eventually(() => state.attempts > 1, `${state.name} tries again`, PATIENCE_MS);
    assertNotRefused(states);
    assert.ok(states.every(({ socket }) => !socket.connected), 'a client is connected over the limit');
    for (const { socket } of first) socket.close();
    await assertReconnected(states);
  });

  test('the transport of a CONNECT ends, and raw WebSockets are refused with Retry-After', async (t) => {
    const token = uniqueName('anna');
    await connect(t, server.url, { auth: { token } });
    for (const [how, open] of Object.entries(SESSIONS)) {
      const session = await open(t, server, {});
      await session.send(`40${JSON.stringify({ token })}`);
      await assertEndsWithoutRefusal(session, how);
    }
    for (const open of [SESSIONS['a WebSocket'], SESSIONS.polling]) {
      await assertEndsWithoutRefusal(await open(t, server, { eio: 3, token }), 'protocol 3');
    }
    for (const address of RAW_PATHS) assertRetryAfter(await refusal(t, server, address, { token }), 429, address);
  });
});

test('while the server drains, first requests are refused with Retry-After, and official clients reconnect by themselves', async (t) => {
  const { path, store } = await storeFile(t);
  const [port, args] = [await freePort(), ['--store', store]];
  const server = await startServer(t, [...args, '--listen', `127.0.0.1:${port}`]);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const early = [];
  for (const [how, open] of Object.entries(SESSIONS)) early.push({ how, session: await open(t, server, {}) });
  const lock = await lockStore(t, path);
  // The server waits for it, whether it is stored in the end or not.
  const sending = Promise.allSettled([sendMessage(alice, chat, 'the last one')]);
  await arrival(alice.socket);
  await history(bob, chat);
  const ended = server.stop();

  const first = (asked, lines = []) => exchange(t, server, head('GET', asked, ['Host: localhost', ...lines]));
  await eventually(async () => (await first(target()))?.status === 503, 'a handshake is refused');
  for (const eio of PROTOCOLS) {
    const response = await first(target({ eio }));
    assertRetryAfter(response, 503, `polling, protocol ${eio}`);
    assert.equal(response?.headers['cache-control'], 'no-store');
    assertRetryAfter(await first(target({ eio, transport: 'websocket' }), UPGRADE_LINES), 503, `a WebSocket, protocol ${eio}`);
  }
  for (const address of RAW_PATHS) assertRetryAfter(await first(`${address}?token=anna`, UPGRADE_LINES), 503, address);
  const states = CLIENTS.map((client) => startConnecting(t, server.url, client, uniqueName('anna')));
  await Promise.all(early.map(async ({ how, session }) => {
    await session.send(`40${JSON.stringify({ token: bob.user.externalUserId })}`);
    await assertEndsWithoutRefusal(session, how);
  }));
  for (const state of states) await eventually(() => state.attempts > 0, `${state.name} tries again`, PATIENCE_MS);
  assertNotRefused(states);

  await lock.release();
  await sending;
  assert.deepEqual(await ended, { code: 0, signal: null });
  await startServer(t, [...args, '--listen', `127.0.0.1:${port}`]);
  await assertReconnected(states);
});
