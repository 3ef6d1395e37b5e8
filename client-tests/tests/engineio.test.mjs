// @ts-check
// Owns the promises of Engine.IO sessions, of protocol 4 and 3: what probes, polls, bodies and pings do to them. Runs
// against Node's server with JUDGE=node. Does not know how sessions end: ends.test.mjs does.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET, eventBody, parseAck } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, encodePayload, probe, upgrade } from '../clients/engineio-session.mjs';
import { chatOf, connectUsers, say, uniqueName } from '../clients/fixtures.mjs';
import { OPCODE, TcpConnection, head } from '../clients/tcp.mjs';
import { isJudged, skipOnNode, startSubject } from '../harness/judge.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const PROTOCOLS = [4, 3];
const NOOP = '6';
const UNKNOWN = { code: 1, message: 'Session ID unknown' };

/** Longer than an answer takes that is not held back. */
const MOMENT_MS = 300;

let server;
const scope = useScope();
before(async () => { server = await startSubject(scope); });

/** Connects to the namespace `/`, which protocol 3 does by itself. */
async function connectRoot(session) {
  if (session.eio === 4) await session.send(PACKET.connect);
  await session.packet(PACKET.connect);
  return session;
}

/** A polling session of a chat's member; `write` sends a message into the chat. */
async function member(t, eio) {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const session = await connectRoot(await PollingSession.open(t, server, { eio, token: bob.user.externalUserId }));
  return { session, write: (text) => say(alice, chat, text) };
}

/** Whether a poll is still waiting after a moment. */
const isHeld = (poll) => Promise.race([poll.then(() => false), sleep(MOMENT_MS, true)]);

/** The texts of the messages in these packets. */
const textsIn = (packets) => packets.map((packet) => eventBody(packet, 'new-message')?.msg).filter(Boolean);

/** The session has ended: polls and bodies are refused. */
async function assertSessionOver(session) {
  for (const response of [await session.poll(), await session.post('42["list-chats",{}]')]) {
    assert.equal(response.status, 400, response.body);
    assert.deepEqual(JSON.parse(response.body), UNKNOWN);
  }
}

/** The packet of a request with an ack id. */
const createUser = (ack, name = uniqueName('user')) => (
  `${PACKET.event}${ack}${JSON.stringify(['create-user', { user: { externalUserId: name } }])}`
);

/** The session answers a request. */
async function assertAlive(session) {
  await session.send(`${PACKET.event}99["list-chats",{}]`);
  await session.packet(`${PACKET.ack}99`);
}

