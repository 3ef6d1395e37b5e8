// @ts-check
// Owns the cases of the encoding of bodies and frames: separators of protocol 4, lengths of protocol 3, base64, bytes. Does
// not know when a body is sent.
import assert from 'node:assert/strict';
import { PACKET, parseAck } from '../clients/engineio.mjs';
import { encodePayload } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { OPCODE } from '../clients/tcp.mjs';
import { ENGINEIO, sectionOf } from './engineio.mjs';
import {
  ENDS, GOES_ON, PROTOCOLS, assertAlive, assertSessionOver, createUser, fateAfter, member, polling, pollingFate, sendAndAwait, socket, textsIn,
} from './steps.mjs';

/** An event with one attachment, and the attachment. */
const [EVENT, BYTES] = /** @type {[string, Buffer]} */ ([
  '451-7["create-user",{"_placeholder":true,"num":0}]', Buffer.from([1, 2, 0xff]),
]);
const OCTETS = 'application/octet-stream';
const SEPARATOR = '\x1e';

/** Every length of UTF-8, and a character that JavaScript counts twice. */
const UNICODE = 'aé€😀\u2028\u00a0文\u{10ffff}';

/** A packet as protocol 3 has it in a body of bytes. */
function piece(packet) {
  const isBinary = typeof packet !== 'string';
  const data = isBinary ? Buffer.concat([Buffer.from([4]), packet]) : Buffer.from(packet);
  return Buffer.concat([Buffer.from([isBinary ? 1 : 0, ...[...`${data.length}`].map(Number), 0xff]), data]);
}

/** Packets as protocol 3 has them in a body of bytes. */
const asBytes = (...packets) => Buffer.concat(packets.map(piece));

for (const eio of PROTOCOLS) {
  const payload = sectionOf(eio, 'payload');

  payload.test('a body may hold several packets, which are answered in their order, in every script', async (t) => {
    const session = await polling(t, eio);
    const names = [0, 1, 2, 3].map((index) => uniqueName(`${UNICODE} ${index}`));
    const { status, body } = await session.post(...names.map((name, index) => createUser(index, name)));
    assert.deepEqual([status, body], [200, 'ok']);
    await session.packet(`${PACKET.ack}3[`);
    const acks = session.packets.filter((packet) => packet.startsWith(PACKET.ack)).map(parseAck);
    assert.deepEqual(acks.map(({ number, body: { user } }) => [number, user.externalUserId]), [...names.entries()]);
  });

  payload.test('the response to a poll holds several packets in every script', async (t) => {
    const { session, write } = await member(t, eio);
    const texts = [`${UNICODE} one`, `${UNICODE}${UNICODE} two`, 'three'];
    for (const text of texts) await write(text);
    assert.deepEqual(textsIn((await session.poll()).packets), texts);
  });

  const WAYS = {
    'in one body': (session) => session.post(EVENT, BYTES),
    'in two bodies': async (session) => {
      await session.post(EVENT);
      await session.post(BYTES);
    },
    ...(eio === 3 ? { 'in a body of bytes': (session) => session.postBody(asBytes(EVENT, BYTES), OCTETS) } : {}),
  };
  for (const [how, send] of Object.entries(WAYS)) {
    payload.test(`binary data arrives (${how})`, async (t) => {
      const session = await polling(t, eio);
      await send(session);
      assert.equal(parseAck(await session.packet(`${PACKET.ack}7[`)).body.error.code, 'invalid', 'the chat takes no attachments');
      await assertAlive(session);
    });
  }

  payload.test('binary data that no packet announces ends the session', async (t) => {
    const session = await polling(t, eio);
    await session.post(BYTES);
    assert.equal(await pollingFate(session), ENDS);
  });

  payload.test('a large body is read whole', async (t) => {
    const session = await polling(t, eio);
    const count = 200;
    const { status } = await session.post(...Array.from({ length: count }, (_, index) => createUser(index)));
    assert.equal(status, 200);
    const answered = () => session.packets.filter((packet) => packet.startsWith(PACKET.ack)).length;
    for (let polls = 0; answered() < count; polls++) {
      assert.ok(polls <= count, `${answered()} answers in ${polls} polls`);
      assert.equal((await session.poll()).status, 200);
    }
  });
}

const separated = sectionOf(4, 'payload');

separated.test('a body of bytes is answered 400 and ends the session', async (t) => {
  const session = await polling(t, 4);
  assert.equal((await session.postBody('42["list-chats",{}]', OCTETS)).status, 400);
  await assertSessionOver(session);
});

