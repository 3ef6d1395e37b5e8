// @ts-check
// Owns the cases of RFC 6455: the opening handshake (section 4) at each address of WebSockets, and with which code frames
// that violate the protocol end a connection. Does not know the messages on a WebSocket.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { WebSocketSession, target } from '../clients/engineio-session.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { OPCODE, TcpConnection, UPGRADE_LINES, exchange, frame, head } from '../clients/tcp.mjs';
import { isNode } from '../harness/subject.mjs';
import { HOST, PROTOCOLS } from './steps.mjs';
import { Document } from './suite.mjs';
import { server } from './world.mjs';

export const RFC6455 = new Document('RFC 6455');

/** The addresses of raw WebSockets, which Node's server does not have. */
const RAW = isNode ? [] : ['/ws/chats/', '/ws/chat/', '/ws/chat/room/', '/ws/events/', '/ws'];

/** Each address of WebSockets, for another user each time: a user may have so many connections only. */
const addresses = () => [
  ...PROTOCOLS.map((eio) => target({ eio, transport: 'websocket' })), ...RAW.map((path) => `${path}?token=${uniqueName('alice')}`),
];

const NAMES = ['Host', 'Connection', 'Upgrade', 'Sec-WebSocket-Version', 'Sec-WebSocket-Key'];
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';

/** The header lines of a handshake with some of them replaced, or left out, and more of them. */
const lines = (/** @type {any} */ changed = {}) => [HOST, ...UPGRADE_LINES].flatMap((line) => {
  const name = NAMES.find((each) => line.startsWith(`${each}:`));
  if (name === undefined || !(name in changed)) return [line];
  return changed[name] === undefined ? [] : [`${name}: ${changed[name]}`];
}).concat(changed.more ?? []);

/**
 * The response of each address to a handshake.
 * @param {import('../harness/scope.mjs').Owner} t
 * @param {{ method?: string, version?: string, path?: (address: string) => string, [header: string]: any }} changed
 */
async function responses(t, { method = 'GET', version = '1.1', path = (address) => address, ...changed } = {}) {
  const all = [];
  for (const address of addresses()) {
    all.push({ address, response: await exchange(t, server, head(method, path(address), lines(changed), version)) });
  }
  return all;
}

/** The handshake succeeds at each address: the responses. */
async function assertUpgraded(t, changed) {
  const all = await responses(t, changed);
  for (const { address, response } of all) {
    assert.equal(response?.status, 101, `${address}: ${response?.body}`);
    assert.equal(response.headers['sec-websocket-accept'], ACCEPT, address);
  }
  return all.map(({ response }) => /** @type {import('../clients/tcp.mjs').Response} */ (response));
}

/** The handshake fails with 400 at each address: the responses. */
async function assertRefused(t, changed, status = 400) {
  const all = await responses(t, changed);
  for (const { address, response } of all) assert.equal(response?.status, status, `${address}: ${response?.body}`);
  return all.map(({ response }) => /** @type {import('../clients/tcp.mjs').Response} */ (response));
}

/** The responses of all addresses, in words. */
async function answered(t, changed) {
  const all = await responses(t, changed);
  return [...new Set(all.map(({ response }) => (response === undefined ? 'no response' : `${response.status}`)))].join(' or ');
}

const section = (number) => RFC6455.section(`§${number}`);

const request = section('4.2.1: reading the opening handshake');

const GOOD = {
  'as every client sends it': {},
  'with two lines Connection': { Connection: 'keep-alive', more: ['connection: Upgrade'] },
  'with a list in Connection': { Connection: 'keep-alive, Upgrade' },
  'with spaces in the list': { Connection: 'keep-alive , \tUpgrade ,' },
  'in capital letters': { Connection: 'UPGRADE', Upgrade: 'WEBSOCKET' },
  'in small letters': { Connection: 'upgrade', Upgrade: 'websocket' },
  'in mixed letters': { Connection: 'uPgRaDe', Upgrade: 'WebSocket' },
  'with spaces around values': { Connection: '  Upgrade  ', Upgrade: '  websocket  ', 'Sec-WebSocket-Version': ' 13 ' },
  'with names of headers in any letters': {
    Connection: undefined, Upgrade: undefined, more: ['cOnNeCtIoN: Upgrade', 'UPGRADE: websocket'],
  },
  'with an Origin': { more: ['Origin: https://app.example'] },
  'with an Origin that is null': { more: ['Origin: null'] },
  'with headers that have no meaning here': { more: ['Cookie: a=b; c=d', 'User-Agent: x', 'X-Any: thing', 'Sec-WebSocket-Foo: bar'] },
  'with another host and a port': { Host: 'chat.example:8443' },
  'with an IPv6 address as a host': { Host: '[::1]:3000' },
};
for (const [what, changed] of Object.entries(GOOD)) {
  request.test(`a handshake ${what} is answered 101`, async (t) => { await assertUpgraded(t, changed); });
}

