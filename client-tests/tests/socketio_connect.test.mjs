// @ts-check
// Owns the promises of Socket.IO's connections and of event names that are polychat's alone: official clients that
// reconnect at once, ids that are not logged, names that are answered whatever they are. The requirements of the
// protocols are in conformance/.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PACKET, parseAck } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target, upgrade } from '../clients/engineio-session.mjs';
import { createUser, sendAndAwait } from '../clients/engineio-steps.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { exchange, head } from '../clients/tcp.mjs';
import { useScope } from '../harness/scope.mjs';
import { SOCKETIO, startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

const PROTOCOLS = [4, 3];
const TIMES = 40;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** The transports of a session. */
const TRANSPORTS = {
  'a WebSocket': (t, options) => WebSocketSession.open(t, server, options),
  polling: (t, options) => PollingSession.open(t, server, options),
  'a WebSocket after polling': async (t, options) => upgrade(t, server, await PollingSession.open(t, server, options)),
};

for (const client of [4, 2]) {
  test(`an official client may disconnect() and connect() at once beside another namespace (${client})`, async (t) => {
    const auth = { token: uniqueName('anna') };
    const options = client === 4 ? { auth } : { client, query: auth };
    // Version 2 is connected to `/` once, at the beginning, and never sends CONNECT to it.
    for (const [first, second] of client === 4 ? [['', '/events'], ['/events', '/']] : [['', '/events']]) {
      const stays = await connect(t, `${server.url}${first}`, options);
      const socket = stays.io.socket(second, client === 4 ? { auth } : { query: `token=${auth.token}` });
      for (let times = 0; times < TIMES; times++) {
        const connected = new Promise((resolve) => { socket.once('connect', resolve); });
        if (times > 0) socket.disconnect();
        socket.connect();
        await within(connected, () => `connection number ${times + 1}`);
      }
      assert.ok(stays.connected);
    }
  });
}

test('the id of a session is in no line of the log, however the session ends', async (t) => {
  const logged = await startServer(t, ['--log-level', 'debug', '--frame-limit', '10:20', '--handshake-timeout', '3s']);
  const sids = [];
  for (const eio of PROTOCOLS) {
    const polling = () => PollingSession.open(t, logged, { eio, token: uniqueName('anna') });
    const kinds = [polling, () => WebSocketSession.open(t, logged, { eio, token: uniqueName('anna') })];
    const sessions = await Promise.all([...kinds, ...kinds, ...kinds, ...kinds, polling].map((open) => open()));
    sids.push(...sessions.map(({ sid }) => sid));
    const [one, two, three, four, five, six] = sessions;
    const last = /** @type {PollingSession} */ (sessions.at(-1));
    for (const each of [one, two, three, four, five, six]) {
      if (eio === 4) await each.send(PACKET.connect);
      await each.packet(PACKET.connect);
    }
    await Promise.all([one.send(PACKET.close), two.send(PACKET.close), three.send('9'), four.send('9')]);
    for (const each of [five, six]) await each.send(...Array.from({ length: 400 }, () => '42["nonsense"]')).catch(() => {});
    await (await WebSocketSession.open(t, logged, { eio, sid: last.sid })).tcp.leave();
    await upgrade(t, logged, last);
    await last.poll();
  }
  const gone = async (sid) => (await exchange(t, logged, head('GET', target({ sid }))))?.status === 400;
  for (const sid of sids) await eventually(() => gone(sid), 'the session is over');
  const log = logged.logs();
  assert.ok(log.includes('DEBUG'), 'the log has the level debug');
  for (const sid of sids) assert.ok(!log.includes(sid), log.split('\n').find((line) => line.includes(sid)));
});

describe('the name of an event', () => {
  const NAMES = {
    'with letters that are not ASCII': ['"ünï"', 'ünï'],
    'with an escaped letter': ['"\\u00fc"', 'ü'],
    'with an escaped quote': ['"a\\"b"', 'a"b'],
    'with an escaped backslash': ['"a\\\\"', 'a\\'],
    'with an escaped emoji': ['"\\ud83d\\ude00"', '😀'],
    'with an emoji': ['"😀"', '😀'],
    'with a comma and brackets': ['"],[1,\\""', '],[1,"'],
    'that is empty': ['""', ''],
    'that is a number': ['5', undefined],
    'that is null': ['null', undefined],
    'that is true': ['true', undefined],
    'that is an object': ['{"a":[1]}', undefined],
    'that is a list': ['["new-message"]', undefined],
  };
  for (const eio of PROTOCOLS) {
    for (const [how, open] of Object.entries(TRANSPORTS)) {
      test(`may be any JSON value: the answer is 'invalid', and the connection stays open (${how}, protocol ${eio})`, async (t) => {
        const session = await open(t, { eio, token: uniqueName('anna') });
        if (eio === 4) await session.send(PACKET.connect);
        await session.packet(PACKET.connect);
        for (const [what, [name, meant]] of Object.entries(NAMES)) {
          for (const body of [`[${name}]`, `[${name},{}]`]) {
            await sendAndAwait(session, '4321[', `4221${body}`);
            assert.equal(parseAck(session.packets.at(-1)).body.error.code, 'invalid', `${what}: ${session.packets.at(-1)}`);
            await sendAndAwait(session, '42["exception",', `42${body}`);
            const [, { event, error }] = JSON.parse(session.packets.at(-1).slice(2));
            assert.equal(error.code, 'invalid', what);
            // socketioxide does not repeat what has to be escaped.
            const repeated = SOCKETIO === 'native' ? meant : meant?.replaceAll(/["\\]/g, '\u{fffd}');
            if (meant !== undefined) assert.equal(event, repeated, what);
          }
        }
        await sendAndAwait(session, '437[', createUser(7));
      });
    }
  }

  test('is known in each of its escaped forms', async (t) => {
    const socket = await connectByHand(t, '');
    await sendAndAwait(socket, '431[{"user"', '421["create\\u002duser",{"user":{"externalUserId":"escaped"}}]');
    await sendAndAwait(socket, '42["create-user"', '42["\\u0063reate-user",{"user":{"externalUserId":"escaped"}}]');
  });

  test('may be any JSON value in the marketplace, too', async (t) => {
    const socket = await connectByHand(t, '/events,');
    for (const [name] of Object.values(NAMES)) {
      await sendAndAwait(socket, '43/events,3[', `42/events,3[${name},{}]`);
      assert.match(socket.packets.findLast((packet) => packet.startsWith('43')) ?? '', /"code":"invalid"/, name);
      await sendAndAwait(socket, '42/events,["debug_info"', `42/events,[${name},{}]`);
    }
    await sendAndAwait(socket, '43/events,4[', '42/events,4["load_history",{}]');
  });
});

async function connectByHand(t, namespace) {
  const socket = await WebSocketSession.open(t, server, { token: uniqueName('anna') });
  await sendAndAwait(socket, `40${namespace}{`, `40${namespace}`);
  return socket;
}

test('a name that is not ASCII does not end the connection of an official client', async (t) => {
  for (const client of [4, 2]) {
    const socket = await connect(t, server.url, { client });
    const answer = await within(new Promise((resolve) => { socket.emit('ünï "x"', {}, resolve); }), () => 'the answer');
    assert.equal(answer.error.code, 'invalid');
    await ask(socket, 'create-user', { user: { externalUserId: uniqueName('anna') } });
  }
});
