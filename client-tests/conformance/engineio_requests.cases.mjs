// @ts-check
// Owns the cases of single requests to Engine.IO, of protocol 4 and 3: the path, the query, headers, and the errors with the
// codes of the reference server. Does not know the life of a session.
import assert from 'node:assert/strict';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession, WebSocketSession, decodePayload, target, upgrade } from '../clients/engineio-session.mjs';
import { TcpConnection, exchange, head } from '../clients/tcp.mjs';
import { isNode } from '../harness/subject.mjs';
import { sectionOf } from './engineio.mjs';
import { HOST, PROTOCOLS, ask, assertAlive, createUser, inWords, polling, sendAndAwait, socket } from './steps.mjs';
import { server } from './world.mjs';

const MESSAGES = {
  0: 'Transport unknown', 1: 'Session ID unknown', 2: 'Bad handshake method', 3: 'Bad request', 5: 'Unsupported protocol version',
};
const BODY = ['Content-Length: 0'];

/** An error of Engine.IO. Node's server has text in place of JSON where a WebSocket is refused. */
function assertError(response, status, code) {
  assert.equal(response?.status, status, response?.body);
  if (isNode && response.headers['content-type'] !== 'application/json') return;
  assert.equal(response.headers['content-type'], 'application/json');
  assert.deepEqual(JSON.parse(response.body), { code, message: MESSAGES[code] });
  if (!isNode) assert.equal(response.headers['cache-control'], 'no-store');
}

/** The session ids in the responses to handshakes. */
const sidOf = (eio, response) => {
  assert.equal(response?.status, 200, response?.body);
  return JSON.parse(decodePayload(eio, response.body)[0].slice(1)).sid;
};

/** The responses to handshakes of these versions on both transports; an empty version is left out. */
async function versionAnswers(t, versions) {
  const answers = new Set();
  for (const version of versions) {
    for (const transport of ['polling', 'websocket']) {
      const path = `/socket.io/?${version === '' ? '' : `EIO=${version}&`}transport=${transport}`;
      answers.add(`${transport}: ${inWords(await ask(t, path, { upgrades: transport === 'websocket' }))}`);
    }
  }
  return [...answers].join('; ');
}

