// @ts-check
// Owns the promise that a restart needs no action: the clients of each library reconnect over each transport, as they
// do to Node's socket.io. Does not know how a connection is closed.
import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { before, describe, test } from 'node:test';
import { chatOf, connectAgain, connectUsers, sendMessage } from '../clients/fixtures.mjs';
import { connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, startReference, startServer, storeFile } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';
import { NAMES, startClients } from './restarts.clients.mjs';

/** The first leaves no client without a connection to lose, however the server takes the second. */
const SIGNALS = ['SIGKILL', 'SIGTERM'];

/** The libraries wait for up to 5 s, and half as long again, between two attempts. */
const BACK_MS = 20_000;
const MESSAGE_MS = 5000;

/** Whether it becomes true of all clients in time; where it does not, the client's own test fails. */
const settle = (clients, fits, ms) => eventually(() => clients.every(fits), 'it holds for all', ms).catch(() => {});

/** Polychat on one port and one store, with a room that outlives each process. */
async function polychat(owner) {
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(owner)).store];
  /** @type {any} */
  let room;
  return {
    start: () => startServer(owner, args),
    async enter(server) {
      if (room) return { ...room, sender: await connectAgain(owner, server, room.sender) };
      const [sender, receiver] = await connectUsers(owner, server, 'alice', 'boris');
      room = { sender, chat: await chatOf(sender, receiver), token: receiver.user.externalUserId };
      return room;
    },
  };
}

/** Node's socket.io on one port, with the only room that it has. */
async function reference(owner) {
  const port = await freePort();
  return {
    start: () => startReference(owner, port),
    enter: async (server) => ({ sender: { socket: await connect(owner, server.url) }, chat: { id: '' }, token: 'boris' }),
  };
}

/** Restarts a server by each signal, and sends a message after each: by signal and client, the outcome. */
async function restart(owner, { start, enter }) {
  let server = await start();
  const clients = startClients(owner, server.url, (await enter(server)).token);
  const outcomes = {};
  for (const signal of SIGNALS) {
    await settle(clients, (client) => client.isSettled(), BACK_MS);
    const connects = new Map(clients.map((client) => [client, client.connects]));
    const earlier = (client) => connects.get(client) ?? 0;
    const isBack = (client) => client.connects > earlier(client);
    await server.stop(signal);
    server = await start();
    await settle(clients, isBack, BACK_MS);
    const { sender, chat } = await enter(server);
    const text = `after ${signal}`;
    await sendMessage(sender, chat, text);
    await settle(clients, ({ texts }) => texts.includes(text), MESSAGE_MS);
    outcomes[signal] = Object.fromEntries(clients.map((client) => [client.name, {
      wasConnected: earlier(client) > 0,
      isBack: isBack(client),
      messages: client.texts.filter((each) => each === text).length,
      log: [...client.log],
    }]));
  }
  return outcomes;
}

describe('reconnects, as to Node, and receives the next message', () => {
  const scope = useScope();
  let outcomes;
  before(async () => {
    const servers = await Promise.all([reference(scope), polychat(scope)]);
    outcomes = await Promise.all(servers.map((server) => restart(scope, server)));
  });

  for (const signal of SIGNALS) {
    for (const name of NAMES) {
      test(`after ${signal}: ${name}`, () => {
        ['Node', 'polychat'].forEach((server, index) => {
          const { log, ...outcome } = outcomes[index][signal][name];
          assert.deepEqual(outcome, { wasConnected: true, isBack: true, messages: 1 }, `${server}: ${log.join('\n')}`);
        });
      });
    }
  }
});

const UPGRADE = [
  'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1', 'Host: localhost', 'Connection: Upgrade', 'Upgrade: websocket',
  'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '',
].join('\r\n');
const CLOSE_FRAME = 0x88;
const CLOSE = Buffer.from([CLOSE_FRAME, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);

/** Shorter than the 5 s for which the server waits for a client that does not answer. */
const ANSWERED_MS = 3000;

test('SIGTERM waits for no client that has answered the close frame, though it keeps its TCP connection', async (t) => {
  const server = await startServer(t);
  const socket = connectTcp({ port: server.port, host: '127.0.0.1', allowHalfOpen: true });
  t.after(() => socket.destroy());
  socket.on('error', () => {}); // the end of the process
  const opened = new Promise((resolve) => {
    socket.on('data', (bytes) => {
      if (bytes.includes('"sid"')) resolve(undefined);
      if (bytes.includes(CLOSE_FRAME)) socket.write(CLOSE);
    });
  });
  socket.write(UPGRADE);
  await within(opened, () => 'a session');
  // So do websocket-client, below python-socketio, and tungstenite, below rust_socketio.
  assert.deepEqual(await within(server.stop(), () => 'the end of the server', ANSWERED_MS), { code: 0, signal: null });
});
