// @ts-check
// Owns the promise about proxies: through each configuration of docs/proxies everything works that works without one.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import http2 from 'node:http2';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { chatOf, connectUser, flushInboxes, received, history, sendMessage, seqsOf, upTo } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, collect, connect, nextEvent } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { dial, refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { lockStore } from '../harness/store-lock.mjs';
import { eventually, within } from '../harness/wait.mjs';
import { NAMES, startProxy } from './proxy.mjs';

/** Longer than the default of nginx, 60 s, and twice the time-outs that the tests set. */
const SILENCE_MS = 65_000;

const BIG = 'ä'.repeat(400_000); // 800,000 bytes
const LIMITS = ['--max-message-bytes', '900000'];
const FRAME_BYTES = 1_048_576;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const status = (url, request) => within(fetch(url, request).then((answer) => answer.status), () => `an answer of ${url}`);

/** A text frame of a client, with a mask of zeros. */
const frame = (text) => Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);

/** A WebSocket inside HTTP/2 (RFC 8441), which browsers open where a proxy offers it: it is let in, and answered. */
async function asksOverHttp2(session, { port }) {
  const stream = session.request({
    ':method': 'CONNECT', ':protocol': 'websocket', ':scheme': 'https', ':authority': `localhost:${port}`,
    ':path': '/ws/chats/?token=over-http2', 'sec-websocket-version': '13',
  });
  const headers = await within(new Promise((resolve, reject) => {
    stream.once('response', resolve).once('error', reject);
  }), () => 'a WebSocket over HTTP/2');
  assert.equal(headers[':status'], 200);
  const answer = new Promise((resolve) => { stream.once('data', resolve); });
  stream.write(frame(JSON.stringify({ type: 'getChats', data: {}, request_id: 'h2' })));
  assert.match(String(await within(answer, () => 'the answer over HTTP/2')), /"chatsList".*"h2"/);
  stream.close();
}

