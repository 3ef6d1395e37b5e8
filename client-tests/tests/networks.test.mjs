// @ts-check
// Owns the promise that a network which breaks WebSockets costs no client a message: each fault beside Node's
// socket.io.
// Does not know how transports are changed, only the frames that the official clients receive, and the number of their
// requests.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { PACKET, RawPolling, eventBody } from '../clients/engineio.mjs';
import { chatOf, connectUsers, sendMessage, seqsOf } from '../clients/fixtures.mjs';
import { connect, open } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startReference, startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';
import { FAULTS, startMiddlebox } from './networks.middlebox.mjs';

const VERSIONS = [4, 3, 2];

/** A message every half second, until longer than a probe may take on either server. */
const MESSAGES = 23;
const INTERVAL_MS = 500;
const PROBE_MS = 10_000;

/**
 * Timing decides whether two messages come by one poll or by two, and whether a packet of the client meets another in one
 * POST; a poll that waits is one request more.
 */
const REQUESTS = { factor: 1.1, more: 8 };

/**
 * The faults that leave a probe without an end. Until its time is up either server answers a poll ten times a second: how
 * many polls that are is a matter of how fast server and client are, one of which may have the processor and the other not.
 */
const ENDLESS = ['swallows the frames of the server', 'changes the text of 3probe'];
const POLLS_OF_PROBE = PROBE_MS / 100;

/** A client connects again when a fault has ended its session, which is no matter of timing. */
const CONNECTS = { factor: 1.1, more: 0 };

const atMost = (count, { factor, more }) => Math.floor(count * factor) + more;

/** The messages of one client: the seqs of pushed ones, for each of its connections, and those that it requested. */
class ClientRecord {
  /** @type {number[][]} */
  pushed = [];
  fetched = new Set();
  /** @type {string[]} */
  losses = [];

  constructor(middlebox) { this.middlebox = middlebox; }

  /** Records a socket that has not connected yet, which requests at each connect what it has missed. */
  record(socket, chat) {
    socket.on('connect', () => {
      this.pushed.push([]);
      socket.emit('list-messages', { chat: { id: chat.id }, query: { after_seq: this.complete } }, ({ messages }) => {
        for (const seq of seqsOf(messages)) this.fetched.add(seq);
      });
    });
    socket.on('disconnect', (reason) => this.losses.push(reason));
    socket.on('new-message', ({ seq }) => this.pushed.at(-1)?.push(seq));
  }

  get connects() { return this.pushed.length; }

  get requests() { return this.middlebox.requests; }

  /** The seq up to which nothing is missing. */
  get complete() {
    const received = new Set([...this.fetched, ...this.pushed.flat()]);
    let seq = 0;
    while (received.has(seq + 1)) seq += 1;
    return seq;
  }

  toString() {
    const { connects, requests, losses, pushed } = this;
    return JSON.stringify({ connects, requests, losses, pushed, fetched: [...this.fetched] });
  }
}

/** A client of this version behind a middlebox of its own. */
async function startClient(owner, server, { chat, user }, version, fault) {
  const middlebox = await startMiddlebox(owner, server, fault);
  const client = new ClientRecord(middlebox);
  const token = user.externalUserId;
  open(owner, middlebox.url, {
    client: version, transports: ['polling', 'websocket'], reconnection: true, randomizationFactor: 0,
    auth: { token }, query: { token }, opened: (socket) => client.record(socket, chat),
  });
  return client;
}

/** The room of the reference, which has but one. */
async function referenceRoom(owner, server) {
  const socket = await connect(owner, server.url);
  return { sender: { socket }, chat: { id: 'the only one' }, user: { externalUserId: 'anybody' } };
}

async function polychatRoom(owner, server) {
  const [sender, receiver] = await connectUsers(owner, server, 'alice', 'boris');
  return { sender, chat: await chatOf(sender, receiver), user: receiver.user };
}

/** A client of each version behind each fault, at once, and messages to them: their records. */
async function runAll(owner, server, room) {
  const clients = {};
  for (const version of VERSIONS) {
    clients[version] = {};
    for (const [name, fault] of Object.entries(FAULTS)) {
      clients[version][name] = await startClient(owner, server, room, version, fault);
    }
  }
  for (let seq = 1; seq <= MESSAGES; seq++) {
    await setTimeout(INTERVAL_MS);
    assert.equal((await sendMessage(room.sender, room.chat, `message ${seq}`)).seq, seq);
  }
  return clients;
}

