// @ts-check
// Owns the cases of Socket.IO's CONNECT, CONNECT_ERROR and DISCONNECT, of protocol 5 and 4: which clients are
// connected, under which id, and the packets before and after. Does not know events.
import assert from 'node:assert/strict';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, target } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { connect, connectRefused } from '../clients/socketio.mjs';
import { SOCKETIO, sectionOf } from './socketio.mjs';
import {
  ENDS, GOES_ON, NO_SESSION, PROTOCOLS, TRANSPORTS, ask, assertAlive, connectRoot, countOf, createUser, fateAfter, fateOf, inOneSegment,
  pollingFate, sendAndAwait, socket,
} from './steps.mjs';
import { goodToken, HASTE_SECS, hasty, server, strict } from './world.mjs';

const TIMES = 40;
const EVENTS = '/events,';

/** The packet with which a client of this version connects to `/events`. */
const connectEvents = (eio) => `40${EVENTS}${eio === 4 ? JSON.stringify({ token: uniqueName('anna') }) : ''}`;

/** A WebSocket that is connected to no namespace. */
const bare = (t) => WebSocketSession.open(t, server, { token: uniqueName('anna') });

/** The answers to CONNECT that have come. */
const connectsOf = (session) => session.packets.filter((packet) => packet.startsWith('40'));

/** How many times a client that leaves a namespace and connects again, at once, is answered; another namespace stays. */
async function reconnects(session, left, stays) {
  const prefix = `40${left.replace(',', '')}${left === '' ? '{' : ''}`;
  for (let times = 0; times < TIMES; times++) {
    try {
      await sendAndAwait(session, prefix, `41${left}`, left === '' ? '40' : connectEvents(session.eio));
    } catch (error) {
      assert.match(`${error}`, /the connection ended|400 !== 200|no 40.* number/);
      return times;
    }
  }
  await assertAlive(session, stays);
  await assertAlive(session, left);
  return TIMES;
}