for (const name of NAMES) {
  describe(`behind ${name}`, () => {
    const scope = useScope();
    let server;
    let via;
    before(async () => {
      server = await startServer(scope, LIMITS);
      via = await startProxy(scope, name, server.port);
      await eventually(async () => await status(`${via.url}/readyz`) === 200, `${name} reaches the server`);
    });

    const KINDS = {
      'by polling': { transports: ['polling'] },
      'by WebSocket only': { transports: ['websocket'] },
      'with an upgrade': { transports: ['polling', 'websocket'] },
      'with the old client': { client: 2, transports: ['polling', 'websocket'] },
    };
    for (const [kind, options] of Object.entries(KINDS)) {
      test(`Socket.IO works ${kind}, both ways`, async (t) => {
        const [anna, boris] = await Promise.all(['anna', 'boris'].map((base) => connectUser(t, via, base, options)));
        const chat = await chatOf(anna, boris);
        for (const each of upTo(5)) await sendMessage(each % 2 ? anna : boris, chat, `message ${each}`);
        for (const each of [anna, boris]) {
          await each.inbox.until(5);
          assert.deepEqual(seqsOf(received(each, chat)), upTo(5));
        }
        const { engine } = anna.socket.io;
        const upgraded = () => engine.transport.name === options.transports.at(-1);
        await eventually(upgraded, `the transport is ${options.transports.at(-1)}, not ${engine.transport.name}`);
      });
    }

    test('the action dialect works', async (t) => {
      const [anna, boris] = [await action.connectAction(t, via, 'anna'), await action.connectAction(t, via, 'boris')];
      const pk = await action.newRoom(anna);
      for (const each of [anna, boris]) await action.enter(each, pk);
      action.send(anna, 'create_message', { pk, message: 'hello' });
      for (const each of [anna, boris]) assert.equal((await action.untilReceived(each, 'hello')).length, 1);
    });

    test('the type dialect works', async (t) => {
      const [anna, boris] = [await type.connectType(t, via, 'anna'), await type.connectType(t, via, 'boris', { push: true })];
      const chat = await type.chatOf(anna, boris);
      const { id } = await type.sendMessage(anna, chat, 'hello');
      const pushed = await boris.wire.until((each) => each.type === 'messageCreated', 'the push');
      assert.equal(pushed.data.id, id);
    });

    test('the marketplace dialect works on both transports', async (t) => {
      const backend = new Backend(via);
      const [owner, guest] = [await backend.user('owner'), await backend.user('guest')];
      const chat = await backend.eventChat(await backend.event(owner), guest);
      const connections = [await enterSocketIo(t, via, owner), await enterWebSocket(t, via, guest)];
      connections[0].send('send_message', { chatId: chat.chatId, message: { text: 'hello' } });
      for (const each of connections) {
        await each.first(({ event, data }) => event === 'chat_updates' && JSON.stringify(data).includes('hello'), 'the message');
      }
    });

    test('REST works, and an answer of many megabytes is whole', async () => {
      const backend = new Backend(via);
      const user = await backend.user('writer');
      const chat = await backend.chat(user);
      for (let count = 0; count < 8; count++) await backend.sendMessage(chat, user, BIG);
      const { messages } = await backend.get(`/chats/${chat.id}/messages`);
      assert.ok(messages.length > 0 && messages.every(({ msg }) => msg === BIG));
    });

    test('a big message arrives, by either transport and on a raw WebSocket', async (t) => {
      const polling = await connectUser(t, via, 'polling', KINDS['by polling']);
      const socket = await connectUser(t, via, 'socket', KINDS['by WebSocket only']);
      const raw = await type.connectType(t, via, 'raw');
      const chat = await chatOf(polling, socket);
      await type.join(raw, await type.newChat(raw));
      const own = (await type.chats(raw))[0].id;
      assert.equal((await type.sendMessage(raw, own, BIG)).text, BIG);
      for (const each of [polling, socket]) assert.equal((await sendMessage(each, chat, BIG)).msg, BIG);
      await polling.inbox.until(2);
      assert.ok(received(polling, chat).every(({ msg }) => msg === BIG));
    });

    test('a body over the limit is 413', async () => {
      const body = JSON.stringify({ externalUserId: 'x'.repeat(FRAME_BYTES) });
      const request = { method: 'POST', headers: { 'content-type': 'application/json' }, body };
      assert.equal(await status(`${via.url}/api/v1/users`, request), 413);
    });

    test('HTTP/2 carries requests; what it says of WebSockets is what the documentation says', async (t) => {
      const session = http2.connect(via.url);
      t.after(() => session.destroy());
      const settings = await within(new Promise((resolve, reject) => {
        session.once('remoteSettings', resolve).once('error', reject);
      }), () => 'HTTP/2');
      const stream = session.request({ ':path': '/readyz' });
      const [headers] = await within(new Promise((resolve) => {
        stream.once('response', (...answer) => resolve(answer));
      }), () => 'an answer over HTTP/2');
      assert.equal(headers[':status'], 200);
      assert.equal(settings.enableConnectProtocol, name === 'haproxy', 'RFC 8441');
      if (settings.enableConnectProtocol) await asksOverHttp2(session, via);
    });

    test('a page of another origin is refused, the own one is not', async (t) => {
      const strict = await startServer(t, ['--allowed-origins', 'https://app.example']);
      const front = await startProxy(t, name, strict.port);
      await eventually(async () => await status(`${front.url}/readyz`) === 200, `${name} reaches the server`);
      const from = (origin) => ({ token: 'anna', headers: { origin } });
      assert.equal(await refusedWith(t, front, '/ws/chats/', from('https://evil.example')), 403);
      await dial(t, front, '/ws/chats/', from(front.url));
      await dial(t, front, '/ws/chats/', from('https://app.example'));
    });

    test('X-Forwarded-For is what the proxy has seen, whatever the client claims', async (t) => {
      const seen = [];
      const port = await freePort();
      const backend = createServer((request, response) => {
        if (request.url === '/seen') seen.push(request.headers['x-forwarded-for']);
        response.end('ok');
      });
      await new Promise((resolve) => { backend.listen(port, '127.0.0.1', () => resolve(undefined)); });
      t.after(() => { backend.closeAllConnections(); backend.close(); });
      const front = await startProxy(t, name, port);
      await eventually(async () => await status(`${front.url}/readyz`) === 200, `${name} reaches its backend`);
      await status(`${front.url}/seen`, { headers: { 'x-forwarded-for': '203.0.113.7, 10.0.0.1' } });
      assert.deepEqual(seen, ['127.0.0.1']);
    });

    test('a restart of the server is survived: clients come back and miss nothing', async (t) => {
      const [port, { store }] = [await freePort(), await storeFile(t)];
      const options = ['--listen', `127.0.0.1:${port}`, '--store', store];
      const first = await startServer(t, options);
      const front = await startProxy(t, name, port);
      await eventually(async () => await status(`${front.url}/readyz`) === 200, `${name} reaches the server`);
      const anna = await connectUser(t, front, 'anna', { reconnection: true, reconnectionDelay: 100, reconnectionDelayMax: 300 });
      const raw = await type.connectType(t, front, 'raw');
      const chat = await chatOf(anna);
      await sendMessage(anna, chat, 'before');

      await first.stop();
      assert.deepEqual(await raw.wire.end(), { code: 1012, reason: 'restarting' });
      const back = nextEvent(anna.socket, 'connect', 20_000);
      // No server listens: the proxy reports and logs it.
      assert.ok([502, 503].includes(await status(`${front.url}/api/v1/users?token=SECRET-IN-A-QUERY`)));
      await startServer(t, options);
      await back;
      await ask(anna.socket, 'create-user', { user: { externalUserId: anna.user.externalUserId } });
      await sendMessage(anna, chat, 'after');
      assert.deepEqual((await history(anna, chat)).map(({ msg }) => msg), ['before', 'after']);
      assert.ok(!front.logs().includes('SECRET-IN-A-QUERY'), front.logs());
    });

    test('a server that is not ready is taken out, and comes back', async (t) => {
      const { store, path } = await storeFile(t);
      const node = await startServer(t, ['--store', store]);
      const front = await startProxy(t, name, node.port);
      await eventually(async () => await status(`${front.url}/livez`) === 200, `${name} reaches the server`);
      const lock = await lockStore(t, path);
      // nginx has no health checks of its own; the others send them, and answer for a server that is out.
      const asked = name === 'nginx' ? '/readyz' : '/livez';
      await eventually(async () => await status(front.url + asked) === 503, `${name} answers 503`, 30_000);
      assert.equal(await status(`${node.url}/livez`), 200);
      await lock.release();
      await eventually(async () => await status(front.url + asked) === 200, `${name} takes it in again`, 30_000);
    });

    test('a connection that is silent for long stays', async (t) => {
      const wires = await Promise.all(['/ws/chat/room/', '/ws/chats/', '/ws/events/'].map((path) => (
        dial(t, via, path, { token: `idle-${path.length}` })
      )));
      const sockets = await Promise.all([KINDS['by polling'], KINDS['by WebSocket only']].map((options) => (
        connectUser(t, via, 'idle', options)
      )));
      const losses = sockets.map(({ socket }) => collect(socket, 'disconnect'));
      await sleep(SILENCE_MS);
      for (const wire of wires) assert.ok(wire.isOpen, JSON.stringify(wire.ended));
      assert.deepEqual(losses.flat(), []);
      await flushInboxes(...sockets);
    });

    test('no token stands in its logs', async (t) => {
      for (const path of ['/ws/chat/room/', '/ws/chats/', '/ws/events/', '/ws']) {
        await (await dial(t, via, path, { token: 'SECRET-IN-A-QUERY' })).close();
      }
      await connect(t, via.url, { query: { token: 'SECRET-IN-A-QUERY' } });
      await connect(t, via.url, { query: { token: 'SECRET-IN-A-QUERY' }, transports: ['polling'] });
      await status(`${via.url}/api/v1/users?token=SECRET-IN-A-QUERY`);
      await status(`${via.url}/api/v1/users`, { headers: { authorization: 'Bearer SECRET-IN-A-QUERY' } });
      await eventually(() => via.logs().includes('/api/v1/users'), 'the log is written');
      assert.ok(!via.logs().includes('SECRET-IN-A-QUERY'), via.logs());
    });
  });
}
