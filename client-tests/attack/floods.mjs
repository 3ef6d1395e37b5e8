// @ts-check
// Owns the floods: sessions without a token, refusals, aborted connects, frames without end, rooms in a loop, large `sync`,
// readers that do not read, slow requests. Memory, the log and the delay of another client are measured against bounds.
import { during } from './tally.mjs';
import { chatOf, connectUser, connectUsers, sendMany, sendMessage } from '../clients/fixtures.mjs';
import { RawClient } from '../clients/engineio.mjs';
import { target } from '../clients/engineio-session.mjs';
import { Backend } from '../clients/rest.mjs';
import { TcpConnection, UPGRADE_LINES, exchange, frame, head, pipeline } from '../clients/tcp.mjs';
import { connectType } from '../clients/type-data.mjs';
import { VISITS, visitMany } from '../clients/visits.mjs';
import { newScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET } from '../harness/tokens.mjs';

const HOST = 'Host: localhost';
const MIB = 1024 * 1024;
const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

/** How long another client may wait for an acknowledgement, on a machine with other work. */
const MOST_DELAY_MS = 5000;

/** The pace of that client, within the default limits. */
const PACE_MS = 60;

/** What the allocator and other work may take besides. */
const SLACK_MIB = 32;

/** How much the log may grow in a flood. */
const MOST_LOG_KIB = 128;

const inMib = (bytes) => Math.round(bytes / MIB * 10) / 10;

/** Measures a server from now on. */
function measure(server) {
  const [before, log] = [server.memory(), server.logs().length];
  return {
    /** Bounds the growth of the highest memory and of the log. */
    judge(tally, mostMib) {
      tally.bound('memory', inMib(server.memory().peak - before.now), mostMib, 'MiB');
      tally.bound('log', Math.round((server.logs().length - log) / 1024), MOST_LOG_KIB, 'KiB');
    },
  };
}

/** Another client, which writes until `stop()`: how long it waited for an acknowledgement at most. */
async function startBystander(t, server) {
  const anna = await connectUser(t, server, 'bystander');
  const chat = await chatOf(anna);
  let [going, slowest] = [true, 0];
  const writing = (async () => {
    while (going) {
      const began = performance.now();
      await sendMessage(anna, chat, 'still here');
      slowest = Math.max(slowest, performance.now() - began);
      await new Promise((resolve) => { setTimeout(resolve, PACE_MS); });
    }
  })();
  writing.catch(() => {}); // awaited below
  return {
    async judge(tally) {
      going = false;
      await writing;
      tally.bound('another client waited', Math.round(slowest), MOST_DELAY_MS, 'ms');
    },
  };
}

/** @typedef {import('./tally.mjs').Run} Run */

async function handshakes({ t, seconds, tally }) {
  const server = await startServer(t, [...JWT, '--handshake-timeout', '2s']);
  const measured = measure(server);
  const count = 1000;
  await during(seconds, async () => {
    const scope = newScope();
    await Promise.all([4, 3, 4, 3].map((eio) => pipeline(scope, server, count, () => head('GET', target({ eio }), [HOST]))));
    await scope.end();
    tally.count(4 * count);
  });
  measured.judge(tally, 48);
}

/** CONNECTs with a token that is refused, as many as a session accepts, on session after session. */
async function refusals({ t, seconds, tally }) {
  const server = await startServer(t, JWT);
  const measured = measure(server);
  const packets = Buffer.concat(Array.from({ length: 50 }, () => frame('40{"token":"x"}')));
  const lane = () => during(seconds, async () => {
    const scope = newScope();
    const connection = await TcpConnection.open(scope, server);
    await connection.request('GET', target({ transport: 'websocket' }), [HOST, ...UPGRADE_LINES]);
    connection.write(packets);
    await connection.ended(20_000).catch(() => tally.fail('a session with 50 refused CONNECTs goes on'));
    await scope.end();
    tally.count(50);
  });
  await Promise.all(Array.from({ length: 8 }, lane));
  measured.judge(tally, SLACK_MIB);
}

async function aborted({ t, seconds, tally }) {
  const server = await startServer(t, [
    '--max-connections-per-user', 'off', '--max-unauthenticated', 'off', '--handshake-timeout', '1s',
  ]);
  const idle = server.openSockets();
  const count = 1000;
  const round = async () => { for (const visit of Object.values(VISITS)) await visitMany(server, visit, count, idle); };
  await round();
  await round();
  const measured = measure(server);
  await during(seconds, async () => {
    await round();
    tally.count(Object.keys(VISITS).length * count);
  });
  measured.judge(tally, 24);
}

