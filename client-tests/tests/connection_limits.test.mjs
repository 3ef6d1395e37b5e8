// @ts-check
// Owns the promise that no client may hold more connections than allowed, or hold one without progress.
import assert from 'node:assert/strict';
import { connect as dialTcp } from 'node:net';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PACKET, RawPolling } from '../clients/engineio.mjs';
import { connectUser, uniqueName } from '../clients/fixtures.mjs';
import {
  TRANSPORT_LOST, ask, connect, connectCutOff, connectRefused, refusal as refusedRequest,
} from '../clients/socketio.mjs';
import { PATH, dial, refusal } from '../clients/websocket.mjs';
import { probe } from '../harness/http.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

/** A TCP connection on which nothing is sent yet. */
async function silent(owner, { port }) {
  const socket = dialTcp(port, '127.0.0.1');
  const line = {
    socket, received: '', isOver: false, ended: () => within(closed, () => 'the end of the TCP connection', 20_000),
  };
  socket.on('error', () => {}); // a cut connection: `closed` reports it
  socket.setEncoding('utf8').on('data', (text) => { line.received += text; });
  const closed = new Promise((resolve) => { socket.once('close', resolve); });
  socket.once('close', () => { line.isOver = true; });
  owner.after(() => socket.destroy());
  await within(new Promise((resolve) => { socket.once('connect', resolve).once('close', resolve); }), () => 'a connection');
  return line;
}

/** Sends one piece after the other, with a pause between two, until there are no more or the connection has ended. */
async function slowly(line, pieces, ms) {
  for (const piece of pieces) {
    if (line.isOver) return;
    line.socket.write(piece);
    await sleep(ms);
  }
}

const type = (owner, server, token, options) => dial(owner, server, PATH.type, { token, ...options });

describe('connections of one user', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, ['--max-connections-per-user', '2']); });

  test('over the limit are refused on a raw WebSocket with 429, and allowed when one has gone', async (t) => {
    const token = uniqueName('alice');
    const [first] = [await type(t, server, token), await type(t, server, token)];
    const { status, body, headers } = await refusal(t, server, PATH.type, { token });
    assert.equal(status, 429);
    assert.match(body, /rate_limited/);
    assert.match(headers['retry-after'] ?? '', /^\d+$/);
    await type(t, server, uniqueName('bob'));
    await first.close();
    await eventually(() => type(t, server, token).catch(() => undefined), 'there is a place again');
  });

  test('over the limit end on Socket.IO, so that the client reconnects, whatever the dialect of the others', async (t) => {
    const token = uniqueName('alice');
    await type(t, server, token);
    await connect(t, server.url, { auth: { token } });
    for (const url of [server.url, `${server.url}/events`]) {
      assert.match(await connectCutOff(t, url, { auth: { token } }), TRANSPORT_LOST);
    }
  });

  test('that become the user\'s by create-user count, too', async (t) => {
    const name = uniqueName('alice');
    const hello = { user: { externalUserId: name } };
    const sockets = [];
    for (let made = 0; made < 3; made++) sockets.push(await connect(t, server.url));
    await ask(sockets[0], 'create-user', hello);
    await ask(sockets[0], 'create-user', hello);
    await ask(sockets[1], 'create-user', hello);
    const error = await refusedRequest(sockets[2], 'create-user', hello);
    assert.equal(error.code, 'rate_limited');
    assert.ok(error.retry_after_ms > 0);
    const bob = await connect(t, server.url, { auth: { token: uniqueName('bob') } });
    await ask(bob, 'create-user', hello); // bob finds alice, and stays bob
    sockets[0].close();
    const taken = () => refusedRequest(sockets[2], 'create-user', hello).then(() => false, () => true);
    await eventually(taken, 'there is a place again');
  });

  test('are not counted where the limit is off', async (t) => {
    const free = await startServer(t, ['--max-connections-per-user', 'off']);
    const token = uniqueName('alice');
    for (let made = 0; made < 120; made++) await type(t, free, token);
  });
});

