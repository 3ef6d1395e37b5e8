// @ts-check
// Owns the cases of polling, of protocol 4 and 3: the responses to polls and bodies, and the ends of the session. Does
// not know how a body is encoded.
import assert from 'node:assert/strict';
import { PACKET, parseAck } from '../clients/engineio.mjs';
import { encodePayload } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { TcpConnection, head } from '../clients/tcp.mjs';
import { within } from '../harness/wait.mjs';
import { sectionOf } from './engineio.mjs';
import {
  NOOP, NO_SESSION, PROTOCOLS, assertAlive, assertSessionOver, createUser, inWords, isHeld, longUser, member, moment, polling, pollingFate, textsIn,
} from './steps.mjs';
import { server } from './world.mjs';

/** Begins a POST whose body is not whole; `finish` sends the rest. */
async function beginPost(t, session, body, claims = body.length) {
  const connection = await TcpConnection.open(t, server);
  connection.write(head('POST', session.target, [...session.lines, 'Content-Type: text/plain', `Content-Length: ${claims}`]));
  connection.write(body.slice(0, 3));
  await connection.isRead();
  return {
    connection,
    finish: () => {
      connection.write(body.slice(3));
      return connection.response();
    },
  };
}

for (const eio of PROTOCOLS) {
  const sending = sectionOf(eio, 'sending');

  sending.test('a body is answered 200 and "ok"', async (t) => {
    const session = await polling(t, eio);
    const { status, body, headers } = await session.post(createUser(1));
    assert.deepEqual([status, body, headers['content-length']], [200, 'ok', '2']);
  });

  sending.test('bodies are handled in their order', async (t) => {
    const session = await polling(t, eio);
    for (let ack = 0; ack < 10; ack++) assert.equal((await session.post(createUser(ack))).status, 200);
    await session.packet(`${PACKET.ack}9[`);
    const acks = session.packets.filter((packet) => packet.startsWith(PACKET.ack)).map((packet) => parseAck(packet).number);
    assert.deepEqual(acks, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  sending.test('a body may come in chunks', async (t) => {
    const session = await polling(t, eio);
    const connection = await TcpConnection.open(t, server);
    connection.write(head('POST', session.target, [...session.lines, 'Transfer-Encoding: chunked']));
    const body = encodePayload(eio, [createUser(1)]);
    for (const piece of [body.slice(0, 5), body.slice(5)]) connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    connection.write('0\r\n\r\n');
    assert.equal((await connection.response())?.status, 200);
    await session.packet(`${PACKET.ack}1[`);
  });

  sending.test('polls and bodies may share a TCP connection, and be sent one behind the other', async (t) => {
    const session = await polling(t, eio);
    const connection = await TcpConnection.open(t, server);
    for (let ack = 0; ack < 3; ack++) {
      const response = await connection.request('POST', session.target, session.lines, encodePayload(eio, [createUser(ack)]));
      assert.equal(response?.status, 200);
      const poll = await connection.request('GET', session.target, session.lines);
      assert.ok(poll?.body.includes(`${PACKET.ack}${ack}[`), poll?.body);
    }
  });

  sending.differs('two bodies of a session at once', async (t) => {
    const session = await polling(t, eio);
    const first = await beginPost(t, session, encodePayload(eio, [createUser(1)]));
    const second = await beginPost(t, session, encodePayload(eio, [createUser(2)]));
    const answers = [await second.finish(), await first.finish()];
    return `${answers.map(inWords)}; ${await pollingFate(session)}`;
  });

  sending.differs('three bodies of a session at once', async (t) => {
    const session = await polling(t, eio);
    const posts = [];
    for (const ack of [1, 2]) posts.push(await beginPost(t, session, encodePayload(eio, [createUser(ack)])));
    const third = await session.post(createUser(3));
    for (const { finish } of posts) await finish();
    const fate = await pollingFate(session);
    assert.ok(!session.packets.some((packet) => packet.startsWith(`${PACKET.ack}3[`)), 'the third one was handled');
    return `the third: ${inWords(third)}; ${fate}`;
  });

  sending.test('a body that the client gives up ends the session', async (t) => {
    const session = await polling(t, eio);
    const { connection } = await beginPost(t, session, encodePayload(eio, [createUser(1)]));
    connection.destroy();
    await moment();
    await assertSessionOver(session);
  });

  sending.test('with CLOSE ends the session, and the waiting poll is answered with NOOP', async (t) => {
    const session = await polling(t, eio);
    const waiting = session.poll();
    await session.pollWaits();
    const { status, body } = await session.post(PACKET.close);
    assert.deepEqual([status, body], [200, 'ok']);
    assert.deepEqual((await within(waiting, () => 'the end of the poll')).packets, [NOOP]);
    await assertSessionOver(session);
  });

  sending.test('with CLOSE while no poll waits ends the session', async (t) => {
    const session = await polling(t, eio);
    assert.equal((await session.post(PACKET.close)).status, 200);
    await assertSessionOver(session);
  });

  sending.test('of maxPayload bytes is accepted', async (t) => {
    const session = await polling(t, eio);
    const { maxPayload } = session.handshake;
    const room = eio === 4 ? 0 : `${maxPayload}:`.length;
    const body = encodePayload(eio, [longUser(1, maxPayload - room)]);
    assert.ok(maxPayload - body.length <= 1, `${body.length}`);
    assert.equal((await session.postBody(body)).status, 200);
    await session.packet(`${PACKET.ack}1[`);
  });

  sending.test('that is longer than maxPayload is answered 413', async (t) => {
    const session = await polling(t, eio);
    const response = await session.postBody('x'.repeat(session.handshake.maxPayload + 1));
    assert.equal(response.status, 413, response.body);
  });

  sending.test('that is longer than maxPayload and comes in chunks is answered 413', async (t) => {
    const session = await polling(t, eio);
    const connection = await TcpConnection.open(t, server);
    connection.write(head('POST', session.target, [...session.lines, 'Transfer-Encoding: chunked']));
    const piece = 'x'.repeat(100_000);
    for (let sent = 0; sent <= session.handshake.maxPayload; sent += piece.length) {
      connection.write(`${piece.length.toString(16)}\r\n${piece}\r\n`);
    }
    assert.equal((await connection.response())?.status, 413);
  });

  sending.differs('a session with a body that is too long', async (t) => {
    const session = await polling(t, eio);
    await session.postBody('x'.repeat(session.handshake.maxPayload + 1));
    return pollingFate(session);
  });

  const receiving = sectionOf(eio, 'receiving');

  receiving.test('a poll is held until there is something to be sent', async (t) => {
    const { session, write } = await member(t, eio);
    const waiting = session.poll();
    assert.ok(await isHeld(waiting), 'the poll was answered');
    await write('hello');
    assert.deepEqual(textsIn((await waiting).packets), ['hello']);
  });

  receiving.test('a poll brings all that has come meanwhile, in its order', async (t) => {
    const { session, write } = await member(t, eio);
    const texts = ['one', 'two', 'Größe 😀', 'four'];
    for (const text of texts) await write(text);
    assert.deepEqual(textsIn((await session.poll()).packets), texts);
  });

  receiving.test('nothing comes twice', async (t) => {
    const { session, write } = await member(t, eio);
    await write('first');
    assert.deepEqual(textsIn((await session.poll()).packets), ['first']);
    const next = session.poll();
    await write('second');
    assert.deepEqual(textsIn((await next).packets), ['second']);
  });

  for (const end of ['destroy', 'reset']) {
    receiving.test(`a poll that is aborted ends the session, so that no message is skipped (${end})`, async (t) => {
      const { session, write } = await member(t, eio);
      const poll = await session.beginPoll();
      poll[end]();
      await moment();
      await write('into the void');
      await assertSessionOver(session);
    });
  }

  receiving.test('a second poll at once is answered 400 and ends the session', async (t) => {
    const session = await polling(t, eio);
    const waiting = session.poll();
    await session.pollWaits();
    assert.equal((await session.poll()).status, 400);
    const { status, packets } = await within(waiting, () => 'the end of the first poll');
    assert.ok(status === 400 || packets.join() === PACKET.close, `${status} ${packets}`);
    await assertSessionOver(session);
  });

  receiving.test('a session that has ended is unknown from then on', async (t) => {
    const session = await polling(t, eio);
    await session.post(PACKET.close);
    for (let times = 0; times < 3; times++) assert.deepEqual(JSON.parse((await session.poll()).body), NO_SESSION);
  });

  receiving.test('sessions are independent of each other', async (t) => {
    const [one, other] = [await polling(t, eio, { token: uniqueName('one') }), await polling(t, eio, { token: uniqueName('other') })];
    const waiting = other.poll();
    await one.post(PACKET.close);
    assert.ok(await isHeld(waiting));
    await other.post(createUser(1));
    assert.equal((await waiting).status, 200);
    await assertAlive(other);
  });

  const packets = sectionOf(eio, 'packets');

  packets.test('a body may hold NOOP, the heartbeat of the client, and messages', async (t) => {
    const session = await polling(t, eio);
    const heartbeat = eio === 4 ? PACKET.pong : PACKET.ping;
    assert.equal((await session.post(NOOP, heartbeat, createUser(1), NOOP, createUser(2))).status, 200);
    await session.packet(`${PACKET.ack}2[`);
    assert.equal(session.packets.includes(PACKET.pong), eio === 3, 'a ping has a pong');
  });

  packets.test('UPGRADE that is posted has no effect', async (t) => {
    const session = await polling(t, eio);
    assert.equal((await session.post('5')).status, 200);
    assert.equal(await pollingFate(session), 'the session goes on');
  });

  packets.differs('OPEN of a client in a body', async (t) => {
    const session = await polling(t, eio);
    await session.post('0');
    return pollingFate(session);
  });

  /** Bodies with a packet that the client may not send. */
  const BROKEN = {
    'an unknown type': '9', 'a type that is no digit': 'hello', 'a heartbeat in the wrong direction': eio === 4 ? PACKET.ping : PACKET.pong,
  };
  for (const [what, packet] of Object.entries(BROKEN)) {
    packets.test(`a body with ${what} ends the session, and the waiting poll is answered with CLOSE`, async (t) => {
      const session = await polling(t, eio);
      const waiting = session.poll();
      await session.pollWaits();
      await session.post(packet);
      assert.deepEqual((await within(waiting, () => 'the end of the poll')).packets, [PACKET.close]);
      await assertSessionOver(session);
    });
  }

  packets.differs('the response to a body that ends the session', async (t) => inWords(await (await polling(t, eio)).post('9')));
}