separated.test('lengths as of protocol 3 are no packets of protocol 4', async (t) => {
  const session = await polling(t, 4);
  await session.postBody('19:42["list-chats",{}]');
  assert.equal(await pollingFate(session), ENDS);
});

for (const [what, body] of Object.entries({ 'a separator at the beginning': `${SEPARATOR}6`, 'two separators in a row': `6${SEPARATOR}${SEPARATOR}6` })) {
  separated.test(`a body with ${what} has an empty packet, and ends the session`, async (t) => {
    const session = await polling(t, 4);
    await session.postBody(body);
    assert.equal(await pollingFate(session), ENDS);
  });
}

for (const [what, body] of Object.entries({ 'an empty body': '', 'a separator at the end': `6${SEPARATOR}` })) {
  separated.differs(what, async (t) => {
    const session = await polling(t, 4);
    await session.postBody(body);
    return pollingFate(session);
  });
}

separated.differs('base64 with letters that it does not have', async (t) => {
  const session = await polling(t, 4);
  await session.postBody(`${EVENT}${SEPARATOR}b!!!!`);
  return pollingFate(session);
});

separated.differs('base64 without its padding', async (t) => {
  const session = await polling(t, 4);
  await session.postBody(`${EVENT}${SEPARATOR}bAQ`);
  return pollingFate(session);
});

separated.differs('a body that is not UTF-8', async (t) => {
  const session = await polling(t, 4);
  await session.postBody(Buffer.concat([Buffer.from('421["create-user",{"user":{"externalUserId":"'), Buffer.from([0xff]), Buffer.from('"}}]')]));
  return pollingFate(session);
});

const counted = sectionOf(3, 'payload');

counted.test('lengths count characters as JavaScript does, not bytes', async (t) => {
  const session = await polling(t, 3);
  const packet = createUser(1, '€😀');
  assert.notEqual(packet.length, Buffer.byteLength(packet));
  assert.equal((await session.postBody(`${packet.length}:${packet}1:6`)).status, 200);
  await session.packet(`${PACKET.ack}1[`);
  await assertAlive(session);
});

/** Bodies that are no payload. */
const BROKEN = {
  'a length that is too large': '9:2', 'no length': ':2', 'a negative length': '-1:2', 'a length without a packet': '5', 'a length that is no number': 'x:2',
  'a packet without its length': '6', 'a length in bytes in place of characters': '4:6é3', 'a length that cuts a character in two': '3:4a😀',
};
for (const [what, body] of Object.entries(BROKEN)) {
  counted.test(`a body with ${what} ends the session`, async (t) => {
    const session = await polling(t, 3);
    await session.postBody(body);
    assert.equal(await pollingFate(session), ENDS);
  });
}

counted.test('a length may have a zero in front', async (t) => {
  const session = await polling(t, 3);
  await session.postBody('01:6');
  assert.equal(await pollingFate(session), GOES_ON);
});

for (const [what, body] of Object.entries({ 'a packet of no characters': '0:', 'an empty body': '' })) {
  counted.differs(what, async (t) => {
    const session = await polling(t, 3);
    await session.postBody(body);
    return pollingFate(session);
  });
}

counted.test('clients that cannot read bytes (b64=1) get text', async (t) => {
  const { sid } = await polling(t, 3);
  assert.ok(sid);
  const session = await polling(t, 3, { query: { b64: '1' } });
  await session.post(createUser(1, UNICODE), createUser(2));
  const { headers } = await session.poll();
  assert.equal(headers['content-type'], 'text/plain; charset=UTF-8');
  await session.packet(`${PACKET.ack}2[`);
});

counted.test('a body of bytes may hold texts and bytes in any order, with lengths in bytes', async (t) => {
  const session = await polling(t, 3);
  const body = asBytes(createUser(1, UNICODE), '6', EVENT, BYTES, createUser(2));
  assert.equal((await session.postBody(body, OCTETS)).status, 200);
  await session.packet(`${PACKET.ack}2[`);
  const acks = session.packets.filter((packet) => packet.startsWith(PACKET.ack)).map(parseAck);
  assert.deepEqual(acks.map(({ number }) => number), [1, 7, 2]);
  assert.equal(acks[0].body.user.externalUserId, UNICODE);
});

counted.test('a body of bytes with a length that is no number ends the session', async (t) => {
  const session = await polling(t, 3);
  await session.postBody(Buffer.from([0, 12, 0xff, 0x36]), OCTETS);
  assert.equal(await pollingFate(session), ENDS);
});

counted.test('a body of bytes may hold base64', async (t) => {
  const session = await polling(t, 3);
  const body = asBytes(EVENT, `b4${BYTES.toString('base64')}`);
  assert.equal((await session.postBody(body, OCTETS)).status, 200);
  await session.packet(`${PACKET.ack}7[`);
});

