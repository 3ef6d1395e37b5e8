// @ts-check
// Owns the ends of Socket.IO connections as one table: each reason, on each transport of both protocols, what the client
// sees, that it may come back, and that nothing is accepted afterwards. Does not know the transports: ends.carriers.mjs does.
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
import { CARRIERS, GONE } from './ends.carriers.mjs';
import { CLIENTS, Official } from './ends.clients.mjs';

const PROTOCOLS = [4, 3];
const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

/** When a token that was made in this second ends, in seconds. */
const LIFE_S = 3;

/** How early an end may be, and how late: about a second. */
const EARLY_MS = 1000;
const LATE_MS = 2000;

const message = (room, msg, ack = '') => `${PACKET.event}${ack}${JSON.stringify(['new-message', { room, msg }])}`;

/** The server of a reason, with its backend. */
class House {
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

  /** A chat of somebody new and somebody else, and the texts in it. */
  async chat() {
    const [user, other] = [await this.backend.user('bob'), await this.backend.user('alice')];
    const { id } = await this.backend.chat(user, other);
    const say = (text) => this.backend.say({ id }, other, text);
    const texts = async () => (await this.backend.all(`/chats/${id}/messages?after_seq=0`, 'messages', 1000)).flat().map(({ msg }) => msg);
    return { id, user, say, texts, name: user.externalUserId };
  }

  /** How many connections were cut because they lagged. */
  async lagged() { return (await scrape(this.server, this.service)).of('polychat_slow_clients_cut_total'); }
}

/** More than the kernel keeps for a connection, and than may wait for one. */
const LARGE = 'x'.repeat(400_000);
const MOST_LARGE = 60;
const OUTBOX_BYTES = '2000000';

/**
 * A reason: the options of the server; whether the client is admitted, and how long its token lives; how its end comes about,
 * whether that is due at the moment when `provoke` is done, and what is seen of it on each kind of transport; how it comes
 * about for an official client.
 * @typedef {{
 *   args?: string[], stranger?: boolean, life?: number, provoke: (client: any, chat: any, house: House) => Promise<unknown>,
 *   isDue?: boolean, seen: { socket: string, waiting: string, idle: string }, without?: (carrier: string) => boolean,
 *   official?: (client: Official, chat: any, house: House) => unknown,
 * }} Row
 */

/** @type {Record<string, Row>} */
const REASONS = {
  'its token ends': {
    life: LIFE_S,
    provoke: (client, { ends }) => sleep(ends * 1000 - Date.now()),
    isDue: true,
    seen: { socket: '1008', waiting: GONE, idle: GONE },
    official: () => {},
  },
  'it does not keep up': {
    args: ['--max-message-bytes', `${LARGE.length}`, '--max-outbox-bytes', OUTBOX_BYTES],
    // A poll that waits is one that keeps up.
    without: (carrier) => carrier.includes('a poll waits') || carrier.includes('probe'),
    provoke: async (client, { say }, house) => {
      client.stall();
      await fill(say, house, client.kind === 'idle' ? 12 : Infinity);
      client.resume();
    },
    seen: { socket: '1013', waiting: GONE, idle: GONE },
    official: async (client, { say }, house) => {
      if (client.transport !== 'websocket') return 'not by polling';
      const resume = client.stall();
      await fill(say, house, Infinity);
      return resume();
    },
  },
  'it is too fast': {
    args: ['--rate-limit', '20:5', '--frame-limit', 'off'],
    provoke: async (client, { id }) => {
      for (let bodies = 0; bodies < 20; bodies++) {
        const answer = await client.send(...Array.from({ length: 100 }, (_, index) => message(id, `flood ${index}`)));
        if (answer && answer.status !== 200) break;
      }
      await sleep(500); // so that one more would be let through
    },
    seen: { socket: '1008', waiting: GONE, idle: GONE },
    official: async ({ socket }, { id }) => {
      for (let bodies = 0; bodies < 20 && socket.connected; bodies++) {
        for (let index = 0; index < 100; index++) socket.emit('new-message', { room: id, msg: `flood ${index}` });
        await sleep(50);
      }
    },
  },
  'it breaks the protocol': {
    provoke: (client) => client.send('9'),
    seen: { socket: '1002', waiting: PACKET.close, idle: GONE },
    official: (client) => client.sendBroken('9'),
  },
  'it is not admitted in time': {
    args: ['--handshake-timeout', '2s'],
    stranger: true,
    provoke: () => sleep(2000),
    isDue: true,
    seen: { socket: '1008', waiting: GONE, idle: GONE },
  },
  'it gives no sign of life': {
    provoke: () => sleep(45_000),
    isDue: true,
    seen: { socket: 'cut', waiting: GONE, idle: GONE },
  },
};

/** Writes until somebody who does not read is cut off, or so many messages. */
async function fill(say, house, most) {
  const earlier = await house.lagged();
  for (let count = 0; count < most && await house.lagged() === earlier; count++) {
    assert.ok(count < MOST_LARGE, 'nobody was cut off');
    await say(LARGE);
  }
}

/** Nothing that the client was sent keeps it from coming back, but what it has earned. */
function mayComeBack({ packets }, ...earned) {
  const final = packets.filter((packet) => packet === '41' || packet === PACKET.close || packet.startsWith('44'));
  assert.deepEqual(final, earned);
}