describe('connections from one address', () => {
  const scope = useScope();
  let server;
  before(async () => {
    server = await startServer(scope, ['--max-connections-per-address', '2', '--trusted-proxies', '127.0.0.1,10.0.0.0/8']);
  });

  const from = (...addresses) => ({ headers: { 'x-forwarded-for': addresses.join(', ') } });

  test('that a trusted proxy names are limited, those of another one are not', async (t) => {
    const [first] = [await type(t, server, 'a', from('192.0.2.1')), await type(t, server, 'b', from('192.0.2.1'))];
    for (const address of [['192.0.2.1'], ['203.0.113.9', '192.0.2.1'], ['192.0.2.1', '10.1.2.3']]) {
      const { status, body } = await refusal(t, server, PATH.type, { token: 'c', ...from(...address) });
      assert.equal(status, 429);
      assert.match(body, /rate_limited/);
    }
    await type(t, server, 'c', from('192.0.2.1', '192.0.2.2'));
    const called = await fetch(`${server.url}/api/v1/users`, from('192.0.2.1'));
    assert.equal(called.status, 429);
    const { code } = /** @type {{ code: string }} */ (await called.json());
    assert.equal(code, 'rate_limited');
    await first.close();
    const again = () => type(t, server, 'c', from('192.0.2.1')).catch(() => undefined);
    await eventually(again, 'there is a place again');
  });

  test('over Socket.IO count likewise', async (t) => {
    const options = { extraHeaders: from('192.0.2.77').headers };
    await connect(t, server.url, options);
    await connect(t, server.url, options);
    await connectRefused(t, server.url, options);
  });

  test('of requests that are over do not count', async () => {
    for (let made = 0; made < 10; made++) {
      assert.equal((await fetch(`${server.url}/api/v1/users`, from('192.0.2.50'))).status, 200);
    }
  });

  test('of loopback addresses are not limited', async (t) => {
    for (let made = 0; made < 5; made++) await type(t, server, 'a');
  });

  test('are taken from a trusted proxy only', async (t) => {
    const other = await startServer(t, ['--max-connections-per-address', '2']);
    for (let made = 0; made < 5; made++) await type(t, other, 'a', from('192.0.2.1'));
  });
});

describe('connections of nobody', () => {
  test('over the limit are closed at once; admitted ones do not count', async (t) => {
    const server = await startServer(t, ['--max-unauthenticated', '3']);
    for (let made = 0; made < 3; made++) {
      await type(t, server, 'alice');
      await connectUser(t, server, 'bob');
    }
    const strangers = [];
    for (let made = 0; made < 3; made++) strangers.push(await silent(t, server));
    await (await silent(t, server)).ended();
    assert.ok(strangers.every(({ isOver }) => !isOver));
    strangers[0].socket.destroy();
    await eventually(() => type(t, server, 'alice').catch(() => undefined), 'there is a place again');
  });

  describe('end', () => {
    const scope = useScope();
    let server;
    before(async () => { server = await startServer(scope, ['--handshake-timeout', '2s']); });

    test('when nothing comes', async (t) => { await (await silent(t, server)).ended(); });

    test('when a head dribbles in', async (t) => {
      const line = await silent(t, server);
      line.socket.write('GET /livez HTTP/1.1\r\nhost: localhost\r\nx: ');
      slowly(line, Array.from({ length: 300 }, () => 'x'), 50);
      await line.ended();
    });

    test('when a WebSocket of Socket.IO sends nothing', async (t) => {
      const line = await silent(t, server);
      line.socket.write('GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n'
        + 'upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
      await line.ended();
      assert.match(line.received, /^HTTP\/1.1 101 /);
    });

    test('not when somebody was admitted, or a request was served', async (t) => {
      const wire = await type(t, server, 'alice');
      const bob = await connectUser(t, server, 'bob');
      const polling = await connectUser(t, server, 'carol', { transports: ['polling'] });
      const line = await silent(t, server);
      const asking = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n';
      line.socket.write(asking);
      await sleep(2500);
      line.socket.write(asking);
      await eventually(() => line.received.split('HTTP/1.1 200').length === 3, 'both were answered');
      assert.equal((await wire.ask({ type: 'getChats' })).type, 'chatsList');
      for (const { socket } of [bob, polling]) await ask(socket, 'list-chats', {});
    });
  });
});

describe('the body of a request', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, ['--handshake-timeout', '2s']); });

  const head = (path, contentType, length) => (
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${contentType}\r\ncontent-length: ${length}\r\n\r\n`
  );

  test('that trickles is given up', async (t) => {
    const { handshake } = await new RawPolling(server.url).open();
    for (const [path, media] of [
      ['/api/v1/users', 'application/json'],
      [`/socket.io/?EIO=4&transport=polling&sid=${handshake.sid}`, 'text/plain'],
    ]) {
      const line = await silent(t, server);
      line.socket.write(head(path, media, 5000));
      slowly(line, Array.from({ length: 300 }, () => ' '), 50);
      await line.ended();
      assert.doesNotMatch(line.received, /^HTTP\/1.1 2/);
    }
    assert.equal((await probe(`${server.url}/readyz`)).status, 200);
  });

  test('that comes slowly but steadily is taken', async (t) => {
    const json = JSON.stringify({ externalUserId: uniqueName('slow') });
    const body = json.padEnd(12_000);
    const pieces = Array.from({ length: 6 }, (_, index) => body.slice(index * 2000, (index + 1) * 2000));
    const line = await silent(t, server);
    line.socket.write(head('/api/v1/users', 'application/json', body.length));
    await slowly(line, pieces, 500);
    await eventually(() => line.received.startsWith('HTTP/1.1 200'), `it is accepted; received: ${line.received}`);
  });

  test('of a polling session that comes slowly is taken', async (t) => {
    const session = await new RawPolling(server.url).open();
    const line = await silent(t, server);
    line.socket.write(head(`/socket.io/?EIO=4&transport=polling&sid=${session.handshake.sid}`, 'text/plain', 2));
    await slowly(line, ['4', '0'], 300);
    await session.packet(PACKET.connect);
  });
});