for (const eio of PROTOCOLS) {
  describe(`a probe of protocol ${eio}`, { concurrency: true }, () => {
    const FAILURES = {
      'that is closed at once': (socket) => socket.tcp.destroy(),
      'that is reset': (socket) => socket.tcp.reset(),
      'that is closed by a close frame': (socket) => socket.sendFrame(Buffer.from([3, 232]), { opcode: OPCODE.close }),
      'that begins with another packet': (socket) => socket.send('4hello'),
      'that is not Engine.IO': (socket) => socket.send('hello'),
      'that is no WebSocket frame': (socket) => socket.tcp.write(Buffer.from([0xf7, 0x80, 1, 2, 3, 4])),
      'that is not masked': (socket) => socket.sendFrame('2probe', { masked: false }),
      'that stays silent': () => {},
    };
    for (const [what, fail] of Object.entries(FAILURES)) {
      test(`${what} ends itself only: the session goes on by polling`, async (t) => {
        const { session, write } = await member(t, eio);
        const waiting = session.poll();
        const socket = await WebSocketSession.open(t, server, { eio, sid: session.sid });
        await fail(socket);
        assert.ok(await isHeld(waiting), 'the poll was answered');
        await write('first');
        assert.deepEqual(textsIn((await waiting).packets), ['first']);
        const next = session.poll();
        assert.ok(await isHeld(next), 'the next poll was answered');
        await write('second');
        assert.deepEqual(textsIn((await next).packets), ['second']);
        await assertAlive(session);
      });
    }

    for (const [what, abandon] of Object.entries({
      'that is closed after its answer': (socket) => socket.tcp.destroy(),
      'that falls silent after its answer': () => {},
    })) {
      test(`${what} costs no message, and polls are not answered faster than by Node`, async (t) => {
        const { session, write } = await member(t, eio);
        await abandon(await probe(t, server, session));
        let polls = 0;
        const began = Date.now();
        for (const text of ['first', 'second', 'third']) {
          const written = sleep(MOMENT_MS).then(() => write(text));
          while (!textsIn(session.packets).includes(text)) {
            polls += 1;
            assert.equal((await session.poll()).status, 200);
          }
          await written;
        }
        assert.ok(polls <= 6 + (Date.now() - began) / 100, `${polls} polls in ${Date.now() - began} ms`);
        assert.deepEqual(textsIn(session.packets), ['first', 'second', 'third']);
        await assertAlive(session);
      });
    }

    test('that succeeds moves the session: what is sent meanwhile comes once, in order, and no poll is taken any more', async (t) => {
      const { session, write } = await member(t, eio);
      const socket = await probe(t, server, session);
      await write('before');
      await socket.send('5');
      await write('after');
      await socket.until(() => textsIn(socket.packets).includes('after'), 'the message after the upgrade');
      assert.deepEqual(textsIn([...session.packets, ...socket.packets]), ['before', 'after']);
      for (const response of [await session.poll(), await session.post(createUser(1))]) {
        assert.equal(response.status, 400);
        assert.equal(JSON.parse(response.body).code, 3);
      }
      await assertAlive(socket);
    });

    test('that succeeds answers the polls that it overtakes, and with no message', skipOnNode('it says CLOSE'), async (t) => {
      const { session } = await member(t, eio);
      const early = session.poll();
      await sleep(MOMENT_MS);
      const quick = await WebSocketSession.open(t, server, { eio, sid: session.sid });
      await quick.send('2probe', '5');
      assert.deepEqual((await early).packets, [NOOP]);
      await quick.packet('3probe');
      await assertAlive(quick);

      const { session: other } = await member(t, eio);
      const socket = await probe(t, server, other);
      const late = other.poll();
      await sleep(20);
      await socket.send('5');
      const { status, packets } = await late;
      assert.ok(status === 400 || packets.join() === NOOP, `${status} ${packets}`);
      await assertAlive(socket);
    });

    test('after a failed one succeeds', async (t) => {
      const { session, write } = await member(t, eio);
      (await WebSocketSession.open(t, server, { eio, sid: session.sid })).tcp.destroy();
      await sleep(MOMENT_MS);
      const socket = await upgrade(t, server, session);
      await write('by WebSocket');
      await socket.until(() => textsIn(socket.packets).length > 0, 'the message');
    });

    test('of a session that has a WebSocket is closed, and the session goes on', async (t) => {
      const { session, write } = await member(t, eio);
      const socket = await upgrade(t, server, session);
      await assertAlive(socket);
      const second = await WebSocketSession.open(t, server, { eio, sid: session.sid });
      await second.ended();
      await write('still there');
      await socket.until(() => textsIn(socket.packets).length > 0, 'the message');
    });
  });

  describe(`a poll of protocol ${eio}`, { concurrency: true }, () => {
    for (const end of ['destroy', 'reset']) {
      test(`that is aborted ends the session, so that no message is skipped (${end})`, async (t) => {
        const { session, write } = await member(t, eio);
        const poll = await session.beginPoll();
        await sleep(MOMENT_MS);
        poll[end]();
        await sleep(MOMENT_MS);
        await write('into the void');
        await assertSessionOver(session);
      });
    }

    test('that comes while another one waits ends the session', async (t) => {
      const { session } = await member(t, eio);
      const waiting = session.poll();
      await sleep(MOMENT_MS);
      assert.equal((await session.poll()).status, 400);
      const { status, packets } = await within(waiting, () => 'the end of the first poll');
      assert.ok(status === 400 || packets.join() === PACKET.close, `${status} ${packets}`);
      await assertSessionOver(session);
    });

    test('whose response is not read ends the session, so that no message is skipped', skipOnNode('it goes on after the gap'), async (t) => {
      // Larger than the kernel's buffers of a connection from which nobody reads.
      const size = 12_000_000;
      const large = await startServer(t, [
        '--max-message-bytes', `${size}`, '--max-frame-bytes', `${size + 4_000_000}`, '--max-outbox-bytes', '60000000',
      ]);
      const [alice, bob] = await connectUsers(t, large, 'alice', 'bob');
      const chat = await chatOf(alice, bob);
      const session = await connectRoot(await PollingSession.open(t, large, { eio, token: bob.user.externalUserId }));
      const poll = await session.beginPoll();
      poll.pause();
      await say(alice, chat, 'x'.repeat(size));
      await say(alice, chat, 'the next one');
      await sleep(MOMENT_MS);
      poll.reset();
      await sleep(MOMENT_MS);
      await assertSessionOver(session);
    });

    test('is answered as text that no cache keeps', async (t) => {
      const { session, write } = await member(t, eio);
      await write('hello');
      const { headers } = await session.poll();
      assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
      assert.equal(headers['cache-control'], 'no-store');
    });
  });

  describe(`a body of protocol ${eio}`, { concurrency: true }, () => {
    const name = 'Ünï😀code';

    test('may hold several packets, which are answered in their order, with lengths as JavaScript counts them', async (t) => {
      const { session } = await member(t, eio);
      const names = [0, 1, 2, 3].map((index) => uniqueName(`${name} ${index}`));
      const answer = await session.post(...names.map((each, index) => createUser(index, each)));
      assert.deepEqual([answer.status, answer.body, answer.headers['content-type']], [200, 'ok', 'text/html']);
      assert.equal(answer.headers['cache-control'], 'no-store');
      await session.packet(`${PACKET.ack}3`);
      const acks = session.packets.filter((packet) => packet.startsWith(PACKET.ack)).map(parseAck);
      assert.deepEqual(acks.map(({ number, body }) => [number, body.user.externalUserId]), [...names.entries()]);
    });

    test('may hold packets of every kind that a client sends', async (t) => {
      const { session } = await member(t, eio);
      const heartbeat = eio === 4 ? PACKET.pong : PACKET.ping;
      const response = await session.post(NOOP, heartbeat, createUser(1), NOOP, createUser(2));
      assert.equal(response.status, 200);
      await session.packet(`${PACKET.ack}2`);
      assert.equal(session.packets.includes(PACKET.pong), eio === 3, 'a ping has a pong');
    });

    test('with CLOSE ends the session, and the waiting poll is answered with NOOP', async (t) => {
      const { session } = await member(t, eio);
      const waiting = session.poll();
      await sleep(MOMENT_MS);
      const { status, body } = await session.post(PACKET.close);
      assert.deepEqual([status, body], [200, 'ok']);
      assert.deepEqual((await within(waiting, () => 'the end of the poll')).packets, [NOOP]);
      await assertSessionOver(session);
    });

    /** Bodies that violate the protocol. */
    const BROKEN = {
      'is no packet': 'hello',
      'has an unknown packet': encodePayload(eio, ['9']),
      'has a heartbeat in the wrong direction': encodePayload(eio, [eio === 4 ? PACKET.ping : PACKET.pong]),
      ...(eio === 3 ? { 'has a length that is too large': '9:2', 'has no length': ':2', 'has a negative length': '-1:2' } : {}),
    };
    for (const [what, body] of Object.entries(BROKEN)) {
      test(`that ${what} ends the session, and the waiting poll is answered with CLOSE`, async (t) => {
        const { session } = await member(t, eio);
        const waiting = session.poll();
        await sleep(MOMENT_MS);
        await session.postBody(body);
        assert.deepEqual((await within(waiting, () => 'the end of the poll')).packets, [PACKET.close]);
        await assertSessionOver(session);
      });
    }

    test('that is too long is refused with 413', async (t) => {
      const { session } = await member(t, eio);
      const long = uniqueName('x'.repeat(1_100_000));
      const response = await session.post(createUser(1, long));
      assert.equal(response.status, 413, response.body);
      if (!isJudged) assert.equal(response.headers['cache-control'], 'no-store');
    });

    /** An event with one attachment, and the attachment. */
    const ATTACHED = ['451-7["create-user",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 0xff])];

    const WAYS = {
      'in a body as base64': (session) => session.post(...ATTACHED),
      'in two bodies': async (session) => {
        await session.post(ATTACHED[0]);
        await session.post(ATTACHED[1]);
      },
      ...(eio === 3 ? { 'in a body of bytes': (session) => session.postBody(asBytes(ATTACHED), 'application/octet-stream') } : {}),
    };
    for (const [how, send] of Object.entries(WAYS)) {
      test(`may have attachments (${how}), which no request accepts`, skipOnNode('its chat accepts anything'), async (t) => {
        const { session } = await member(t, eio);
        await send(session);
        assert.equal(parseAck(await session.packet(`${PACKET.ack}7`)).body.error.code, 'invalid');
        await assertAlive(session);
      });
    }

    test('may have attachments (in frames), which no request accepts', skipOnNode('its chat accepts anything'), async (t) => {
      const socket = await connectRoot(await WebSocketSession.open(t, server, { eio, token: uniqueName('bob') }));
      const [packet, bytes] = ATTACHED;
      await socket.send(packet, eio === 3 ? Buffer.concat([Buffer.from([4]), /** @type {Buffer} */ (bytes)]) : bytes);
      assert.equal(parseAck(await socket.packet(`${PACKET.ack}7`)).body.error.code, 'invalid');
      await assertAlive(socket);
    });

    if (eio === 3) {
      test('is text for clients that cannot read binary bodies', async (t) => {
        const session = await connectRoot(await PollingSession.open(t, server, { eio, query: { b64: '1' } }));
        await session.post(createUser(1, uniqueName(name)));
        await session.packet(`${PACKET.ack}1`);
      });
    } else {
      test('of bytes ends the session: protocol 4 has no binary bodies', async (t) => {
        const { session } = await member(t, eio);
        assert.equal((await session.postBody('42["list-chats",{}]', 'application/octet-stream')).status, 400);
        await assertSessionOver(session);
      });
    }
  });
}

/** The packets as protocol 3 has them in a body of bytes. */
function asBytes(packets) {
  const piece = (packet) => {
    const binary = typeof packet !== 'string';
    const data = binary ? Buffer.concat([Buffer.from([4]), packet]) : Buffer.from(packet);
    return [Buffer.from([binary ? 1 : 0, ...[...`${data.length}`].map(Number), 0xff]), data];
  };
  return Buffer.concat(packets.flatMap(piece));
}

describe('two bodies of one session at once', () => {
  test('are handled one after the other; a third one is refused with 429, and the session goes on', skipOnNode('it ends the session'), async (t) => {
    const { session } = await member(t, 4);
    const bodies = [createUser(1), createUser(2)];
    const posts = [];
    for (const body of bodies) {
      const connection = await TcpConnection.open(t, server);
      connection.write(head('POST', session.target, [...session.lines, 'Content-Type: text/plain', `Content-Length: ${body.length}`]));
      connection.write(body.slice(0, 3));
      posts.push({ connection, rest: body.slice(3) });
      await sleep(MOMENT_MS);
    }
    const third = await session.post(createUser(3));
    assert.equal(third.status, 429, third.body);
    for (const { connection, rest } of posts) {
      connection.write(rest);
      assert.equal((await connection.response())?.status, 200);
    }
    await session.packet(`${PACKET.ack}2`);
    assert.ok(!session.packets.some((packet) => packet.startsWith(`${PACKET.ack}3`)), 'the third one was done');
    await assertAlive(session);
  });
});

describe('a proxy that shares one TCP connection among its clients', { concurrency: true, ...skipOnNode('its tokens do not end') }, () => {
  /** Two users of one server, each with a session by polling, on the one connection. */
  async function shared(t, args, claims) {
    const strict = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET, ...args]);
    const open = async (sub, more) => connectRoot(await PollingSession.open(t, strict, { token: await token({ sub, ...more }) }));
    const [boris, vera] = [await open('boris', claims), await open('vera', {})];
    const connection = await TcpConnection.open(t, strict);
    const ask = (method, session, body) => connection.request(method, session.target, session.lines, body);
    return { boris, vera, connection, ask };
  }

  /** Vera's poll waits on the shared connection until its answer comes, and her next body is read from it. */
  async function assertUnaffected({ vera, connection, ask }, until) {
    connection.write(head('GET', vera.target, vera.lines));
    await until;
    assert.equal((await vera.post(createUser(5))).status, 200);
    const response = await connection.response();
    assert.equal(response?.status, 200, 'her poll was cut');
    assert.ok(response.body.startsWith(`${PACKET.ack}5`), response.body);
    assert.equal((await ask('POST', vera, createUser(6)))?.status, 200, 'her body was not read');
    await vera.packet(`${PACKET.ack}6`);
  }

  /** The request that clients send by themselves when something on the way drops `Upgrade`. */
  const websocketTarget = (session) => session.target.replace('transport=polling', 'transport=websocket');

  async function assertUpgradeRefused({ boris, connection }) {
    const answer = await connection.request('GET', websocketTarget(boris), boris.lines);
    assert.equal(answer?.status, 400, answer?.body);
    assert.equal(JSON.parse(answer.body).code, 3);
  }

  test('sees a client\'s poll answered after another client\'s token has ended', async (t) => {
    const life = await shared(t, [], { exp: now() + 3 });
    await assertUpgradeRefused(life);
    await assertUnaffected(life, sleep(3500));
  });

  test('sees a client\'s poll answered after another client was disconnected for its rate', async (t) => {
    const life = await shared(t, ['--frame-limit', '10:20'], {});
    await assertUpgradeRefused(life);
    const flood = async () => {
      for (let bodies = 0; bodies < 30; bodies++) {
        const packets = Array.from({ length: 50 }, () => '42["nonsense",{}]');
        if ((await life.boris.post(...packets)).status !== 200) return;
      }
      assert.fail('the flood did not end the session');
    };
    await assertUnaffected(life, sleep(MOMENT_MS).then(flood));
  });

  test('cannot keep a session alive beyond its token by an upgrade without Upgrade', async (t) => {
    const life = await shared(t, [], { exp: now() + 3 });
    const chat = '42["create-chat",{"chat":{"name":"late"},"users":[]}]';
    await assertUpgradeRefused(life);
    await sleep(3800);
    for (const answer of [await life.ask('POST', life.boris, chat), await life.boris.post(chat)]) {
      assert.equal(answer?.status, 400, answer?.body);
      assert.equal(JSON.parse(answer.body).code, 1);
    }
  });
});