for (const eio of PROTOCOLS) {
  const handshake = target({ eio });

  sectionOf(eio, 'path').test('the path is /socket.io/', async (t) => { sidOf(eio, await ask(t, handshake)); });

  sectionOf(eio, 'path').test('another path is no address of sessions', async (t) => {
    for (const path of ['/engine.io/', '/socket.iox/']) {
      assert.equal((await ask(t, handshake.replace('/socket.io/', path)))?.status, 404, path);
    }
  });

  sectionOf(eio, 'path').differs('the path without its last slash', async (t) => (
    inWords(await ask(t, handshake.replace('/socket.io/', '/socket.io')))
  ));

  sectionOf(eio, 'path').differs('the client as a file', async (t) => inWords(await ask(t, '/socket.io/socket.io.js')));

  const query = sectionOf(eio, 'query');

  query.test('parameters are read in any order, and others have no meaning', async (t) => {
    for (const text of [
      `transport=polling&EIO=${eio}`, `t=Ab3&EIO=${eio}&transport=polling&x`, `EIO=${eio}&transport=polling&sid=`, `&EIO=${eio}&&transport=polling&`,
      `xEIO=2&xtransport=x&EIO=${eio}&transport=polling`,
    ]) sidOf(eio, await ask(t, `/socket.io/?${text}`));
  });

  query.test('parameters may be percent-encoded', async (t) => {
    const sid = sidOf(eio, await ask(t, `/socket.io/?E%49O=%3${eio}&transport=%70olling`));
    const encoded = `%${sid.charCodeAt(0).toString(16)}${sid.slice(1)}`;
    const body = eio === 4 ? '6' : '1:6';
    const post = head('POST', target({ eio }).concat(`&sid=${encoded}`), [HOST, `Content-Length: ${body.length}`]);
    assert.equal((await exchange(t, server, `${post}${body}`))?.status, 200);
  });

  query.differs('no version of the protocol', (t) => versionAnswers(t, ['']));

  const errors = sectionOf(eio, 'errors');
  const WEBSOCKET = { eio, transport: 'websocket' };
  const GONE = { sid: 'gone' };
  /** @type {Record<string, [string, any, number]>} */
  const CASES = {
    'no parameters': ['/socket.io/', {}, 0],
    'no transport': [`/socket.io/?EIO=${eio}`, {}, 0],
    'an empty transport': [target({ eio, transport: '' }), {}, 0],
    'an unknown transport': [target({ eio, transport: 'pigeon' }), {}, 0],
    'a transport in capitals': [target({ eio, transport: 'Polling' }), {}, 0],
    'an unknown transport with an unknown session': [target({ eio, transport: 'pigeon', ...GONE }), {}, 0],
    'an upgrade to an unknown transport': [target({ eio, transport: 'pigeon' }), { upgrades: true }, 0],
    'a transport that this server has not': [target({ eio, transport: 'webtransport' }), {}, 0],
    'a name that every object has as a transport': [target({ eio, transport: 'constructor' }), {}, 0],
    'a poll of an unknown session': [target({ eio, ...GONE }), {}, 1],
    'a body for an unknown session': [target({ eio, ...GONE }), { method: 'POST', lines: BODY }, 1],
    'an upgrade of an unknown session': [target({ ...WEBSOCKET, ...GONE }), { upgrades: true }, 1],
    'a name that every object has as a session': [target({ eio, sid: '__proto__' }), {}, 1],
    'a session id that is very long': [target({ eio, sid: 'x'.repeat(4000) }), {}, 1],
    'a handshake by POST': [handshake, { method: 'POST', lines: BODY }, 2],
    'a handshake by PUT': [handshake, { method: 'PUT', lines: BODY }, 2],
    'a handshake by DELETE': [handshake, { method: 'DELETE' }, 2],
    'a handshake by PATCH': [handshake, { method: 'PATCH', lines: BODY }, 2],
    'a handshake of a WebSocket by POST': [target(WEBSOCKET), { method: 'POST', lines: BODY }, 2],
    'a WebSocket without an upgrade': [target(WEBSOCKET), {}, 3],
  };
  for (const [what, [path, request, code]] of Object.entries(CASES)) {
    errors.test(`${what} is answered 400, code ${code}`, async (t) => { assertError(await ask(t, path, request), 400, code); });
  }

  errors.test('a handshake by HEAD is answered 400', async (t) => {
    const connection = await TcpConnection.open(t, server);
    connection.write(head('HEAD', handshake, [HOST, 'Connection: close']));
    assert.match(await connection.untilEnd(), /^HTTP\/1\.1 400 /);
  });

  errors.test('of a session that stays open: another version, another transport, a WebSocket without an upgrade', async (t) => {
    const session = await polling(t, eio);
    const own = { eio, sid: session.sid };
    const other = eio === 4 ? 3 : 4;
    assertError(await ask(t, target({ ...own, transport: 'websocket' })), 400, 3);
    assertError(await ask(t, target({ ...own, eio: other })), 400, 3);
    assertError(await ask(t, target({ ...own, eio: other }), { method: 'POST', lines: BODY }), 400, 3);
    assertError(await ask(t, target({ ...own, eio: other, transport: 'websocket' }), { upgrades: true }), 400, 3);
    assertError(await ask(t, target({ ...own, transport: 'pigeon' })), 400, 0);
    await assertAlive(session);
  });

  errors.test('polls and bodies of a session that has a WebSocket are answered 400, code 3', async (t) => {
    const session = await polling(t, eio);
    const websocket = await upgrade(t, server, session);
    await sendAndAwait(websocket, '431[', createUser(1));
    assertError(await ask(t, target({ eio, sid: session.sid })), 400, 3);
    assertError(await ask(t, target({ eio, sid: session.sid }), { method: 'POST', lines: BODY }), 400, 3);
    await assertAlive(websocket);
  });

  errors.test('polls and bodies of a session that began as a WebSocket are answered 400, code 3', async (t) => {
    const websocket = await socket(t, eio);
    assertError(await ask(t, target({ eio, sid: websocket.sid })), 400, 3);
    assertError(await ask(t, target({ eio, sid: websocket.sid }), { method: 'POST', lines: BODY }), 400, 3);
    await assertAlive(websocket);
  });

  errors.differs('another method within a session', async (t) => {
    const session = await polling(t, eio);
    const answers = [];
    for (const method of ['PUT', 'DELETE', 'PATCH']) {
      answers.push(inWords(await ask(t, target({ eio, sid: session.sid }), { method, lines: BODY })));
    }
    await assertAlive(session);
    return [...new Set(answers)].join('; ');
  });

  const headers = sectionOf(eio, 'headers');

  headers.test('responses are text in UTF-8 that no cache keeps', async (t) => {
    const session = new PollingSession(t, server, { eio });
    const first = await session.poll();
    assert.equal(first.status, 200);
    const opened = await polling(t, eio);
    const post = await opened.post(createUser(1));
    assert.deepEqual([post.status, post.body, post.headers['content-type']], [200, 'ok', 'text/html']);
    const polled = await opened.poll();
    for (const response of [first, polled]) assert.equal(response.headers['content-type'], 'text/plain; charset=UTF-8');
    for (const response of [first, polled, post]) assert.equal(response.headers['cache-control'], 'no-store');
  });

  headers.test('a body is text unless its Content-Type is that of bytes', async (t) => {
    const session = await polling(t, eio);
    const types = ['text/plain', 'text/plain;charset=UTF-8', 'TEXT/PLAIN; charset="utf-8"', 'application/json', 'application/x-www-form-urlencoded', 'x'];
    for (const [index, type] of types.entries()) {
      const packet = createUser(index + 1, `Größe-${index}`);
      assert.equal((await session.postBody(eio === 4 ? packet : `${packet.length}:${packet}`, type)).status, 200, type);
      await session.packet(`${PACKET.ack}${index + 1}[`);
    }
  });

  headers.test('a body without a Content-Type is text', async (t) => {
    const session = await polling(t, eio);
    const packet = createUser(1);
    const body = eio === 4 ? packet : `${packet.length}:${packet}`;
    const response = await exchange(t, server, `${head('POST', session.target, [HOST, `Content-Length: ${body.length}`])}${body}`);
    assert.equal(response?.status, 200, response?.body);
    await session.packet(`${PACKET.ack}1[`);
  });

  headers.differs('an error has Cache-Control: no-store', async (t) => {
    const { headers: sent } = /** @type {any} */ (await ask(t, target({ eio, ...GONE })));
    return sent['cache-control'] ?? 'no';
  });

  const cors = sectionOf(eio, 'cors');
  const ORIGIN = 'https://app.example';

  cors.test('pages of another origin may read responses to GET and POST', async (t) => {
    const session = await PollingSession.open(t, server, { eio, lines: [`Origin: ${ORIGIN}`] });
    const post = await session.post('6');
    const handshaken = await ask(t, handshake, { lines: [`Origin: ${ORIGIN}`] });
    for (const response of [post, handshaken]) {
      assert.ok(['*', ORIGIN].includes(response?.headers['access-control-allow-origin'] ?? ''), JSON.stringify(response?.headers));
    }
  });

  cors.test('a preflight is answered with what a POST needs', async (t) => {
    const response = await ask(t, handshake, {
      method: 'OPTIONS',
      lines: [`Origin: ${ORIGIN}`, 'Access-Control-Request-Method: POST', 'Access-Control-Request-Headers: content-type'],
    });
    assert.ok([200, 204].includes(response?.status ?? 0), `${response?.status}`);
    assert.ok(['*', ORIGIN].includes(response?.headers['access-control-allow-origin'] ?? ''), JSON.stringify(response?.headers));
    assert.match(response?.headers['access-control-allow-headers'] ?? '', /content-type|\*/i);
  });

  const open = sectionOf(eio, 'handshake');

  open.test('is answered with the packet OPEN: the session, and its parameters, on either transport', async (t) => {
    const { packets: [packet] } = await new PollingSession(t, server, { eio }).poll();
    assert.equal(packet[0], PACKET.open);
    const { sid, maxPayload, ...parameters } = JSON.parse(packet.slice(1));
    assert.match(sid, /^[\w-]{16,64}$/);
    assert.deepEqual(parameters, { upgrades: ['websocket'], pingInterval: 25_000, pingTimeout: 20_000 });
    assert.ok(Number.isSafeInteger(maxPayload) && maxPayload >= 1_000_000);
    const { handshake: over } = await WebSocketSession.open(t, server, { eio });
    assert.deepEqual({ ...over, sid }, { sid, maxPayload, ...parameters, upgrades: [] });
  });

  open.test('each gives another session id', async (t) => {
    const sids = [];
    for (let count = 0; count < 10; count++) sids.push((await PollingSession.open(t, server, { eio })).sid, (await WebSocketSession.open(t, server, { eio })).sid);
    assert.equal(new Set(sids).size, sids.length);
  });

  open.test('several on one TCP connection, one after the other', async (t) => {
    const connection = await TcpConnection.open(t, server);
    const sids = [];
    for (let count = 0; count < 3; count++) sids.push(sidOf(eio, await connection.request('GET', handshake, [HOST])));
    assert.equal(new Set(sids).size, 3);
  });
}

sectionOf(4, 'query').differs('an unknown version', (t) => versionAnswers(t, ['2', '5', 'x', '04', '4.0']));

sectionOf(3, 'path').differs('JSONP polling', async (t) => {
  const response = await ask(t, target({ eio: 3, j: '0' }));
  return response?.body.startsWith('___eio[0]("') ? `${response.status}, a script` : inWords(response);
});
