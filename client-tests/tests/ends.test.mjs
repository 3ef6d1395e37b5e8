// @ts-check
// Owns the ends of Socket.IO sessions as one table: each reason on each transport of both protocols, what the client
// receives, that it may reconnect, and that nothing is accepted afterwards. Does not know transports (ends.transports.mjs).
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET } from '../clients/engineio.mjs';
import { Backend } from '../clients/rest.mjs';
import { scrape } from '../harness/metrics.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';
import { TRANSPORTS, UNKNOWN_SESSION } from './ends.transports.mjs';
import { CLIENTS, OfficialClient } from './ends.clients.mjs';

const PROTOCOLS = [4, 3];
const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

/**
 * The life of a token that expires in a test, and of a client that is not admitted, in seconds: far longer than it takes to
 * open a session while all others are opened, too. The tests of the heartbeat beside them take longer still.
 */
const LIFE_S = 10;

/** How early an end may be, and how late: about a second. */
const EARLY_MS = 1000;
const LATE_MS = 2000;

const message = (room, msg, ack = '') => `${PACKET.event}${ack}${JSON.stringify(['new-message', { room, msg }])}`;

/** A server with the host application's backend. */
class Deployment {
  /** @type {any} */
  server;
  /** @type {any} */
  backend;
  service = '';

  /** @param {import('../harness/scope.mjs').Owner} owner */
  constructor(owner, args = []) {
    this.owner = owner;
    this.args = [...JWT, ...args];
  }

  async open() {
    // The same address and store after a restart.
    const [{ store }, port] = [await storeFile(this.owner), await freePort()];
    this.args.push('--store', store, '--listen', `127.0.0.1:${port}`);
    this.service = await token({ sub: 'backend', role: 'service' });
    await this.start();
    return this;
  }

  async start() {
    this.server = await startServer(this.owner, this.args);
    this.backend = new Backend(this.server, this.service);
  }

  /** A chat of two new users, and access to its messages. */
  async chat() {
    const [user, other] = [await this.backend.user('bob'), await this.backend.user('alice')];
    const { id } = await this.backend.chat(user, other);
    const sendMessage = (text) => this.backend.sendMessage({ id }, other, text);
    const texts = async () => (await this.backend.all(`/chats/${id}/messages?after_seq=0`, 'messages', 1000)).flat().map(({ msg }) => msg);
    return { id, user, sendMessage, texts, name: user.externalUserId };
  }

  /** How many connections were closed as lagging. */
  async lagged() { return (await scrape(this.server, this.service)).of('polychat_slow_clients_cut_total'); }
}

/** Some of them fill the kernel's buffers and an outbox. */
const LARGE = 'x'.repeat(400_000);
const MOST_LARGE = 60;
const OUTBOX_BYTES = '2000000';

/**
 * A reason: the options of the server; whether the client is admitted, and how long its token lives; how its end is
 * provoked, whether that is due at the time that `provoke` returns, and the observation on each kind of transport;
 * how it is provoked for an official client. @typedef {{
 *   args?: string[], stranger?: boolean, life?: number, provoke: (client: any, chat: any, deployment: Deployment) => Promise<unknown>,
 *   isDue?: boolean, seen: { socket: string, waiting: string, idle: string }, without?: (transport: string) => boolean,
 *   official?: (client: OfficialClient, chat: any, deployment: Deployment) => unknown,
 * }} Row
 */

/** Waits until a time: that time. */
async function until(time) {
  await sleep(Math.max(0, time - Date.now()));
  return time;
}