describe('the heartbeat', { concurrency: true }, () => {
  const INTERVAL_MS = 25_000;
  const EARLY_MS = 1000;
  const LATE_MS = 5000;

  /** Opens a session; what it returns resolves at the first ping. */
  const SESSIONS = {
    polling: async (t) => {
      const session = await connectRoot(await PollingSession.open(t, server, { token: uniqueName('bob') }));
      return async () => { await session.packet(PACKET.ping); };
    },
    'a WebSocket': async (t) => {
      const socket = await connectRoot(await WebSocketSession.open(t, server, { token: uniqueName('bob') }));
      return async () => { await socket.packet(PACKET.ping, INTERVAL_MS + LATE_MS); };
    },
    'a WebSocket after polling': async (t) => {
      const session = await connectRoot(await PollingSession.open(t, server, { token: uniqueName('bob') }));
      const socket = await upgrade(t, server, session);
      return async () => {
        await socket.packet(PACKET.ping, INTERVAL_MS + LATE_MS);
        assert.ok(!session.packets.includes(PACKET.ping), 'a ping came by polling');
      };
    },
  };
  for (const [how, open] of Object.entries(SESSIONS)) {
    test(`of protocol 4 begins one interval after the handshake (${how})`, async (t) => {
      const began = Date.now();
      await (await open(t))();
      const after = Date.now() - began;
      assert.ok(after > INTERVAL_MS - EARLY_MS && after < INTERVAL_MS + LATE_MS, `the first ping came after ${after} ms`);
    });
  }

  for (const [how, Session] of Object.entries({ polling: PollingSession, 'a WebSocket': WebSocketSession })) {
    test(`of protocol 3 is sent by the client, and answered by the server (${how})`, async (t) => {
      const session = await connectRoot(await Session.open(t, server, { eio: 3, token: uniqueName('bob') }));
      await session.send(PACKET.ping);
      await session.packet(PACKET.pong);
      await sleep(INTERVAL_MS + EARLY_MS);
      await assertAlive(session);
      assert.ok(!session.packets.includes(PACKET.ping), 'the server pinged');
      if (session instanceof PollingSession) {
        await session.send(PACKET.ping);
        assert.deepEqual((await session.poll()).packets, [PACKET.pong]);
      }
    });
  }
});