for (const eio of PROTOCOLS) {
  const connecting = sectionOf(eio, 'connect');

  for (const [how, open] of Object.entries(TRANSPORTS)) {
    connecting.test(`a namespace is connected, beside '/' (${how})`, async (t) => {
      const session = await connectRoot(await open(t, { eio, token: uniqueName('anna') }));
      const answer = await sendAndAwait(session, `40${EVENTS.slice(0, -1)}`, connectEvents(eio));
      assert.match(answer, eio === 4 ? /^40\/events,\{"sid":"[\w-]{8,}"\}$/ : /^40\/events,?$/);
      await sendAndAwait(session, `43${EVENTS}1[`, createUser(1, 'hello', EVENTS));
      await assertAlive(session);
    });

    sectionOf(eio, 'error').test(`an unknown namespace is answered with an error, and the session goes on (${how})`, async (t) => {
      const session = await connectRoot(await open(t, { eio, token: uniqueName('anna') }));
      const error = await sendAndAwait(session, '44/nowhere', '40/nowhere,');
      assert.equal(error, '44/nowhere,{"message":"Invalid namespace"}');
      await assertAlive(session);
    });
  }

  connecting.test('the comma behind the namespace may be missing', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', '40/events');
    await sendAndAwait(session, `43${EVENTS}1[`, createUser(1, 'hello', EVENTS));
  });

  sectionOf(eio, 'error').test('names of namespaces are compared letter by letter', async (t) => {
    const session = await socket(t, eio);
    // Version 2 cannot name a namespace that is no path of a URL.
    for (const name of ['/Events', '/events/', '/event', ...(eio === 4 ? ['//events', '/événements'] : [])]) {
      const error = await sendAndAwait(session, '44/', `40${name},`);
      assert.ok(error.endsWith(',{"message":"Invalid namespace"}'), error);
    }
    await assertAlive(session);
  });

  sectionOf(eio, 'error').test('CONNECTs that are refused leave what is connected as it is', async (t) => {
    const session = await socket(t, eio);
    for (let count = 0; count < 7; count++) await sendAndAwait(session, '44/nowhere', '40/nowhere,');
    await assertAlive(session);
  });

  sectionOf(eio, 'connectPacket').differs('CONNECT to a namespace that is connected', async (t) => fateAfter(await socket(t, eio), '40'));

  sectionOf(eio, 'connectPacket').test('an ERROR of the client ends the session', async (t) => {
    assert.equal(await fateAfter(await socket(t, eio), '44{"message":"no"}'), ENDS);
  });

  const leaving = sectionOf(eio, 'disconnect');

  for (const [how, open] of Object.entries(TRANSPORTS)) {
    leaving.test(`is not answered, leaves other namespaces as they are, and CONNECT connects again (${how})`, async (t) => {
      const session = await connectRoot(await open(t, { eio, token: uniqueName('anna') }));
      for (let times = 0; times < 3; times++) {
        await sendAndAwait(session, '40/events', connectEvents(eio));
        await sendAndAwait(session, `43${EVENTS}1[`, createUser(1, 'hello', EVENTS));
        await session.send(`41${EVENTS}`);
        await assertAlive(session);
      }
      assert.equal(countOf(session, '41'), 0);
    });
  }

  leaving.test('the comma behind the namespace may be missing', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', connectEvents(eio));
    await session.send('41/events');
    await assertAlive(session);
    await sendAndAwait(session, '40/events', connectEvents(eio));
  });

  leaving.differs('an event right behind DISCONNECT, in one TCP segment', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', connectEvents(eio));
    inOneSegment(session, `41${EVENTS}`, createUser(1, 'hello', EVENTS));
    const fate = await fateOf(session);
    return `${countOf(session, `43${EVENTS}1[`) > 0 ? 'it is answered' : 'it is not answered'}, ${fate}`;
  });

  leaving.differs('an event to a namespace that was left', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', connectEvents(eio));
    await session.send(`41${EVENTS}`);
    await assertAlive(session);
    session.packets.length = 0;
    const fate = await fateAfter(session, createUser(1, 'hello', EVENTS));
    assert.equal(countOf(session, `43${EVENTS}1[`), 0, 'it was answered');
    return fate;
  });

  leaving.differs('DISCONNECT from a namespace that is not connected', async (t) => fateAfter(await socket(t, eio), `41${EVENTS}`));

  leaving.differs('DISCONNECT with data', async (t) => {
    const session = await socket(t, eio);
    await sendAndAwait(session, '40/events', connectEvents(eio));
    return fateAfter(session, `41${EVENTS}{"a":1}`);
  });

  leaving.differs(`CONNECT right behind DISCONNECT, ${TIMES} times, each pair in one piece`, async (t) => {
    const answered = new Set();
    for (const open of Object.values(TRANSPORTS)) {
      for (const [left, stays] of eio === 4 ? [[EVENTS, ''], ['', EVENTS]] : [[EVENTS, '']]) {
        const session = await connectRoot(await open(t, { eio, token: uniqueName('anna') }));
        await sendAndAwait(session, '40/events', connectEvents(eio));
        answered.add(await reconnects(session, left, stays));
      }
    }
    return `${[...answered]} are answered`;
  });
}

const five = sectionOf(4, 'connect');

for (const [how, open] of Object.entries(TRANSPORTS)) {
  five.test(`CONNECT to '/' is answered with the id of the socket (${how})`, async (t) => {
    const session = await open(t, {});
    assert.match(await sendAndAwait(session, '40', '40'), /^40\{"sid":"[\w-]{8,}"\}$/);
    await assertAlive(session);
  });

  five.test(`the id differs in each namespace, and is no session id (${how})`, async (t) => {
    const session = await open(t, { token: uniqueName('anna') });
    const ids = [];
    for (const prefix of ['40{', '40/events,{']) {
      const packet = await sendAndAwait(session, prefix, prefix.slice(0, -1));
      ids.push(JSON.parse(packet.slice(packet.indexOf('{'))).sid);
    }
    assert.equal(new Set([session.sid, ...ids]).size, 3, `${[session.sid, ...ids]}`);
    for (const sid of ids) {
      for (const request of [{}, { method: 'POST', lines: ['Content-Length: 0'] }]) {
        const response = await ask(t, target({ sid }), request);
        assert.equal(response?.status, 400, response?.body);
        assert.deepEqual(JSON.parse(response.body), NO_SESSION);
      }
    }
    await assertAlive(session);
  });
}