const BAD = {
  'without Upgrade': { Upgrade: undefined },
  'with another protocol in Upgrade': { Upgrade: 'h2c' },
  'with an Upgrade that only begins alike': { Upgrade: 'websockets' },
  'without Connection': { Connection: undefined },
  'with another Connection': { Connection: 'keep-alive' },
  'with a word in Connection that only begins alike': { Connection: 'Upgraded' },
  'without a key': { 'Sec-WebSocket-Key': undefined },
  'with an empty key': { 'Sec-WebSocket-Key': '' },
  'with a key of two bytes': { 'Sec-WebSocket-Key': 'AAA=' },
  'with a key of 15 bytes': { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAA' },
  'with a key of 17 bytes': { 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAAA=' },
  'with a key without its padding': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ' },
  'with a key that is not base64': { 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ$$' },
  'with a key in the alphabet of URLs': { 'Sec-WebSocket-Key': '-_hlIHNhbXBsZSBub25jZQ==' },
  'with two keys': { more: ['Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='] },
  'with the same key twice': { more: ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] },
  'without a version': { 'Sec-WebSocket-Version': undefined },
  'with an empty version': { 'Sec-WebSocket-Version': '' },
  'with a version that is no number': { 'Sec-WebSocket-Version': 'x' },
  'with two versions': { 'Sec-WebSocket-Version': '13, 13' },
  'with two lines of a version': { more: ['Sec-WebSocket-Version: 13'] },
};
for (const [what, changed] of Object.entries(BAD)) {
  request.test(`a handshake ${what} is answered 400`, async (t) => { await assertRefused(t, changed); });
}

request.test('a handshake by another method is not answered 101', async (t) => {
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    for (const { address, response } of await responses(t, { method })) {
      assert.ok((response?.status ?? 400) !== 101, `${method} ${address}: ${response?.status}`);
    }
  }
});

request.differs('a handshake in HTTP/1.0', async (t) => answered(t, { version: '1.0' }));

request.differs('a list of protocols in Upgrade, with websocket among them', async (t) => answered(t, { Upgrade: 'h2c, websocket' }));

request.differs('two lines Upgrade', async (t) => answered(t, { Upgrade: 'h2c', more: ['Upgrade: websocket'] }));

request.differs('a handshake without Host', async (t) => answered(t, { Host: undefined }));

request.differs('a handshake with two lines Host', async (t) => answered(t, { more: ['Host: other'] }));

request.differs('a target that is an absolute URI', async (t) => answered(t, { path: (address) => `http://localhost${address}` }));

request.test('a request without a handshake is answered 400 where there are only WebSockets', async (t) => {
  for (const address of addresses()) {
    assert.equal((await exchange(t, server, head('GET', address, [HOST])))?.status, 400, address);
  }
});

const sending = section('4.2.2: sending the opening handshake');

sending.test('the response is 101 with Upgrade, Connection, the accept value, and no body', async (t) => {
  for (const { headers } of await assertUpgraded(t, {})) {
    assert.equal(headers.upgrade?.toLowerCase(), 'websocket');
    assert.match(headers.connection ?? '', /^upgrade$/i);
    assert.equal(headers['content-length'] ?? '0', '0');
    assert.equal(headers['transfer-encoding'], undefined);
  }
});

sending.test('the accept value is that of the key', async (t) => {
  for (let times = 0; times < 10; times++) {
    const key = randomBytes(16).toString('base64');
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
    for (const { address, response: upgraded } of await responses(t, { 'Sec-WebSocket-Key': key })) {
      assert.deepEqual([upgraded?.status, upgraded?.headers['sec-websocket-accept']], [101, accept], address);
    }
  }
});

sending.test('no extension is agreed on, whatever is offered', async (t) => {
  const OFFERS = ['permessage-deflate; client_max_window_bits', 'permessage-deflate', 'x-foo; bar="baz"', 'permessage-deflate, x-foo'];
  for (const offer of OFFERS) {
    for (const { headers } of await assertUpgraded(t, { more: [`Sec-WebSocket-Extensions: ${offer}`] })) {
      assert.equal(headers['sec-websocket-extensions'], undefined, offer);
    }
  }
  for (const { headers } of await assertUpgraded(t, {})) assert.equal(headers['sec-websocket-extensions'], undefined);
});

sending.test('no subprotocol is agreed on if none is offered', async (t) => {
  for (const { headers } of await assertUpgraded(t, {})) assert.equal(headers['sec-websocket-protocol'], undefined);
});

sending.differs('subprotocols are offered', async (t) => {
  const upgraded = await assertUpgraded(t, { more: ['Sec-WebSocket-Protocol: chat, superchat'] });
  return `agreed on: ${[...new Set(upgraded.map(({ headers }) => headers['sec-websocket-protocol'] ?? 'none'))]}`;
});

sending.differs('malformed subprotocols are offered', async (t) => answered(t, { more: ['Sec-WebSocket-Protocol: a b, , a'] }));

sending.test('frames right behind the handshake, in one TCP segment, are not lost', async (t) => {
  for (const address of addresses()) {
    const tcp = await TcpConnection.open(t, server);
    tcp.write(Buffer.concat([Buffer.from(head('GET', address, lines())), frame('early', { opcode: OPCODE.ping })]));
    assert.equal((await tcp.response())?.status, 101);
    for (;;) {
      const came = await tcp.frame();
      assert.ok(came, `${address}: the end before a pong`);
      if (came.opcode === OPCODE.pong) {
        assert.equal(came.payload.toString(), 'early');
        break;
      }
    }
  }
});

sending.test('a handshake may come in pieces', async (t) => {
  for (const address of addresses()) {
    const tcp = await TcpConnection.open(t, server);
    const text = head('GET', address, lines());
    for (const piece of [text.slice(0, 10), text.slice(10, 60), text.slice(60)]) {
      tcp.write(piece);
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
    assert.equal((await tcp.response())?.status, 101);
  }
});

sending.test('a WebSocket may follow other requests on a connection', async (t) => {
  for (const address of addresses()) {
    const tcp = await TcpConnection.open(t, server);
    assert.equal((await tcp.request('GET', target(), [HOST]))?.status, 200);
    assert.equal((await tcp.request('GET', address, lines()))?.status, 101);
  }
});

const versions = section('4.4: supporting multiple versions');

for (const version of ['0', '7', '12', '14', '130', '255']) {
  versions.test(`version ${version} is answered with an error and the versions that there are`, async (t) => {
    for (const { headers } of await assertRefused(t, { 'Sec-WebSocket-Version': version })) {
      assert.match(headers['sec-websocket-version'] ?? '', /^13\b/);
    }
  });
}

versions.test('a missing version is answered with the versions that there are', async (t) => {
  for (const { headers } of await assertRefused(t, { 'Sec-WebSocket-Version': undefined })) {
    assert.match(headers['sec-websocket-version'] ?? '', /^13\b/);
  }
});

versions.differs('version 8, a draft', async (t) => answered(t, { 'Sec-WebSocket-Version': '8' }));

const FRAME_BYTES = isNode ? 1_000_000 : 1_048_576;
const closing = (...bytes) => (it) => it.sendFrame(Buffer.from(bytes), { opcode: OPCODE.close });
/** @type {[string, string, number, (it: WebSocketSession) => void][]} */
const VIOLATIONS = [
  ['5.1: overview', 'a frame that is not masked', 1002, (it) => it.sendFrame('42["x"]', { masked: false })],
  ['5.2: base framing protocol', 'an unknown opcode', 1002, (it) => it.sendFrame('x', { opcode: 3 })],
  ['5.2: base framing protocol', 'an unknown opcode of control', 1002, (it) => it.sendFrame('', { opcode: 11 })],
  ...[1, 2, 4].map((reserved) => /** @type {[string, string, number, (it: WebSocketSession) => void]} */ ([
    '5.2: base framing protocol', `the reserved bit ${reserved}`, 1002, (it) => it.sendFrame('42["x"]', { reserved }),
  ])),
  ['5.4: fragmentation', 'a continuation of nothing', 1002, (it) => it.sendFrame('x', { opcode: OPCODE.continuation })],
  ['5.4: fragmentation', 'a new message within another one', 1002, (it) => {
    it.sendFrame('42["', { fin: false });
    it.sendFrame('42["x"]');
  }],
  ['5.5: control frames', 'a ping that is too long', 1002, (it) => it.sendFrame('x'.repeat(126), { opcode: OPCODE.ping })],
  ['5.5: control frames', 'a ping in pieces', 1002, (it) => it.sendFrame('x', { opcode: OPCODE.ping, fin: false })],
  ['5.5.1: close', 'a close frame of one byte', 1002, closing(3)],
  ['5.5.1: close', 'a close frame with a reason that is no UTF-8', 1007, closing(0x03, 0xe8, 0xff)],
  ['7.4: status codes', 'a close frame with a code below 1000', 1002, closing(0x03, 0xe7)],
  ...[1004, 1005, 1006, 1015, 1016, 2999, 5000].map((code) => /** @type {[string, string, number, (it: WebSocketSession) => void]} */ ([
    '7.4: status codes', `a close frame with the code ${code}`, 1002, closing(code >> 8, code & 255),
  ])),
  ['8.1: UTF-8', 'bytes that are no UTF-8', 1007, (it) => it.sendFrame(Buffer.from([0x34, 0xff, 0xfe]))],
  ['8.1: UTF-8', 'a surrogate in UTF-8', 1007, (it) => it.sendFrame(Buffer.from([0x34, 0xed, 0xa0, 0x80]))],
  ['8.1: UTF-8', 'an overlong form', 1007, (it) => it.sendFrame(Buffer.from([0x34, 0xc0, 0x80]))],
  ['8.1: UTF-8', 'a text that ends within a character', 1007, (it) => it.sendFrame(Buffer.from([0x34, 0xe2, 0x82]))],
  ['10.4: limits', 'a text that is too long', 1009, (it) => it.sendFrame('x'.repeat(FRAME_BYTES + 1))],
  ['10.4: limits', 'a text that is too long in pieces', 1009, (it) => {
    it.sendFrame('x'.repeat(FRAME_BYTES), { fin: false });
    it.sendFrame('x'.repeat(10), { opcode: OPCODE.continuation });
  }],
];

/** Opens a WebSocket of each address. */
async function openAll(t) {
  const opened = [];
  for (const eio of PROTOCOLS) opened.push(await WebSocketSession.open(t, server, { eio, token: uniqueName('bob') }));
  for (const path of RAW) {
    const tcp = await TcpConnection.open(t, server);
    assert.equal((await tcp.request('GET', `${path}?token=${uniqueName('alice')}`, lines()))?.status, 101);
    opened.push(new WebSocketSession(tcp, 4));
  }
  return opened;
}

for (const [where, what, code, offend] of VIOLATIONS) {
  section(where).test(`${what} ends the connection with ${code}`, async (t) => {
    for (const [index, opened] of (await openAll(t)).entries()) {
      offend(opened);
      assert.equal((await opened.ended()).code, code, addresses()[index]);
    }
  });
}

section('5.5.1: close').test('a close frame is answered with one, and the TCP connection ends', async (t) => {
  for (const code of [1000, 1001, 1003, 1007, 1011, 3000, 4999]) {
    for (const opened of await openAll(t)) {
      closing(code >> 8, code & 255, 0x62, 0x79, 0x65)(opened);
      assert.equal((await opened.ended()).frame, true, `${code}`);
      await opened.tcp.ended();
    }
  }
});

section('5.5.1: close').test('a close frame without a code is answered with one', async (t) => {
  for (const opened of await openAll(t)) {
    closing()(opened);
    assert.equal((await opened.ended()).frame, true);
  }
});

section('5.5.2: ping').test('a ping is answered with a pong of the same text', async (t) => {
  for (const opened of await openAll(t)) {
    for (const text of ['', 'ping', 'x'.repeat(125)]) opened.sendFrame(text, { opcode: OPCODE.ping });
    await opened.until(() => opened.pongs.length === 3, 'three pongs');
    assert.deepEqual(opened.pongs, ['', 'ping', 'x'.repeat(125)]);
  }
});

section('5.5.3: pong').test('a pong without a ping has no effect', async (t) => {
  for (const opened of await openAll(t)) {
    opened.sendFrame('unasked', { opcode: OPCODE.pong });
    opened.sendFrame('ping', { opcode: OPCODE.ping });
    await opened.until(() => opened.pongs.includes('ping'), 'the pong');
  }
});