/** Each connection gets its messages in order, without a gap, once; and with what the client requested none is missing. */
function assertComplete(client) {
  for (const seqs of client.pushed) {
    assert.deepEqual(seqs, seqs.map((_, index) => seqs[0] + index), `in order, once, without a gap: ${client}`);
  }
  assert.equal(client.complete, MESSAGES, `everything has come: ${client}`);
}

describe('behind a network that breaks WebSockets', () => {
  const scope = useScope();
  let polychat;
  let reference;
  before(async () => {
    const servers = [await startServer(scope), await startReference(scope)];
    const rooms = [await polychatRoom(scope, servers[0]), await referenceRoom(scope, servers[1])];
    [polychat, reference] = await Promise.all(servers.map((server, index) => runAll(scope, server, rooms[index])));
    const all = [polychat, reference].flatMap((clients) => Object.values(clients)).flatMap((clients) => Object.values(clients));
    // The last message is still under way to some. A failure is that of the test of its client.
    await eventually(() => all.every(({ complete }) => complete === MESSAGES), 'everything has come').catch(() => {});
  });

  for (const version of VERSIONS) {
    for (const name of Object.keys(FAULTS)) {
      test(`which ${name}, a client of version ${version} gets every message once, with as many requests as from Node`, () => {
        const [client, judge] = [polychat, reference].map((clients) => clients[version][name]);
        assertComplete(judge);
        assertComplete(client);
        const both = `polychat: ${client}, Node: ${judge}`;
        assert.ok(client.connects <= atMost(judge.connects, CONNECTS), `connects: ${both}`);
        const judged = ENDLESS.includes(name) ? Math.max(judge.requests, MESSAGES + POLLS_OF_PROBE) : judge.requests;
        assert.ok(client.requests <= atMost(judged, REQUESTS), `requests: ${both}`);
      });
    }
  }
});

/** How far a client gets with its probe before the connection ends. */
const PROBES = {
  'before its first frame': async () => {},
  'after 2probe': async (probe) => probe.send('2probe'),
  'after 3probe': async (probe) => {
    probe.send('2probe');
    assert.equal(`${(await once(probe, 'message'))[0]}`, '3probe');
  },
  'after a frame that is not 2probe': async (probe) => probe.send('2else'),
};
const ENDINGS = { closes: (probe) => probe.close(), 'is cut': (probe) => probe.terminate() };

const SERVERS = [
  { name: 'polychat', start: startServer, roomOf: polychatRoom },
  { name: 'Node', start: startReference, roomOf: referenceRoom },
];

for (const { name, start, roomOf } of SERVERS) {
  describe(`a session of ${name} continues over polling when a WebSocket for it`, () => {
    const scope = useScope();
    let server;
    let room;
    before(async () => {
      server = await start(scope);
      room = await roomOf(scope, server);
    });

    for (const [end, finish] of Object.entries(ENDINGS)) {
      for (const [when, probing] of Object.entries(PROBES)) {
        test(`${end} ${when}`, async () => {
          const session = await new RawPolling(server.url).open();
          await session.post(`${PACKET.connect}${JSON.stringify({ token: room.user.externalUserId })}`);
          await session.packet(PACKET.connect);
          const waiting = session.packet(PACKET.event);
          waiting.catch(() => {}); // awaited below
          const query = `EIO=4&transport=websocket&sid=${session.handshake.sid}`;
          const probe = new WebSocket(`${server.url.replace('http', 'ws')}/socket.io/?${query}`);
          await within(once(probe, 'open').then(() => probing(probe)), () => 'a probe');
          finish(probe);
          await within(once(probe, 'close'), () => 'the end of the probe');
          const { seq } = await sendMessage(room.sender, room.chat, 'after the probe');
          assert.equal(eventBody(await waiting, 'new-message').seq, seq);
          await sendMessage(room.sender, room.chat, 'once more');
          assert.equal(eventBody(await session.packet(PACKET.event), 'new-message').seq, seq + 1);
        });
      }
    }
  });
}