/** @type {Record<string, Row>} */
const REASONS = {
  'its token expires': {
    life: LIFE_S,
    provoke: (client, { ends }) => until(ends * 1000),
    isDue: true,
    seen: { socket: '1008', waiting: UNKNOWN_SESSION, idle: UNKNOWN_SESSION },
    official: () => {},
  },
  'its outbox is full': {
    args: ['--max-message-bytes', `${LARGE.length}`, '--max-outbox-bytes', OUTBOX_BYTES],
    // A client whose poll waits does not lag.
    without: (transport) => transport.includes('a poll waits') || transport.includes('probe'),
    provoke: async (client, { sendMessage }, deployment) => {
      client.stall();
      await sendUntilCut(sendMessage, deployment, client.kind === 'idle' ? 12 : Infinity);
      client.resume();
    },
    seen: { socket: '1013', waiting: UNKNOWN_SESSION, idle: UNKNOWN_SESSION },
    official: async (client, { sendMessage }, deployment) => {
      if (client.transport !== 'websocket') return 'not by polling';
      const resume = client.stall();
      await sendUntilCut(sendMessage, deployment, Infinity);
      return resume();
    },
  },
  'it exceeds the rate limit': {
    args: ['--rate-limit', '20:5', '--frame-limit', 'off'],
    provoke: async (client, { id }) => {
      for (let bodies = 0; bodies < 20; bodies++) {
        const answer = await client.send(...Array.from({ length: 100 }, (_, index) => message(id, `flood ${index}`)));
        if (answer && answer.status !== 200) break;
      }
      await sleep(500); // so that the rate limit would allow one more
    },
    seen: { socket: '1008', waiting: UNKNOWN_SESSION, idle: UNKNOWN_SESSION },
    official: async ({ socket }, { id }) => {
      for (let bodies = 0; bodies < 20 && socket.connected; bodies++) {
        for (let index = 0; index < 100; index++) socket.emit('new-message', { room: id, msg: `flood ${index}` });
        await sleep(50);
      }
    },
  },
  'it violates the protocol': {
    provoke: (client) => client.send('9'),
    seen: { socket: '1002', waiting: PACKET.close, idle: UNKNOWN_SESSION },
    official: (client) => client.sendBroken('9'),
  },
  'it is not admitted in time': {
    args: ['--handshake-timeout', `${LIFE_S}s`],
    stranger: true,
    provoke: (client, { opened }) => until(opened.by + LIFE_S * 1000),
    isDue: true,
    seen: { socket: '1008', waiting: UNKNOWN_SESSION, idle: UNKNOWN_SESSION },
  },
  'its heartbeat is missing': {
    provoke: (client, { opened }) => until(opened.by + 45_000),
    isDue: true,
    seen: { socket: 'cut', waiting: UNKNOWN_SESSION, idle: UNKNOWN_SESSION },
  },
};

/** Sends until a client that does not read is closed as lagging, or so many messages. */
async function sendUntilCut(sendMessage, deployment, most) {
  const earlier = await deployment.lagged();
  for (let count = 0; count < most && await deployment.lagged() === earlier; count++) {
    assert.ok(count < MOST_LARGE, 'no client was closed');
    await sendMessage(LARGE);
  }
}

/** The client has received no packet after which clients stay away, but the expected ones. */
function assertMayReconnect({ packets }, ...expected) {
  const final = packets.filter((packet) => packet === '41' || packet === PACKET.close || packet.startsWith('44'));
  assert.deepEqual(final, expected);
}

/** Packets after the end are neither accepted nor stored. */
async function assertNothingAccepted(client, deployment, chat, hello = []) {
  for (const words of await client.sendAfterEnd(deployment.server, ...hello, message(chat.id, 'afterwards'))) assert.equal(words, UNKNOWN_SESSION);
  await sleep(100);
  assert.ok(!(await chat.texts()).includes('afterwards'), 'what was sent afterwards is stored');
}

/** A client that is connected and has sent a message, unless it is unauthenticated; when its token ends, and it was opened. */
async function connectClient(t, deployment, { open, eio, life = 3600, stranger = false }) {
  const chat = await deployment.chat();
  const ends = now() + life;
  const jwt = await token({ sub: chat.name, exp: ends });
  const from = Date.now();
  const client = await open(t, deployment.server, { eio, token: stranger ? undefined : jwt });
  const opened = { from, by: Date.now() };
  if (!stranger) {
    if (eio === 4) await client.send(PACKET.connect);
    await client.packet(PACKET.connect);
    await client.send(message(chat.id, 'before', '1'));
    for (const prefix of [`${PACKET.ack}1`, `${PACKET.event}["new-message"`]) await client.packet(prefix);
  }
  await client.watch();
  return { client, chat: { ...chat, ends, opened } };
}

