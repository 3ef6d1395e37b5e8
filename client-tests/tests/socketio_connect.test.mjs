// @ts-check
// Owns the promises of Socket.IO's CONNECT and of event names: who is connected, under which id, and that no name ends a
// connection. Runs against Node's server with JUDGE=node. Does not know what becomes of a CONNECT in times of trouble.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET, parseAck } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target, upgrade } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { ask, connect, connectRefused } from '../clients/socketio.mjs';
import { exchange, frame, head } from '../clients/tcp.mjs';
import { isJudged, skipOnNode, startSubject } from '../harness/judge.mjs';
import { useScope } from '../harness/scope.mjs';
import { SOCKETIO, startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { eventually, within } from '../harness/wait.mjs';

const PROTOCOLS = [4, 3];
const TIMES = 40;

let server;
/** A server that refuses the token `wrong`, and takes `good`. */
let strict;
let good;
const scope = useScope();
before(async () => {
  server = await startSubject(scope);
  strict = isJudged ? server : await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  good = await token({ sub: 'anna' });
});

/** The transports of a session. */
const TRANSPORTS = {
  'a WebSocket': (t, options) => WebSocketSession.open(t, server, options),
  polling: (t, options) => PollingSession.open(t, server, options),
  'a WebSocket after polling': async (t, options) => upgrade(t, server, await PollingSession.open(t, server, options)),
};

const countOf = (session, prefix) => session.packets.filter((packet) => packet.startsWith(prefix)).length;

/** Waits for one more packet with this prefix than `before`. */
async function awaitOneMore(session, prefix, earlier) {
  const enough = () => countOf(session, prefix) > earlier;
  if (session instanceof WebSocketSession) await session.until(enough, `${prefix}… number ${earlier + 1}`);
  else for (let polls = 0; !enough(); polls++) {
    assert.ok(polls < 20, `no ${prefix}… number ${earlier + 1}`);
    assert.equal((await session.poll()).status, 200);
  }
}

/** Sends packets and waits for one more packet with this prefix. */
async function sendAndAwait(session, prefix, ...packets) {
  const earlier = countOf(session, prefix);
  await session.send(...packets);
  await awaitOneMore(session, prefix, earlier);
}

const createUser = (namespace, ack) => `42${namespace}${ack}["create-user",{"user":{"externalUserId":"${uniqueName('hello')}"}}]`;

describe('CONNECT right behind DISCONNECT', skipOnNode('it closes the connection'), () => {
  for (const [how, open] of Object.entries(TRANSPORTS)) {
    test(`is answered each time, in each namespace, and does not affect the other one (${how})`, async (t) => {
      const auth = JSON.stringify({ token: uniqueName('anna') });
      const session = await open(t, {});
      await sendAndAwait(session, '40{', `40${auth}`);
      await sendAndAwait(session, '40/events,{', `40/events,${auth}`);
      for (const [namespace, other] of [['', '/events,'], ['/events,', '']]) {
        for (let times = 0; times < TIMES; times++) {
          await sendAndAwait(session, `40${namespace}{`, `41${namespace}`, `40${namespace}${auth}`);
        }
        await sendAndAwait(session, `43${other}7[`, createUser(other, 7));
        await sendAndAwait(session, `43${namespace}8[`, createUser(namespace, 8));
      }
      assert.equal(session.packets.filter((packet) => packet.startsWith('41') || packet.startsWith('44')).length, 0);
    });
  }

  test('is answered each time in one TCP segment with it', async (t) => {
    const auth = JSON.stringify({ token: uniqueName('anna') });
    const socket = await WebSocketSession.open(t, server);
    for (const namespace of ['', '/events,']) {
      await sendAndAwait(socket, `40${namespace}{`, `40${namespace}${auth}`);
      for (let times = 0; times < TIMES; times++) {
        const earlier = countOf(socket, `40${namespace}{`);
        socket.tcp.write(Buffer.concat([frame(`41${namespace}`), frame(`40${namespace}${auth}`)]));
        await awaitOneMore(socket, `40${namespace}{`, earlier);
      }
    }
  });

  test('is answered each time by protocol 3', async (t) => {
    const query = `?token=${uniqueName('anna')}`;
    const socket = await WebSocketSession.open(t, server, { eio: 3 });
    await sendAndAwait(socket, '40/events', `40/events${query},`);
    for (let times = 0; times < TIMES; times++) {
      await sendAndAwait(socket, '40/events', '41/events,', `40/events${query},`);
    }
    await sendAndAwait(socket, '43/events,8[', createUser('/events,', 8));
  });

  for (const client of [4, 2]) {
    test(`is what an official client does by disconnect() and connect() beside another namespace (${client})`, async (t) => {
      const auth = { token: uniqueName('anna') };
      const options = client === 4 ? { auth } : { client, query: auth };
      // Version 2 is connected to `/` once, at the beginning, and asks for it never.
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
});

describe('the id of a connection', () => {
  for (const [how, open] of Object.entries(TRANSPORTS)) {
    test(`differs in each namespace, and is no session id (${how})`, async (t) => {
      const session = await open(t, { token: uniqueName('anna') });
      const { sid } = session;
      await sendAndAwait(session, '40{', '40');
      await sendAndAwait(session, '40/events,{', '40/events,');
      const ids = ['40{', '40/events,{'].map((prefix) => {
        const packet = session.packets.find((each) => each.startsWith(prefix));
        return JSON.parse(packet.slice(packet.indexOf('{'))).sid;
      });
      assert.equal(new Set([sid, ...ids]).size, 3, `${[sid, ...ids]}`);
      for (const id of ids) {
        const poll = await exchange(t, server, head('GET', target({ sid: id })));
        const post = await exchange(t, server, head('POST', target({ sid: id }), ['Host: localhost', 'Content-Length: 0']));
        for (const response of [poll, post]) {
          assert.equal(response?.status, 400, response?.body);
          assert.deepEqual(JSON.parse(response.body), { code: 1, message: 'Session ID unknown' });
        }
      }
      await sendAndAwait(session, '439[', createUser('', 9));
    });
  }

  test('of a session is in no line of the log, however the session ends', skipOnNode('it has no log'), async (t) => {
    const logged = await startServer(t, ['--log-level', 'debug', '--frame-limit', '10:20', '--handshake-timeout', '1s']);
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
      (await WebSocketSession.open(t, logged, { eio, sid: last.sid })).tcp.destroy();
      await sleep(100);
      await upgrade(t, logged, last);
      await last.poll();
    }
    const gone = async (sid) => (await exchange(t, logged, head('GET', target({ sid }))))?.status === 400;
    for (const sid of sids) await eventually(() => gone(sid), 'the session is over');
    const log = logged.logs();
    assert.ok(log.includes('DEBUG'), 'the log has the level debug');
    for (const sid of sids) assert.ok(!log.includes(sid), log.split('\n').find((line) => line.includes(sid)));
  });
});

describe('a client of version 2', () => {
  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    const options = (query) => ({ client: 2, query: { token: query }, transports });
    test(`connects to a namespace with its token in the query (${transports})`, async (t) => {
      for (const url of [strict.url, `${strict.url}/events`]) await connect(t, url, options(good));
    });

    test(`gets a bare text if its token is wrong (${transports})`, async (t) => {
      for (const url of [strict.url, `${strict.url}/events`]) {
        assert.equal(await connectRefused(t, url, options('wrong')), 'unauthenticated');
      }
    });
  }

  test('may have its token in the query of the namespace alone', async (t) => {
    const socket = await WebSocketSession.open(t, strict, { eio: 3 });
    await sendAndAwait(socket, '44/events,"unauthenticated"', '40/events?token=wrong,');
    await sendAndAwait(socket, '40/events', `40/events?a=b&token=${good}&c,`);
    await sendAndAwait(socket, '43/events,1[', createUser('/events,', 1));
  });

  test('gets the same packets as from Node\'s server', async (t) => {
    for (const open of [TRANSPORTS['a WebSocket'], TRANSPORTS.polling]) {
      const session = await open(t, { eio: 3, token: uniqueName('anna') });
      await session.packet('40');
      await sendAndAwait(session, '40/events', '40/events,');
      await sendAndAwait(session, '44/nowhere', '40/nowhere,');
      const packets = session.packets.filter((packet) => !packet.startsWith('42'));
      assert.deepEqual(packets.map((packet) => packet.replace(/,$/, '')), [
        '40', '40/events', '44/nowhere,{"message":"Invalid namespace"}',
      ]);
    }
    const refused = await WebSocketSession.open(t, strict, { eio: 3, token: 'wrong' });
    assert.equal(await refused.packet('4'), '44"unauthenticated"');
  });
});

describe('the name of an event', skipOnNode('it does not answer unknown names'), () => {
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
        await sendAndAwait(session, '437[', createUser('', 7));
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

test('a name that is not ASCII does not end the connection of an official client', skipOnNode('it does not answer'), async (t) => {
  for (const client of [4, 2]) {
    const socket = await connect(t, server.url, { client });
    const answer = await within(new Promise((resolve) => { socket.emit('ünï "x"', {}, resolve); }), () => 'the answer');
    assert.equal(answer.error.code, 'invalid');
    await ask(socket, 'create-user', { user: { externalUserId: uniqueName('anna') } });
  }
});