/** What no session is: long ids of sessions, of which nothing may be kept. */
async function longIds({ t, seconds, tally }) {
  const server = await startServer(t);
  const paths = [(sid) => `/livez?transport=websocket&sid=${sid}`, (sid) => target({ sid }), (sid) => target({ transport: sid })];
  const round = async (count) => {
    for (const path of paths) {
      await pipeline(t, server, count, (index) => head('GET', path(`${index}`.padEnd(60_000, 'x')), [HOST]));
    }
  };
  await round(64);
  const measured = measure(server);
  await during(seconds, async () => {
    await round(320);
    tally.count(paths.length * 320);
  });
  measured.judge(tally, 40);
}

/** Frames without a pause over the default limits, whole and broken, from connection after connection. */
async function frames({ t, seconds, tally }) {
  const server = await startServer(t, ['--rate-limit', '20:100']);
  const bystander = await startBystander(t, server);
  const measured = measure(server);
  // Ten bursts, of 500 frames each, and more.
  const count = 20_000;
  const texts = ['{"type":"getChats","data":{}}', 'rubbish'];
  const bytes = Buffer.concat(Array.from({ length: count }, (_, index) => frame(texts[index % 2])));
  await during(seconds, async (round) => {
    const scope = newScope();
    await Promise.all(Array.from({ length: 4 }, async (_, lane) => {
      const connection = await TcpConnection.open(scope, server);
      await connection.request('GET', `/ws/chats/?token=flood-${round}-${lane}`, [HOST, ...UPGRADE_LINES]);
      connection.write(bytes);
      await connection.ended(20_000).catch(() => tally.fail('a connection that ignores the limits goes on'));
    }));
    await scope.end();
    tally.count(4 * count);
  });
  measured.judge(tally, 64);
  await bystander.judge(tally);
}

async function rooms({ t, seconds, tally }) {
  const most = 20;
  const server = await startServer(t, ['--max-chats-per-user', `${most}`]);
  const bystander = await startBystander(t, server);
  const measured = measure(server);
  const eve = await connectType(t, server, 'eve');
  await during(seconds, async () => {
    const [count, before] = [500, eve.wire.frames.length];
    for (let sent = 0; sent < count; sent++) eve.wire.send({ type: 'createEmptyChat', data: {} });
    await eve.wire.untilMany(() => true, before + count, 'answers', 30_000);
    tally.count(count);
  });
  measured.judge(tally, SLACK_MIB);
  await bystander.judge(tally);
  const { chats } = await new Backend(server).get('/chats?limit=500');
  tally.bound('rooms', chats.length - 1, most, 'chats');
}

/** `sync` that names as many unknown chats as it may, on several connections, again and again. */
async function syncs({ t, seconds, tally }) {
  const server = await startServer(t);
  const bystander = await startBystander(t, server);
  const users = await connectUsers(t, server, 'eve', 'mallory', 'trudy', 'oscar');
  const measured = measure(server);
  const unknown = (index) => `01890000-0000-7000-8000-${`${index}`.padStart(12, '0')}`;
  const chats = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [unknown(index), 0]));
  await Promise.all(users.map(({ socket }) => during(seconds, async () => {
    await socket.timeout(20_000).emitWithAck('sync', { chats });
    tally.count();
  })));
  measured.judge(tally, 64);
  await bystander.judge(tally);
}

/** Connections of one user that request long histories of characters which are escaped, and do not read. */
async function slowReaders({ t, seconds, tally, short }) {
  const server = await startServer(t);
  const [eve, other] = await connectUsers(t, server, 'eve', 'other');
  const chat = await chatOf(eve, other);
  await sendMany(eve, chat, 200, () => '\u0001'.repeat(16_000), 20);
  const bystander = await startBystander(t, server);
  const measured = measure(server);
  const connections = short ? 10 : 40;
  const requests = 20;
  await Promise.all(Array.from({ length: connections }, async () => {
    const client = await new RawClient(t, server.url).becomes(eve);
    client.pause();
    const request = JSON.stringify(['list-messages', { chat: { id: chat.id } }]);
    for (let sent = 0; sent < requests; sent++) client.send(`42${sent}${request}`);
    tally.count(requests);
  }));
  await during(seconds, () => new Promise((resolve) => { setTimeout(resolve, 100); }));
  // Of a user four outboxes of 4 MiB.
  measured.judge(tally, 4 * 4 + SLACK_MIB);
  await bystander.judge(tally);
}

