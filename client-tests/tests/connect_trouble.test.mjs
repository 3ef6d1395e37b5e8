// @ts-check
// Owns the promise about a CONNECT that fails for a passing reason: it is no refusal, so that official clients come back by
// themselves. Does not know what the store and the limits do otherwise.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { io as io4 } from 'socket.io-client';
import io2 from 'socket.io-client-2';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target, upgrade } from '../clients/engineio-session.mjs';
import { chatOf, connectUsers, history, say, uniqueName } from '../clients/fixtures.mjs';
import { connect } from '../clients/socketio.mjs';
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

/** The official clients, each with its transports, that reconnect as they do by default, only sooner. */
const CLIENTS = [4, 2].flatMap((client) => TRANSPORTS.map((transports) => ({ client, transports })));

/** Says of an official client that has just begun to connect: how often it failed, and whether it was refused for good. */
function begin(t, url, { client, transports }, token) {
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

/** None of them was refused. */
function areNotRefused(states) {
  for (const { name, refusals } of states) assert.deepEqual(refusals, [], name);
}

async function areConnected(states) {
  for (const { name, socket } of states) await eventually(() => socket.connected, `${name} is back`, PATIENCE_MS);
  areNotRefused(states);
}

/** The ways to carry a session, before it is connected to a namespace. */
const CARRIERS = {
  'a WebSocket': (t, server, options) => WebSocketSession.open(t, server, options),
  polling: (t, server, options) => PollingSession.open(t, server, options),
  'a WebSocket after polling': async (t, server, options) => upgrade(t, server, await PollingSession.open(t, server, options)),
};

/** The transport ends, and nothing has refused the CONNECT. */
async function endsWithoutRefusal(session, what) {
  if (session instanceof WebSocketSession) {
    await session.ended(PATIENCE_MS);
  } else {
    for (let polls = 0; ; polls++) {
      assert.ok(polls < 10, `${what}: the session goes on: ${session.packets}`);
      if ((await session.poll()).status !== 200) break;
    }
  }
  const told = session.packets.filter((packet) => packet.startsWith('44') || packet.startsWith('41') || packet === PACKET.close);
  assert.deepEqual(told, [], what);
}

/** A refusal by HTTP that says when to come back. */
function saysWhen(response, status, what) {
  assert.equal(response?.status, status, `${what}: ${response?.body}`);
  assert.match(response.headers['retry-after'] ?? '', /^[1-9]\d*$/, what);
}

describe('while the store does not answer', () => {
  const scope = useScope();
  let server;
  let path;
  before(async () => {
    const file = await storeFile(scope);
    path = file.path;
    server = await startServer(scope, ['--store', file.store]);
  });

  test('official clients are not refused, and come back by themselves', async (t) => {
    const lock = await lockStore(t, path);
    const states = CLIENTS.map((client) => begin(t, server.url, client, uniqueName('new')));
    for (const state of states) await eventually(() => state.attempts > 0, `${state.name} tries again`, PATIENCE_MS);
    areNotRefused(states);
    await lock.release();
    await areConnected(states);
  });

  test('the transport of a CONNECT ends, and raw WebSockets are told to come back', async (t) => {
    const sessions = [];
    for (const eio of PROTOCOLS) {
      for (const [how, open] of Object.entries(CARRIERS)) {
        // Protocol 3 connects by the handshake, so that it has to come while the store is locked.
        if (eio === 4) sessions.push({ what: how, session: await open(t, server, {}) });
      }
    }
    await lockStore(t, path);
    for (const { session } of sessions) await session.send(`40${JSON.stringify({ token: uniqueName('new') })}`);
    for (const open of [CARRIERS['a WebSocket'], CARRIERS.polling]) {
      sessions.push({ what: 'protocol 3', session: await open(t, server, { eio: 3, token: uniqueName('new') }) });
    }
    const raw = RAW_PATHS.map(async (address) => saysWhen(
      await refusal(t, server, address, { token: uniqueName('new') }), 503, address,
    ));
    await Promise.all([...raw, ...sessions.map(({ session, what }) => endsWithoutRefusal(session, what))]);
  });
});

describe('over the limit of connections of one user', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, ['--max-connections-per-user', '1']); });

  test('official clients are not refused, and come in by themselves when there is a place', async (t) => {
    const first = await Promise.all(CLIENTS.map(async (client) => {
      const token = uniqueName('anna');
      return { token, client, socket: await connect(t, server.url, { auth: { token } }) };
    }));
    const states = first.map(({ token, client }) => begin(t, server.url, client, token));
    for (const state of states) await eventually(() => state.attempts > 1, `${state.name} tries again`, PATIENCE_MS);
    areNotRefused(states);
    assert.ok(states.every(({ socket }) => !socket.connected), 'somebody got in');
    for (const { socket } of first) socket.close();
    await areConnected(states);
  });

  test('the transport of a CONNECT ends, and raw WebSockets are told to come back', async (t) => {
    const token = uniqueName('anna');
    await connect(t, server.url, { auth: { token } });
    for (const [how, open] of Object.entries(CARRIERS)) {
      const session = await open(t, server, {});
      await session.send(`40${JSON.stringify({ token })}`);
      await endsWithoutRefusal(session, how);
    }
    for (const open of [CARRIERS['a WebSocket'], CARRIERS.polling]) {
      await endsWithoutRefusal(await open(t, server, { eio: 3, token }), 'protocol 3');
    }
    for (const address of RAW_PATHS) saysWhen(await refusal(t, server, address, { token }), 429, address);
  });
});

test('while the server drains, first requests are told to come back, and official clients do', async (t) => {
  const { path, store } = await storeFile(t);
  const [port, args] = [await freePort(), ['--store', store]];
  const server = await startServer(t, [...args, '--listen', `127.0.0.1:${port}`]);
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const early = [];
  for (const [how, open] of Object.entries(CARRIERS)) early.push({ how, session: await open(t, server, {}) });
  const lock = await lockStore(t, path);
  const sending = say(alice, chat, 'the last one');
  sending.catch(() => {}); // awaited below
  await history(bob, chat); // by now the send has arrived, too
  const ended = server.stop();

  const first = (asked, lines = []) => exchange(t, server, head('GET', asked, ['Host: localhost', ...lines]));
  await eventually(async () => (await first(target()))?.status === 503, 'a handshake is refused');
  for (const eio of PROTOCOLS) {
    const response = await first(target({ eio }));
    saysWhen(response, 503, `polling, protocol ${eio}`);
    assert.equal(response?.headers['cache-control'], 'no-store');
    saysWhen(await first(target({ eio, transport: 'websocket' }), UPGRADE_LINES), 503, `a WebSocket, protocol ${eio}`);
  }
  for (const address of RAW_PATHS) saysWhen(await first(`${address}?token=anna`, UPGRADE_LINES), 503, address);
  const states = CLIENTS.map((client) => begin(t, server.url, client, uniqueName('anna')));
  for (const { how, session } of early) {
    await session.send(`40${JSON.stringify({ token: uniqueName('anna') })}`);
    await endsWithoutRefusal(session, how);
  }
  for (const state of states) await eventually(() => state.attempts > 0, `${state.name} tries again`, PATIENCE_MS);
  areNotRefused(states);

  await lock.release();
  await sending;
  assert.deepEqual(await ended, { code: 0, signal: null });
  await startServer(t, [...args, '--listen', `127.0.0.1:${port}`]);
  await areConnected(states);
});
