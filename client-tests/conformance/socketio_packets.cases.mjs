// @ts-check
// Owns the cases of Socket.IO's events and acknowledgements, of protocol 5 and 4: with and without binary data, their
// format, and invalid packets. Does not know how a client connects.
import assert from 'node:assert/strict';
import { parseAck } from '../clients/engineio.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { ask as askClient, connect } from '../clients/socketio.mjs';
import { sectionOf } from './socketio.mjs';
import {
  ENDS, GOES_ON, PROTOCOLS, assertAlive, countOf, createUser, fateAfter, member, polling, pollingFate, sendAndAwait, socket, textsIn,
} from './steps.mjs';
import { server } from './world.mjs';

const EVENTS = '/events,';
const PLACEHOLDER = '{"_placeholder":true,"num":0}';
const BYTES = Buffer.from([1, 2, 0xff]);

/** Binary data as it stands in a frame. */
const inFrame = (eio, bytes = BYTES) => (eio === 4 ? bytes : Buffer.concat([Buffer.from([4]), bytes]));

/** The outcome of an event with this name: an answer, or the end. */
async function fateOfName(t, eio, name) {
  const session = await socket(t, eio);
  const fate = await fateAfter(session, `427[${name},{}]`);
  return fate === GOES_ON ? `it is answered ${parseAck(await session.packet('437[')).body.error.code}` : fate;
}