for (const [what, body] of Object.entries({
  'ends within a packet': Buffer.concat([Buffer.from([0, 9, 0xff]), Buffer.from('6')]),
  'has no end of a length': Buffer.from([0, 1, 1, 1]),
  'is neither text nor bytes': Buffer.from([7, 1, 0xff, 0x36]),
  'has an unknown binary packet': Buffer.from([1, 2, 0xff, 9, 1]),
})) {
  counted.differs(`a body of bytes that ${what}`, async (t) => {
    const session = await polling(t, 3);
    await session.postBody(body, OCTETS);
    return pollingFate(session);
  });
}

const frames4 = ENGINEIO[4].section('Packet encoding: WebSocket');

frames4.test('a frame holds one packet, and binary data as it is', async (t) => {
  const session = await socket(t, 4);
  await session.send(EVENT, BYTES);
  assert.equal(parseAck(await session.packet(`${PACKET.ack}7[`)).body.error.code, 'invalid');
  const names = [uniqueName(UNICODE), uniqueName(UNICODE)];
  await session.send(createUser(1, names[0]), createUser(2, names[1]));
  for (const [index, name] of names.entries()) {
    assert.equal(parseAck(await session.packet(`${PACKET.ack}${index + 1}[`)).body.user.externalUserId, name);
  }
});

const binary3 = ENGINEIO[3].section('Packet');

binary3.test('binary data of a frame has its type in the first byte', async (t) => {
  const session = await socket(t, 3);
  await session.send(EVENT, Buffer.concat([Buffer.from([4]), BYTES]));
  assert.equal(parseAck(await session.packet(`${PACKET.ack}7[`)).body.error.code, 'invalid');
  await assertAlive(session);
});

binary3.differs('a binary frame without bytes', async (t) => fateAfter(await socket(t, 3), Buffer.alloc(0)));

for (const eio of PROTOCOLS) {
  const section = eio === 4 ? frames4 : binary3;

  section.test('binary data that no packet announces ends the session', async (t) => {
    const bytes = eio === 4 ? BYTES : Buffer.concat([Buffer.from([4]), BYTES]);
    assert.equal(await fateAfter(await socket(t, eio), bytes), ENDS);
  });

  section.test('a text may come in several frames, with control frames between them', async (t) => {
    const session = await socket(t, eio);
    const text = Buffer.from(createUser(1, UNICODE));
    const cut = [0, 3, text.indexOf('😀') + 2, text.length];
    for (let part = 1; part < cut.length; part++) {
      session.sendFrame(text.subarray(cut[part - 1], cut[part]), {
        opcode: part === 1 ? OPCODE.text : OPCODE.continuation, fin: part === cut.length - 1,
      });
      if (part < cut.length - 1) session.sendFrame(`${part}`, { opcode: OPCODE.ping });
    }
    assert.equal(parseAck(await session.packet(`${PACKET.ack}1[`)).body.user.externalUserId, UNICODE);
    assert.deepEqual(session.pongs, ['1', '2']);
  });

  section.test('a text may have any length up to maxPayload', async (t) => {
    const session = await socket(t, eio);
    const empty = createUser(1, '').length;
    for (const length of [125, 126, 127, 128, 65_535, 65_536, 65_537, session.handshake.maxPayload]) {
      const packet = createUser(1, 'x'.repeat(length - empty));
      assert.equal(packet.length, length);
      await sendAndAwait(session, `${PACKET.ack}1[`, packet);
    }
  });

  section.test('an empty text is no packet, and ends the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), ''), ENDS);
  });

  sectionOf(eio, 'message').test('of the client is handled, and the server sends its own at any time', async (t) => {
    const { session, write } = await member(t, eio);
    await write('unasked');
    assert.deepEqual(textsIn((await session.poll()).packets), ['unasked']);
    await sendAndAwait(session, `${PACKET.ack}1[`, createUser(1));
  });

  sectionOf(eio, 'message').test('that is empty is no packet of Socket.IO, and ends the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), '4'), ENDS);
    assert.notEqual(await fateAfter(await socket(t, eio), createUser(5)), ENDS, GOES_ON);
  });
}

sectionOf(4, 'payload').test('binary data is sent as base64 behind a b', async (t) => {
  const session = await polling(t, 4);
  assert.equal(encodePayload(4, [EVENT, BYTES]), `${EVENT}${SEPARATOR}bAQL/`);
  await session.postBody(`${EVENT}${SEPARATOR}bAQL/`);
  await session.packet(`${PACKET.ack}7[`);
});