async function assertEnds(t, deployment, transport, eio, row) {
  const { provoke, isDue = false, seen, stranger = false } = row;
  const { client, chat } = await connectClient(t, deployment, { ...row, open: TRANSPORTS[transport], eio });
  const observed = client.kind === 'idle' ? undefined : client.end().then((end) => ({ end, at: Date.now() }));
  observed?.catch(() => {}); // awaited below
  const due = Number(await provoke(client, chat, deployment));
  if (isDue && !observed) await sleep(LATE_MS);
  const { end, at } = await within(observed ?? client.end().then((words) => ({ end: words, at: due })), () => 'the end');
  assert.equal(end, seen[client.kind]);
  const early = EARLY_MS + chat.opened.by - chat.opened.from;
  if (isDue) assert.ok(at > due - early && at < due + LATE_MS, `the end came ${at - due} ms after it was due`);
  const refused = stranger && eio === 3 && client.kind !== 'idle' ? ['44"unauthenticated"'] : [];
  assertMayReconnect(client, ...refused, ...(end === PACKET.close ? [PACKET.close] : []));
  const hello = stranger && eio === 4 ? [`40${JSON.stringify({ token: await token({ sub: chat.name }) })}`] : [];
  await assertNothingAccepted(client, deployment, chat, hello);
  assert.equal((await chat.texts()).includes('before'), !stranger, 'what was sent before is stored');
}

async function assertReconnects(t, deployment, kind, /** @type {any} */ { life = 3600, official }) {
  const chat = await deployment.chat();
  const tokens = [await token({ sub: chat.name, exp: now() + life }), await token({ sub: chat.name })];
  const client = await new OfficialClient(t, deployment.server, CLIENTS[kind], tokens).connected();
  await official(client, chat, deployment);
  await client.reconnects();
}

describe('a session ends', { concurrency: true }, () => {
  for (const [reason, row] of Object.entries(REASONS)) {
    describe(`when ${reason}`, { concurrency: row.isDue === true }, () => {
      const scope = useScope();
      let deployment;
      before(async () => { deployment = await new Deployment(scope, row.args).open(); });

      for (const eio of PROTOCOLS) {
        for (const transport of Object.keys(TRANSPORTS).filter((name) => !row.without?.(name))) {
          test(`${transport}, protocol ${eio}`, (t) => assertEnds(t, deployment, transport, eio, row));
        }
      }
      for (const kind of row.official ? Object.keys(CLIENTS) : []) {
        if (row.without && kind.endsWith('by polling')) continue;
        test(`${kind} reconnects`, (t) => assertReconnects(t, deployment, kind, row));
      }
    });
  }

  describe('when the server shuts down', () => {
    const SEEN = { socket: '1012', waiting: 'HTTP 503' };
    /** The responses to requests after the end, until the server has started again. */
    const REFUSALS = [UNKNOWN_SESSION, 'cut', 'HTTP 503'];

    test('on every transport, and official clients reconnect by themselves', async (t) => {
      const deployment = await new Deployment(t).open();
      const rows = [];
      for (const eio of PROTOCOLS) {
        for (const [transport, open] of Object.entries(TRANSPORTS)) {
          rows.push({ name: `${transport}, protocol ${eio}`, ...await connectClient(t, deployment, { open, eio }) });
        }
      }
      const chat = await deployment.chat();
      const jwt = await token({ sub: chat.name });
      const officialClients = Object.entries(CLIENTS).map(([name, client]) => ({ name, client: new OfficialClient(t, deployment.server, client, [jwt]) }));
      for (const { client } of officialClients) await client.connected();

      const stopped = deployment.server.stop();
      for (const { name, client } of rows) {
        if (client.kind !== 'idle') assert.equal(await within(client.end(), () => `the end of ${name}`), SEEN[client.kind], name);
      }
      for (const { name, client, chat: { id } } of rows) {
        const [posted, polled] = await client.sendAfterEnd(deployment.server, message(id, 'afterwards'));
        assert.ok(REFUSALS.includes(posted), `${name}: a body was answered ${posted}`);
        // An idle client may still poll for pending packets.
        assert.ok(REFUSALS.includes(polled) || (client.kind === 'idle' && polled.startsWith(PACKET.event)), `${name}: a poll was answered ${polled}`);
        assertMayReconnect(client);
      }
      assert.deepEqual(await stopped, { code: 0, signal: null });
      await deployment.start();
      for (const { client, chat: own } of rows) await assertNothingAccepted(client, deployment, own);
      for (const { client } of officialClients) await client.reconnects();
    });
  });
});