for (const eio of PROTOCOLS) {
  const event = sectionOf(eio, 'event');

  event.test('an event of the client is handled, and answered with an event if that is what it has', async (t) => {
    const session = await socket(t, eio);
    const name = uniqueName('anna');
    await session.send(`42["create-user",{"user":{"externalUserId":"${name}"}}]`);
    const answer = await session.packet('42["create-user"');
    assert.equal(JSON.parse(answer.slice(2))[1].user.externalUserId, name);
  });

  event.test('an event of the server comes to every client that it is for', async (t) => {
    const { session, write } = await member(t, eio);
    await write('hello "you" \\ \u2028 😀');
    assert.deepEqual(textsIn((await session.poll()).packets), ['hello "you" \\ \u2028 😀']);
  });

  event.test('an event in a namespace is handled in that namespace', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', '40/events,');
    await session.send(createUser(5, 'hello', EVENTS), createUser(5));
    await session.packet('43/events,5[');
    await session.packet('435[');
  });

  event.test('an unknown event is answered, and the session goes on', async (t) => {
    const session = await socket(t, eio);
    assert.equal(parseAck(await sendAndAwait(session, '431[', '421["no-such-event",{"a":[1]}]')).body.error.code, 'invalid');
    await sendAndAwait(session, '42["exception"', '42["no-such-event"]');
  });

  event.test('white space in the payload is that of JSON', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '431[', '421[ "list-chats" ,\t{ } \n]');
  });

  event.test('names may have escapes, and letters of every script', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '431[{"user"', '421["create\\u002duser",{"user":{"externalUserId":"escaped"}}]');
    await sendAndAwait(session, '42["create-user"', '42["\\u0063reate-user",{"user":{"externalUserId":"escaped"}}]');
    for (const name of ['"ünï"', '"\\u00fc"', '"a\\"b"', '"a\\\\"', '"\\ud83d\\ude00"', '"😀"', '"],[1,\\""', '""']) {
      assert.equal(parseAck(await sendAndAwait(session, '431[', `421[${name},{}]`)).body.error.code, 'invalid', name);
    }
  });

  event.test('a name may be a number', async (t) => {
    assert.equal(await fateOfName(t, eio, '5'), 'it is answered invalid');
  });

  event.differs('a name that is neither a text nor a number', async (t) => {
    const fates = await Promise.all(['null', 'true', '{"a":[1]}', '["new-message"]'].map((name) => fateOfName(t, eio, name)));
    return [...new Set(fates)].join('; ');
  });

  event.differs('a name that the library of Node uses itself', async (t) => {
    const names = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener'];
    const fates = await Promise.all(names.map((name) => fateOfName(t, eio, `"${name}"`)));
    return [...new Set(fates)].join('; ');
  });

  /** Payloads that are no non-empty array. */
  const NO_EVENTS = { 'an object': '42{}', 'a text': '42"list-chats"', null: '42null', true: '42true', 'an empty array': '42[]', 'an empty array with an id': '421[]' };
  for (const [what, packet] of Object.entries(NO_EVENTS)) {
    event.test(`the session ends if the payload is ${what}`, async (t) => {
      assert.equal(await fateAfter(await socket(t, eio), packet), ENDS);
    });
  }

  event.differs('an event without a payload', async (t) => fateAfter(await socket(t, eio), '42'));

  /** Payloads that are no JSON. */
  const NO_JSON = ['["list-chats"', '["list-chats",]', "['list-chats']", '[list-chats]', '["list-chats" {}]', '["list-chats",{"a":}]', '["list-chats",{}]x'];
  for (const payload of NO_JSON) {
    event.test(`the session ends after the payload ${payload}`, async (t) => {
      assert.equal(await fateAfter(await socket(t, eio), `421${payload}`), ENDS);
    });
  }

  event.test('a payload that is no JSON ends a polling session as well', async (t) => {
    const session = await polling(t, eio);
    await session.post('421{"list-chats"');
    assert.equal(await pollingFate(session), ENDS);
  });

  const format = sectionOf(eio, 'format');

  format.test('unknown packet types end the session', async (t) => {
    for (const packet of ['47', '48["x"]', '49', '4x', '4-1', '4 2["list-chats",{}]']) {
      assert.equal(await fateAfter(await socket(t, eio), packet), ENDS, packet);
    }
  });

  format.test('the namespace / may be written', async (t) => {
    const session = await socket(t, eio);
    const answer = await sendAndAwait(session, '43', '42/,3["list-chats",{}]');
    assert.match(answer, /^433\[/);
  });

  const acks = sectionOf(eio, 'ack');

  acks.test('has the id of the event, and an array', async (t) => {
    const session = await socket(t, eio);
    for (const id of [0, 1, 12, 999_999_999, 2 ** 31, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const answer = await sendAndAwait(session, `43${id}[`, createUser(id));
      assert.ok(Array.isArray(JSON.parse(answer.slice(`43${id}`.length))));
    }
  });

  acks.test('comes once for each event, also if ids repeat', async (t) => {
    const session = await socket(t, eio);
    await session.send(createUser(7), createUser(7), createUser(7), createUser(8));
    await session.packet('438[');
    assert.equal(countOf(session, '437['), 3);
  });

  acks.test('an event without an id has none', async (t) => {
    const session = await socket(t, eio);
    await session.send('42["list-chats",{}]');
    await sendAndAwait(session, '431[', createUser(1));
    assert.equal(countOf(session, '43'), 1);
  });

  acks.test('ids of namespaces are independent', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', '40/events,');
    await session.send(createUser(3, 'hello', EVENTS), createUser(3));
    await Promise.all([session.packet('43/events,3['), session.packet('433[')]);
  });

  acks.test('an id with zeros in front is the number', async (t) => {
    await sendAndAwait(await socket(t, eio), '437[', '42007["list-chats",{}]');
  });

  acks.differs('an id beyond 64 bits', async (t) => {
    const session = await socket(t, eio);
    const fate = await fateAfter(session, '42123456789012345678901234567890["list-chats",{}]');
    const answer = session.packets.find((packet) => /^4[23](1|\["list)/.test(packet)) ?? 'nothing[';
    return `it is answered ${answer.slice(0, answer.indexOf('['))}, ${fate}`;
  });

  acks.test('of the client that answers nothing has no effect', async (t) => {
    for (const packet of ['430[]', '431["bar"]', '43999999[{"a":1},2]']) {
      assert.equal(await fateAfter(await socket(t, eio), packet), GOES_ON, packet);
    }
  });

  acks.differs('an ACK whose payload is no array', async (t) => fateAfter(await socket(t, eio), '431{"a":1}'));

  acks.differs('an ACK whose payload is no JSON', async (t) => fateAfter(await socket(t, eio), '431["a"'));

  sectionOf(eio, 'binaryAck').test('a BINARY_ACK of the client that answers nothing has no effect', async (t) => {
    const session = await socket(t, eio);
    assert.equal(await fateAfter(session, `461-5[${PLACEHOLDER}]`, inFrame(eio)), GOES_ON);
  });

  const binary = sectionOf(eio, 'binaryEvent');

  binary.test('an event has the attachments that it announces', async (t) => {
    const session = await socket(t, eio);
    for (const count of [1, 2, 10]) {
      const placeholders = Array.from({ length: count }, (_, num) => `{"_placeholder":true,"num":${num}}`);
      await session.send(`45${count}-${count}["create-user",${placeholders}]`, ...placeholders.map(() => inFrame(eio)));
      assert.equal(parseAck(await session.packet(`43${count}[`)).body.error.code, 'invalid', 'the chat takes no attachments');
    }
    await assertAlive(session);
  });

  binary.test('an event of a namespace has them, too', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', '40/events,');
    await session.send(`451-/events,6["create-user",${PLACEHOLDER}]`, inFrame(eio));
    assert.equal(parseAck((await session.packet('43/events,6[')).replace(EVENTS, '')).body.error.code, 'invalid');
  });

  binary.test('an attachment may be empty', async (t) => {
    const session = await socket(t, eio);
    await session.send(`451-4["create-user",${PLACEHOLDER}]`, inFrame(eio, Buffer.alloc(0)));
    await session.packet('434[');
    await assertAlive(session);
  });

  binary.test('an event without an id may have them', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '42["exception"', `451-["create-user",${PLACEHOLDER}]`, inFrame(eio));
  });

  binary.test('a text where an attachment is due ends the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), `451-["create-user",${PLACEHOLDER}]`, createUser(1)), ENDS);
  });

  binary.test('one attachment too many ends the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), `451-["create-user",${PLACEHOLDER}]`, inFrame(eio), inFrame(eio)), ENDS);
  });

  binary.test('a number of attachments that is none ends the session', async (t) => {
    for (const start of ['45', '45-', '45x-', '451', '45-1-', '451.5-', '45 1x-']) {
      assert.equal(await fateAfter(await socket(t, eio), `${start}["create-user",${PLACEHOLDER}]`), ENDS, start);
    }
  });

  binary.differs('no attachments', async (t) => {
    const session = await socket(t, eio);
    const fate = await fateAfter(session, '450-3["list-chats",{}]');
    return `${countOf(session, '433[') > 0 ? 'it is answered' : 'it is not answered'}, ${fate}`;
  });

  binary.differs('eleven attachments', async (t) => {
    const session = await socket(t, eio);
    const placeholders = Array.from({ length: 11 }, (_, num) => `{"_placeholder":true,"num":${num}}`);
    return fateAfter(session, `4511-["create-user",${placeholders}]`, ...placeholders.map(() => inFrame(eio)));
  });

  binary.test('a hundred attachments end the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), `45100-["create-user",${PLACEHOLDER}]`, inFrame(eio)), ENDS);
  });

  binary.differs('a placeholder for a missing attachment', async (t) => {
    const fates = new Set();
    for (const number of ['7', '-1', '"x"']) {
      fates.add(await fateAfter(await socket(t, eio), `451-["create-user",{"_placeholder":true,"num":${number}}]`, inFrame(eio)));
    }
    return [...fates].join('; ');
  });

  const client = eio === 4 ? 4 : 2;
  for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
    acks.test(`the official client of version ${client} has its answers (${transports})`, async (t) => {
      const user = await connect(t, server.url, { client, transports });
      const name = uniqueName('Größe 😀');
      const answer = await askClient(user, 'create-user', { user: { externalUserId: name } });
      assert.equal(answer.user.externalUserId, name);
      const refusal = await new Promise((resolve) => { user.emit('create-user', { user: { externalUserId: BYTES } }, resolve); });
      assert.equal(refusal.error.code, 'invalid');
    });
  }
}