/** What is sent after the end is neither taken nor stored. */
async function isNotHeard(client, house, chat, hello = []) {
  for (const words of await client.insist(house.server, ...hello, message(chat.id, 'afterwards'))) assert.equal(words, GONE);
  await sleep(100);
  assert.ok(!(await chat.texts()).includes('afterwards'), 'what was sent afterwards is stored');
}

/** A client that is connected, if it is to be, and has been heard. */
async function settled(t, house, { open, eio, life = 3600, stranger = false }) {
  const chat = await house.chat();
  const ends = now() + life;
  const jwt = await token({ sub: chat.name, exp: ends });
  const client = await open(t, house.server, { eio, token: stranger ? undefined : jwt });
  if (!stranger) {
    if (eio === 4) await client.send(PACKET.connect);
    await client.packet(PACKET.connect);
    await client.send(message(chat.id, 'before', '1'));
    await client.packet(`${PACKET.ack}1`);
  }
  client.watch();
  await sleep(200); // by then a poll waits
  return { client, chat: { ...chat, ends } };
}

async function endsAsSaid(t, house, carrier, eio, row) {
  const { provoke, isDue = false, seen, stranger = false } = row;
  const { client, chat } = await settled(t, house, { ...row, open: CARRIERS[carrier], eio });
  const sight = client.kind === 'idle' ? undefined : client.end().then((end) => ({ end, at: Date.now() }));
  sight?.catch(() => {}); // awaited below
  await provoke(client, chat, house);
  const due = Date.now();
  if (isDue && !sight) await sleep(LATE_MS);
  const { end, at } = await within(sight ?? client.end().then((words) => ({ end: words, at: due })), () => 'the end');
  assert.equal(end, seen[client.kind]);
  if (isDue) assert.ok(at > due - EARLY_MS && at < due + LATE_MS, `the end came ${at - due} ms after it was due`);
  const earned = stranger && eio === 3 && client.kind !== 'idle' ? ['44"unauthenticated"'] : [];
  mayComeBack(client, ...earned, ...(end === PACKET.close ? [PACKET.close] : []));
  const hello = stranger && eio === 4 ? [`40${JSON.stringify({ token: await token({ sub: chat.name }) })}`] : [];
  await isNotHeard(client, house, chat, hello);
  assert.equal((await chat.texts()).includes('before'), !stranger, 'what was sent before is stored');
}

async function comesBack(t, house, kind, /** @type {any} */ { life = 3600, official }) {
  const chat = await house.chat();
  const tokens = [await token({ sub: chat.name, exp: now() + life }), await token({ sub: chat.name })];
  const client = await new Official(t, house.server, CLIENTS[kind], tokens).arrives();
  await official(client, chat, house);
  await client.comesBack();
}

describe('a session ends', { concurrency: true }, () => {
  for (const [reason, row] of Object.entries(REASONS)) {
    describe(`when ${reason}`, { concurrency: row.isDue === true }, () => {
      const scope = useScope();
      let house;
      before(async () => { house = await new House(scope, row.args).open(); });

      for (const eio of PROTOCOLS) {
        for (const carrier of Object.keys(CARRIERS).filter((name) => !row.without?.(name))) {
          test(`${carrier}, protocol ${eio}`, (t) => endsAsSaid(t, house, carrier, eio, row));
        }
      }
      for (const kind of row.official ? Object.keys(CLIENTS) : []) {
        if (row.without && kind.endsWith('by polling')) continue;
        test(`${kind} comes back by itself`, (t) => comesBack(t, house, kind, row));
      }
    });
  }

  describe('when the server is told to end', () => {
    const SEEN = { socket: '1012', waiting: 'HTTP 503' };
    /** What somebody hears who insists, until the next server has begun. */
    const DEAF = [GONE, 'cut', 'HTTP 503'];

    test('on every transport, and official clients come back by themselves', async (t) => {
      const house = await new House(t).open();
      const rows = [];
      for (const eio of PROTOCOLS) {
        for (const [carrier, open] of Object.entries(CARRIERS)) {
          rows.push({ name: `${carrier}, protocol ${eio}`, ...await settled(t, house, { open, eio }) });
        }
      }
      const chat = await house.chat();
      const jwt = await token({ sub: chat.name });
      const officials = Object.entries(CLIENTS).map(([name, client]) => ({ name, client: new Official(t, house.server, client, [jwt]) }));
      for (const { client } of officials) await client.arrives();

      const stopped = house.server.stop();
      for (const { name, client } of rows) {
        if (client.kind !== 'idle') assert.equal(await within(client.end(), () => `the end of ${name}`), SEEN[client.kind], name);
      }
      for (const { name, client, chat: { id } } of rows) {
        const [posted, polled] = await client.insist(house.server, message(id, 'afterwards'));
        assert.ok(DEAF.includes(posted), `${name}: a body was answered ${posted}`);
        // Whoever did not poll may still take what waits.
        assert.ok(DEAF.includes(polled) || (client.kind === 'idle' && polled.startsWith(PACKET.event)), `${name}: a poll was answered ${polled}`);
        mayComeBack(client);
      }
      assert.deepEqual(await stopped, { code: 0, signal: null });
      await house.start();
      for (const { client, chat: own } of rows) await isNotHeard(client, house, own);
      for (const { client } of officials) await client.comesBack();
    });
  });
});