five.test('nothing comes before CONNECT', async (t) => {
  const session = await bare(t);
  await connectRoot(session);
  assert.match(session.packets[0], /^40\{/);
});

five.test('the payload authenticates', async (t) => {
  const session = await WebSocketSession.open(t, strict, {});
  const refused = await sendAndAwait(session, '44', '40{"token":"wrong"}');
  assert.equal(JSON.parse(refused.slice(2)).message, 'unauthenticated');
  await sendAndAwait(session, '40{', `40{"token":"${goodToken}"}`);
  await assertAlive(session);
});

five.test('a refusal in one namespace leaves another one as it is', async (t) => {
  const session = await WebSocketSession.open(t, strict, {});
  await sendAndAwait(session, '40{', `40{"token":"${goodToken}"}`);
  const refused = await sendAndAwait(session, '44/events,', '40/events,{"token":"wrong"}');
  assert.equal(JSON.parse(refused.slice('44/events,'.length)).message, 'unauthenticated');
  await assertAlive(session);
});

five.test('a namespace is connected without \'/\'', async (t) => {
  const session = await bare(t);
  await sendAndAwait(session, '40/events,{', '40/events,');
  await sendAndAwait(session, '43/events,1[', createUser(1, 'hello', EVENTS));
  assert.equal(countOf(session, '40{'), 0);
});

/** First packets that are no CONNECT. */
const FIRST = {
  'an EVENT': '42["list-chats",{}]', 'an EVENT with an acknowledgement': '421["list-chats",{}]', 'an ACK': '431[]', 'an ERROR': '44{"message":"no"}',
  'DISCONNECT': '41', 'DISCONNECT from a namespace': '41/events,', 'an EVENT for a namespace': '42/events,["load_history",{}]',
};
for (const [what, packet] of Object.entries(FIRST)) {
  five.test(`the session ends if ${what} comes before CONNECT`, async (t) => {
    const session = await bare(t);
    await session.send(packet);
    await session.ended(2000);
  });
}

five.test('the session ends if a BINARY_EVENT comes before CONNECT', async (t) => {
  const session = await bare(t);
  await session.send('451-["create-user",{"_placeholder":true,"num":0}]', Buffer.from([1]));
  await session.ended(2000);
});

five.test('a polling session ends as well if an EVENT comes before CONNECT', async (t) => {
  const session = await PollingSession.open(t, server, {});
  await session.post('421["list-chats",{}]');
  assert.equal(await pollingFate(session), ENDS);
});

five.test('an EVENT for a namespace that was never connected ends the session', async (t) => {
  assert.equal(await fateAfter(await socket(t, 4), createUser(1, 'hello', EVENTS)), ENDS);
});

five.test('the session ends if no CONNECT comes in time', async (t) => {
  const began = Date.now();
  const waiting = await WebSocketSession.open(t, hasty, {});
  await waiting.ended((HASTE_SECS + 5) * 1000);
  assert.ok(Date.now() - began > HASTE_SECS * 900, `after ${Date.now() - began} ms`);
});

five.test('a session that is connected in time goes on', async (t) => {
  const session = await WebSocketSession.open(t, hasty, {});
  await connectRoot(session);
  await new Promise((resolve) => { setTimeout(resolve, (HASTE_SECS + 1) * 1000); });
  await assertAlive(session);
});

five.differs('events right behind CONNECT, in one TCP segment', async (t) => {
  const session = await bare(t);
  inOneSegment(session, '40', createUser(1));
  const fate = await fateOf(session);
  return `${countOf(session, '431[') > 0 ? 'it is answered' : 'it is not answered'}, ${fate}`;
});

five.differs('CONNECT with a payload that is no object', async (t) => {
  const fates = new Set();
  for (const payload of ['[]', '"text"', 'null', '{"token":', '{}x']) {
    const session = await bare(t);
    await session.send(`40${payload}`);
    fates.add(await fateOf(session));
  }
  return [...fates].join('; ');
});

five.differs('a query behind a namespace', async (t) => {
  const session = await bare(t);
  await session.send('40/events?token=anna,');
  await session.until(() => session.packets.length > 0, 'an answer');
  return session.packets[0].startsWith('40/events,{"sid"') ? 'it is connected' : `it is answered ${session.packets[0]}`;
});

SOCKETIO[4].section('Difference between v5 and v4').test('there is no implicit connection to \'/\'', async (t) => {
  const session = await bare(t);
  await sendAndAwait(session, '40/events,{', '40/events,');
  assert.equal(await fateAfter(session, createUser(1)), ENDS, 'an event for / is one for a namespace that is not connected');
});

const root = sectionOf(3, 'root');

for (const [how, open] of Object.entries(TRANSPORTS)) {
  root.test(`a client is connected to '/' unasked, before any other namespace (${how})`, async (t) => {
    const session = await open(t, { eio: 3, token: uniqueName('anna') });
    await session.packet('40');
    await sendAndAwait(session, '40/events', '40/events,');
    assert.deepEqual(connectsOf(session).map((packet) => packet.replace(/,$/, '')), ['40', '40/events']);
    await assertAlive(session);
  });
}

sectionOf(3, 'connectPacket').test('a token may stand in the query of the namespace alone', async (t) => {
  const session = await WebSocketSession.open(t, strict, { eio: 3 });
  assert.equal(await sendAndAwait(session, '44/events', '40/events?token=wrong,'), '44/events,"unauthenticated"');
  await sendAndAwait(session, '40/events', `40/events?a=b&token=${goodToken}&c,`);
  await sendAndAwait(session, '43/events,1[', createUser(1, 'hello', EVENTS));
});

sectionOf(3, 'error').test('a refusal is the bare text', async (t) => {
  const refused = await WebSocketSession.open(t, strict, { eio: 3, token: 'wrong' });
  assert.equal(await refused.packet('4'), '44"unauthenticated"');
});

for (const transports of [['websocket'], ['polling'], ['polling', 'websocket']]) {
  const options = (token) => ({ client: 2, query: { token }, transports });
  sectionOf(3, 'connect').test(`the official client of version 2 connects with its token in the query (${transports})`, async (t) => {
    for (const url of [strict.url, `${strict.url}/events`]) await connect(t, url, options(goodToken));
  });

  sectionOf(3, 'error').test(`the official client of version 2 gets the reason of its refusal (${transports})`, async (t) => {
    for (const url of [strict.url, `${strict.url}/events`]) {
      assert.equal(await connectRefused(t, url, options('wrong')), 'unauthenticated');
    }
  });

  sectionOf(4, 'connect').test(`the official client of version 4 connects, and is refused (${transports})`, async (t) => {
    for (const url of [strict.url, `${strict.url}/events`]) {
      await connect(t, url, { auth: { token: goodToken }, transports });
      assert.equal((await connectRefused(t, url, { auth: { token: 'wrong' }, transports })).message, 'unauthenticated');
    }
  });
}

const sample5 = sectionOf(4, 'sample');

sample5.test('by polling, then by WebSocket', async (t) => {
  const token = uniqueName('anna');
  const session = await PollingSession.open(t, server, { token, query: { t: 'N8hyd6w' } });
  assert.equal((await session.post('40')).body, 'ok');
  assert.match((await session.poll()).body, /^40\{"sid":"[\w-]+"\}$/);
  assert.equal((await session.post(createUser(1), createUser(2))).body, 'ok');
  await session.packet('432[');
  const waiting = session.poll();
  const moved = await WebSocketSession.open(t, server, { sid: session.sid });
  await moved.send('2probe');
  await moved.packet('3probe');
  await waiting;
  await moved.send('5');
  await sendAndAwait(moved, '433[', createUser(3));
  await sendAndAwait(moved, '40/events,{', `40/events,{"token":"${token}"}`);
  await sendAndAwait(moved, '43/events,4[', createUser(4, 'hello', EVENTS));
  assert.equal(await fateOf(moved), GOES_ON);
});

sectionOf(3, 'sample').test('the first packets are OPEN and CONNECT', async (t) => {
  const session = new PollingSession(t, server, { eio: 3 });
  await session.poll();
  while (session.packets.length < 2) {
    const sid = JSON.parse(session.packets[0].slice(1)).sid;
    session.sid = sid;
    assert.equal((await session.poll()).status, 200);
  }
  assert.equal(session.packets[0][0], PACKET.open);
  assert.equal(session.packets[1], '40');
});
