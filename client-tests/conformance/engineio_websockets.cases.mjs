// @ts-check
// Owns the cases of Engine.IO over WebSockets, of protocol 4 and 3: sessions that begin so, upgrades with their probes, the
// heartbeat on either transport. Does not know polls and bodies.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, probe, target, upgrade } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { OPCODE } from '../clients/tcp.mjs';
import { eventually } from '../harness/wait.mjs';
import { sectionOf } from './engineio.mjs';
import {
  ENDS, GOES_ON, MOMENT_MS, NOOP, NO_SESSION, PROTOCOLS, TRANSPORTS, ask, assertAlive, connectRoot, createUser, fateAfter, fateOf, isHeld,
  member, moment, polling, pollingFate, sendAndAwait, socket, textsIn,
} from './steps.mjs';
import { server } from './world.mjs';

const INTERVAL_MS = 25_000;
const TIMEOUT_MS = 20_000;
const EARLY_MS = 1000;
const LATE_MS = 5000;

/** A WebSocket for a session that polls. */
const second = (t, session) => WebSocketSession.open(t, server, { eio: session.eio, sid: session.sid });

for (const eio of PROTOCOLS) {
  const websocket = sectionOf(eio, 'websocket');

  websocket.test('a second WebSocket of a session is closed, and the session goes on', async (t) => {
    const { session, write } = await member(t, eio);
    const first = await upgrade(t, server, session);
    await assertAlive(first);
    await (await second(t, session)).ended();
    await write('still there');
    await first.until(() => textsIn(first.packets).length > 0, 'the message');
  });

  websocket.differs('a second WebSocket of a session that began as one', async (t) => {
    const first = await socket(t, eio);
    const other = await second(t, first);
    await other.send('2probe');
    await eventually(() => other.end || other.packets.length > 0, 'an answer, or the end');
    await assertAlive(first);
    return other.end ? 'it is closed' : `it is answered ${other.packets}`;
  });

  websocket.test('a second probe beside one is closed, and the first one succeeds', async (t) => {
    const session = await polling(t, eio);
    const first = await second(t, session);
    await moment();
    await (await second(t, session)).ended();
    await first.send('2probe');
    await first.packet('3probe');
    await first.send('5');
    await assertAlive(first);
  });

  websocket.test('its end ends the session', async (t) => {
    for (const end of [(it) => it.tcp.destroy(), (it) => it.tcp.reset(), (it) => it.sendFrame(Buffer.from([3, 232]), { opcode: OPCODE.close })]) {
      const session = await socket(t, eio);
      end(session);
      const over = async () => (await ask(t, target({ eio, transport: 'websocket', sid: session.sid }), { upgrades: true }))?.status === 400;
      await eventually(over, 'the session is over');
    }
  });

  websocket.test('packets in one piece are handled one after the other', async (t) => {
    const session = await socket(t, eio);
    const count = 50;
    await session.send(...Array.from({ length: count }, (_, index) => createUser(index)));
    await session.packet(`${PACKET.ack}${count - 1}[`);
    const acks = session.packets.filter((packet) => `${packet}`.startsWith(PACKET.ack)).map((packet) => parseInt(packet.slice(2), 10));
    assert.deepEqual(acks, Array.from({ length: count }, (_, index) => index));
  });

  const packets = sectionOf(eio, 'packets');

  packets.differs('CLOSE in a frame', async (t) => {
    const session = await socket(t, eio);
    const fate = await fateAfter(session, PACKET.close);
    if (fate === GOES_ON) return fate;
    const response = await ask(t, target({ eio, sid: session.sid }));
    assert.deepEqual(JSON.parse(response?.body ?? ''), NO_SESSION);
    return fate;
  });

  packets.test('NOOP, UPGRADE, and the client\'s part of the heartbeat are no reason to end a WebSocket', async (t) => {
    for (const packet of [NOOP, '5', eio === 4 ? '3' : '2']) assert.equal(await fateAfter(await socket(t, eio), packet), GOES_ON, packet);
  });

  packets.test('unknown types, and the server\'s part of the heartbeat, end a WebSocket', async (t) => {
    for (const packet of ['7', '9', 'x', '\u0660', eio === 4 ? '2' : '3']) assert.equal(await fateAfter(await socket(t, eio), packet), ENDS, packet);
  });

  packets.differs('OPEN of a client in a frame', async (t) => fateAfter(await socket(t, eio), '0'));

  const upgrading = sectionOf(eio, 'upgrade');

  /** Probes that fail. */
  const FAILURES = {
    'is closed at once': (it) => it.tcp.destroy(),
    'is reset': (it) => it.tcp.reset(),
    'is closed by a close frame': (it) => it.sendFrame(Buffer.from([3, 232]), { opcode: OPCODE.close }),
    'begins with another packet': (it) => it.send('4hello'),
    'begins with a ping without a probe': (it) => it.send('2'),
    'is not Engine.IO': (it) => it.send('hello'),
    'is no WebSocket frame': (it) => it.tcp.write(Buffer.from([0xf7, 0x80, 1, 2, 3, 4])),
    'is not masked': (it) => it.sendFrame('2probe', { masked: false }),
    'stays silent': () => {},
  };
  for (const [what, fail] of Object.entries(FAILURES)) {
    upgrading.test(`a probe that ${what} ends itself only: the session goes on by polling`, async (t) => {
      const { session, write } = await member(t, eio);
      const waiting = session.poll();
      await fail(await second(t, session));
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
    'is closed after its answer': (it) => it.tcp.destroy(),
    'falls silent after its answer': () => {},
    'goes on with another packet than UPGRADE': (it) => it.send('4hello'),
  })) {
    upgrading.test(`a probe that ${what} costs no message, and polls are not answered too fast`, async (t) => {
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

  upgrading.test('the poll that waits is answered with NOOP, the probe with its own text', async (t) => {
    const session = await polling(t, eio);
    const waiting = session.poll();
    await session.pollWaits();
    const probing = await second(t, session);
    await probing.send('2probe');
    assert.equal(await probing.packet('3'), '3probe');
    assert.deepEqual((await waiting).packets, [NOOP]);
  });

  upgrading.test('moves the session: what is sent meanwhile comes once, in order', async (t) => {
    const { session, write } = await member(t, eio);
    const moved = await probe(t, server, session);
    await write('before');
    await moved.send('5');
    await write('after');
    await moved.until(() => textsIn(moved.packets).includes('after'), 'the message after the upgrade');
    assert.deepEqual(textsIn([...session.packets, ...moved.packets]), ['before', 'after']);
    await assertAlive(moved);
  });

  upgrading.test('what is posted during the probe is answered', async (t) => {
    const session = await polling(t, eio);
    const moved = await probe(t, server, session);
    assert.equal((await session.post(createUser(1))).status, 200);
    await moved.send('5', createUser(2));
    await moved.packet(`${PACKET.ack}2[`);
    assert.ok([...session.packets, ...moved.packets].some((packet) => `${packet}`.startsWith(`${PACKET.ack}1[`)));
  });

  upgrading.test('packets right behind UPGRADE are handled', async (t) => {
    const session = await polling(t, eio);
    const moved = await probe(t, server, session);
    await moved.send('5', createUser(1), createUser(2));
    await moved.packet(`${PACKET.ack}2[`);
  });

  upgrading.differs('polls that UPGRADE overtakes', async (t) => {
    const session = await polling(t, eio);
    const early = session.poll();
    await session.pollWaits();
    const quick = await second(t, session);
    await quick.send('2probe', '5');
    const { packets: overtaken } = await early;
    await quick.packet('3probe');
    await assertAlive(quick);
    return `the packets ${overtaken}`;
  });

  upgrading.test('a poll that begins during the probe is answered with NOOP or 400, and the session goes on', async (t) => {
    const session = await polling(t, eio);
    const moved = await probe(t, server, session);
    const late = session.poll();
    await session.pollWaits();
    await moved.send('5');
    const { status, packets: overtaken } = await late;
    assert.ok(status === 400 || [NOOP, PACKET.close].includes(overtaken.join()), `${status} ${overtaken}`);
    await assertAlive(moved);
  });

  upgrading.test('after a failed one succeeds', async (t) => {
    const { session, write } = await member(t, eio);
    await (await second(t, session)).tcp.leave();
    const moved = await upgrade(t, server, session);
    await write('by WebSocket');
    await moved.until(() => textsIn(moved.packets).length > 0, 'the message');
  });

  upgrading.test('of a session that ends meanwhile ends', async (t) => {
    const session = await polling(t, eio);
    const probing = await second(t, session);
    await probing.send('2probe');
    await probing.packet('3probe');
    await session.post(PACKET.close);
    await probing.ended();
  });

  upgrading.differs('UPGRADE without a probe before it', async (t) => {
    const session = await polling(t, eio);
    const moved = await second(t, session);
    await moved.send('5');
    const fate = await fateOf(moved);
    return fate === GOES_ON ? 'it upgrades' : `the WebSocket is closed, ${await pollingFate(session)}`;
  });

  upgrading.differs('a probe that is sent twice', async (t) => {
    const session = await polling(t, eio);
    const moved = await second(t, session);
    await moved.send('2probe');
    await moved.packet('3probe');
    await moved.send('2probe', '5');
    const fate = await fateOf(moved);
    return fate === GOES_ON ? 'it upgrades' : `the WebSocket is closed, ${await pollingFate(session)}`;
  });

  const heartbeat = sectionOf(eio, 'heartbeat');

  heartbeat.test('of a client that never sends its part ends the session after pingInterval and pingTimeout', async (t) => {
    const began = Date.now();
    const silent = await socket(t, eio);
    await silent.ended(INTERVAL_MS + TIMEOUT_MS + LATE_MS);
    const after = Date.now() - began;
    assert.ok(after > INTERVAL_MS + TIMEOUT_MS - EARLY_MS, `it ended after ${after} ms`);
  }, { slow: true });

  heartbeat.test('of a client that polls no more ends the session after pingInterval and pingTimeout', async (t) => {
    const silent = await polling(t, eio);
    await sleep(INTERVAL_MS + TIMEOUT_MS + LATE_MS / 2);
    assert.equal((await silent.post(NOOP)).status, 400);
  }, { slow: true });
}

const pings = sectionOf(4, 'heartbeat');

for (const [how, open] of Object.entries(TRANSPORTS)) {
  pings.test(`begins one interval after the handshake, and goes on with a PONG (${how})`, async (t) => {
    const began = Date.now();
    const session = await connectRoot(await open(t, { token: uniqueName('bob') }));
    const next = async () => {
      const earlier = session.packets.filter((packet) => packet === PACKET.ping).length;
      const came = () => session.packets.filter((packet) => packet === PACKET.ping).length > earlier;
      if (session instanceof PollingSession) while (!came()) assert.equal((await session.poll()).status, 200);
      else await session.until(came, 'a ping', INTERVAL_MS + LATE_MS);
      return Date.now() - began;
    };
    const first = await next();
    assert.ok(first > INTERVAL_MS - EARLY_MS && first < INTERVAL_MS + LATE_MS, `the first ping came after ${first} ms`);
    await session.send(PACKET.pong);
    const following = await next() - first;
    assert.ok(following > INTERVAL_MS - EARLY_MS && following < INTERVAL_MS + LATE_MS, `the second one ${following} ms later`);
    await session.send(PACKET.pong);
    await assertAlive(session);
  }, { slow: true });
}

pings.test('a PONG that no PING asked for has no effect', async (t) => {
  const session = await polling(t, 4);
  await session.post(PACKET.pong, PACKET.pong);
  assert.equal(await pollingFate(session), GOES_ON);
});

const timeouts = sectionOf(3, 'heartbeat');

for (const [how, open] of Object.entries(TRANSPORTS)) {
  timeouts.test(`a client's PING is answered with PONG (${how})`, async (t) => {
    const session = await connectRoot(await open(t, { eio: 3, token: uniqueName('bob') }));
    for (let count = 0; count < 3; count++) await sendAndAwait(session, PACKET.pong, PACKET.ping);
    if (session instanceof PollingSession) {
      await session.send(PACKET.ping);
      assert.deepEqual((await session.poll()).packets, [PACKET.pong]);
    }
  });

  timeouts.test(`the server never sends PING, and a client that does is not ended (${how})`, async (t) => {
    const session = await connectRoot(await open(t, { eio: 3, token: uniqueName('bob') }));
    for (let seconds = 0; seconds < 50; seconds += 12.5) {
      await sendAndAwait(session, PACKET.pong, PACKET.ping);
      await sleep(12_500);
    }
    await assertAlive(session);
    assert.ok(!session.packets.includes(PACKET.ping), 'the server pinged');
  }, { slow: true });
}

sectionOf(3, 'packets').differs('the text of a PING in its PONG', async (t) => {
  const session = await socket(t, 3);
  await session.send('2hello');
  return session.packet('3');
});