/** Requests and upgrades that come byte by byte and never end. */
async function slowRequests({ t, seconds, tally }) {
  const server = await startServer(t, ['--handshake-timeout', '2s']);
  const bystander = await startBystander(t, server);
  const measured = measure(server);
  const lines = [HOST, 'Content-Type: application/json', 'Content-Length: 1000'];
  const starts = ['G', 'GET / HTTP/1.1\r\nX: ', `${head('POST', '/api/v1/users', lines)}{`];
  await during(seconds, async () => {
    const scope = newScope();
    const connections = await Promise.all(Array.from({ length: 150 }, () => TcpConnection.open(scope, server)));
    const write = (text) => connections.forEach((connection, index) => connection.write(text(starts[index % 3])));
    write((start) => start);
    const sending = setInterval(() => write((start) => start.at(-1)), 250);
    await Promise.all(connections.map((connection) => (
      connection.ended(12_000).catch(() => tally.fail('a request that never ends is served on'))
    )));
    clearInterval(sending);
    await scope.end();
    tally.count(connections.length);
  });
  measured.judge(tally, SLACK_MIB);
  await bystander.judge(tally);
}

/** The time for a body, and a second more for its first KiB, and one for the answer. */
const BODY_MS = 13_000;

/** Lengths that promise far more than is accepted. */
async function lengths({ t, seconds, tally }) {
  const server = await startServer(t);
  const bystander = await startBystander(t, server);
  const measured = measure(server);
  const bytesOf = (length) => Array.from({ length: 8 }, (_, index) => Number((length >> BigInt(56 - 8 * index)) & 0xffn));
  const frameOf = (length) => Buffer.from([0x81, 0xff, ...bytesOf(length), 0, 0, 0, 0]);
  await during(seconds, async () => {
    const scope = newScope();
    await Promise.all([2n ** 63n - 1n, 2n ** 40n, 2n ** 32n, 2n ** 24n].map(async (length) => {
      for (const path of ['/ws/chats/?token=eve', target({ transport: 'websocket' })]) {
        const connection = await TcpConnection.open(scope, server);
        await connection.request('GET', path, [HOST, ...UPGRADE_LINES]);
        connection.write(Buffer.concat([frameOf(length), Buffer.alloc(1000)]));
        await connection.ended(5000).catch(() => tally.fail(`a frame of ${length} bytes is read on`));
        tally.count();
      }
      const lines = [HOST, 'Content-Type: application/json', `Content-Length: ${length}`];
      const answer = await exchange(scope, server, head('POST', '/api/v1/users', lines) + '{'.repeat(1000), BODY_MS);
      if (answer && answer.status < 400) tally.fail(`a body of ${length} bytes is answered ${answer.status}`);
      tally.count();
    }));
    await scope.end();
  });
  measured.judge(tally, SLACK_MIB);
  await bystander.judge(tally);
}

/**
 * @typedef {import('./tally.mjs').Attack} Attack
 * @type {(what: string, holds: string, run: (run: Run) => Promise<void>, seconds: number, short?: number) => Attack}
 */
const flood = (what, holds, run, seconds, short) => ({ kind: 'floods', what, holds, run, seconds, short });

export const ATTACKS = [
  flood('handshakes without a token, of both protocols', 'bounds of memory and log', handshakes, 8, 3),
  flood('CONNECTs with a token that is refused', 'the session ends; bounds of memory and log', refusals, 8, 2),
  flood('connects that are aborted behind CONNECT', 'memory is given back', aborted, 8),
  flood('requests with ids of sessions of 60 KB', 'nothing is kept of them', longIds, 6),
  flood('frames without a pause over the default limits', 'the connection ends; others are served', frames, 6, 2),
  flood('rooms in a loop', 'as many as a user may have', rooms, 5),
  flood('`sync` of 1,000 unknown chats, on four connections', 'others are served', syncs, 6, 2),
  flood('long histories requested on connections that do not read', 'bounds of memory; others are served', slowReaders, 5, 2),
  flood('requests that come byte by byte and never end', 'they end with `--handshake-timeout`; others are served', slowRequests, 6, 3),
  flood('frames and bodies that announce up to 2^63 bytes', 'frames are refused at once, bodies with the time limit', lengths, 4),
];
