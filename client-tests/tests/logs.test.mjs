// @ts-check
// Owns the promises about the log under hostile clients: what they send forges no line, and refusals take few lines.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession } from '../clients/engineio-session.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused, open, refusal } from '../clients/socketio.mjs';
import { dial, refusedWith } from '../clients/websocket.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { eventually, within } from '../harness/wait.mjs';

const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];
const FORGED = 'x\n2026-11-26T00:00:00Z ERROR polychat: FAKED \u001b[31m';
const HOSTILE = `${FORGED}\u0085\u009b\u202e\u2028\u007f`;
const LINE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z +(TRACE|DEBUG|INFO|WARN|ERROR) /;
// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028]/;

/** Hostile texts at every place where a client of this server may put one. */
async function attack(t, server) {
  const valid = await token({ sub: 'anna' });
  const error = await connectRefused(t, server.url, { auth: { token: valid, since: { [HOSTILE]: -1 } } });
  assert.equal(error.message, 'invalid');
  for (const bad of [HOSTILE, await token({ sub: HOSTILE, exp: 1 }), await token({ sub: HOSTILE.repeat(20) })]) {
    await connectRefused(t, server.url, { auth: { token: bad } });
    await connectRefused(t, `${server.url}/events`, { auth: { token: bad } });
    await connectRefused(t, server.url, { query: { token: bad } });
    assert.equal(await refusedWith(t, server, '/ws', { token: bad }), 401);
    const answer = await fetch(`${server.url}/api/v1/users/${encodeURIComponent(HOSTILE)}?token=${encodeURIComponent(bad)}`);
    assert.equal(answer.status, 401);
  }
  const socket = await connect(t, server.url, { auth: { token: valid } });
  await ask(socket, 'create-user', { user: { name: HOSTILE, avatar: HOSTILE } });
  await refusal(socket, HOSTILE, { [HOSTILE]: HOSTILE });
  await refusal(socket, 'list-messages', { chat: { id: HOSTILE } });
  const wire = await dial(t, server, '/ws/chat/room/', { token: valid });
  await wire.ask({ action: HOSTILE, [HOSTILE]: HOSTILE });
  const backend = new Backend(server, await token({ sub: 'backend', role: 'service' }));
  await backend.call('POST', '/users', { externalUserId: HOSTILE });
  await backend.call('GET', `/chats/${encodeURIComponent(HOSTILE)}?${encodeURIComponent(HOSTILE)}=${encodeURIComponent(HOSTILE)}`);
  await backend.call('POST', '/chats', { [HOSTILE]: HOSTILE }, { 'idempotency-key': 'x\u009b31m', 'x-forwarded-for': 'x\u009b' });
}

test('the id of a session is not in the log, whatever its level', async (t) => {
  const server = await startServer(t, ['--log-level', 'trace']);
  const session = await PollingSession.open(t, server, { token: 'anna' });
  await session.post(PACKET.connect);
  await session.packet(PACKET.connect);
  const socket = await connect(t, server.url, { auth: { token: 'boris' } });
  const socketSid = socket.io.engine.id;
  await ask(socket, 'create-user', { user: { externalUserId: 'boris' } });
  await server.stop();
  assert.match(server.logs(), /TRACE/);
  for (const sid of [session.sid, socketSid]) assert.ok(sid.length > 10 && !server.logs().includes(sid), sid);
});

describe('what clients send forges no line of the log and carries no control character into it', () => {
  for (const level of ['info', 'trace']) {
    test(`as text, at level ${level}`, async (t) => {
      const server = await startServer(t, [...JWT, '--log-level', level]);
      await attack(t, server);
      await server.stop();
      const [, log] = server.logs().split('Every option: polychat --help\n');
      assert.ok(log.includes('x\\n2026-11-26T00:00:00Z ERROR polychat: FAKED \\u{1b}[31m'), log.slice(0, 5000));
      assert.doesNotMatch(log, CONTROL);
      for (const line of log.trimEnd().split('\n')) assert.match(line, LINE);
    });

    test(`as JSON, at level ${level}`, async (t) => {
      const server = await startServer(t, [...JWT, '--log-format', 'json', '--log-level', level]);
      await attack(t, server);
      await server.stop();
      const log = server.logs();
      assert.doesNotMatch(log, CONTROL);
      const events = log.trimEnd().split('\n').map((line) => JSON.parse(line));
      assert.ok(events.some(({ error }) => error?.includes(FORGED)), 'the characters are escaped, not removed');
    });
  }
});

/** The lines about refusals, and the sums of those that have none. */
function refusals(server) {
  const lines = server.logs().split('\n').filter((line) => line.includes('refused'));
  const sums = lines.map((line) => /refused (\d+) more in \d+ s address=(\S*)/.exec(line));
  const summed = sums.flatMap((sum) => (sum ? [{ count: Number(sum[1]), address: sum[2] }] : []));
  return { lines, logged: lines.length - summed.length, summed };
}

describe('refusals', () => {
  test('of one address take a handful of lines, and the others are summed up at the end', async (t) => {
    const server = await startServer(t, [...JWT, '--trusted-proxies', '127.0.0.1']);
    const from = (address) => ({ 'x-forwarded-for': address });
    const EACH = 150;
    const began = Date.now();
    for (let count = 0; count < EACH; count++) {
      const answer = await fetch(`${server.url}/api/v1/users`, { headers: from('192.0.2.1') });
      assert.equal(answer.status, 401);
      assert.equal(await refusedWith(t, server, '/ws', { headers: from('2001:db8::1') }), 401);
      const other = await fetch(`${server.url}/api/v1/users`, { headers: from('2001:db8::2:1') });
      assert.equal(other.status, 401);
    }
    await connectRefused(t, server.url, { auth: { token: 'x' }, extraHeaders: from('192.0.2.1') });
    await connectRefused(t, server.url, { auth: { token: 'x' }, extraHeaders: from('192.0.2.3') });
    const metrics = new Backend(server, await token({ sub: 'backend', role: 'service' }));
    const { text } = await metrics.raw('GET', '/../../metrics', undefined);
    await server.stop();
    const { logged, summed, lines } = refusals(server);
    const refilled = Math.ceil((Date.now() - began) / 6000);
    assert.ok(logged >= 21 && logged <= 21 + 2 * refilled, lines.join('\n'));
    assert.deepEqual(summed.map(({ address }) => address).sort(), ['192.0.2.1', '2001:db8::'], lines.join('\n'));
    assert.equal(summed.reduce((sum, { count }) => sum + count, logged), 3 * EACH + 2);
    assert.ok(lines.some((line) => line.includes('address=192.0.2.3')), lines.join('\n'));
    assert.match(text, new RegExp(`polychat_connections_refused_total\\{reason="unauthenticated"\\} ${EACH + 2}\n`));
  });

  test('of 60,000 CONNECTs on one WebSocket take a handful of lines, and the session ends', async (t) => {
    const server = await startServer(t, JWT);
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    t.after(() => socket.terminate());
    const closed = new Promise((resolve) => { socket.once('close', (code, reason) => resolve([code, `${reason}`])); });
    socket.on('error', () => {});
    await within(new Promise((resolve) => { socket.once('open', resolve); }), () => 'a WebSocket');
    for (let count = 0; count < 60_000; count++) socket.send('40{"token":"x"}', () => {});
    const end = await within(closed, () => 'the end of the session');
    assert.ok([1006, 1008].includes(end[0]), JSON.stringify(end));
    await server.stop();
    const { lines } = refusals(server);
    assert.ok(lines.length > 0 && lines.length <= 12, `${lines.length} lines`);
  });

  test('do not keep an official client from connecting with a valid token, however often it was refused', async (t) => {
    const server = await startServer(t, JWT);
    const good = await token({ sub: 'anna' });
    let tries = 0;
    const auth = (send) => send({ token: ++tries > 12 ? good : 'x' });
    const socket = open(t, server.url, { auth });
    socket.on('connect_error', () => socket.connect());
    await eventually(() => socket.connected, 'the client is connected');
    assert.equal(tries, 13);
    assert.equal((await ask(socket, 'create-user', { user: {} })).user.externalUserId, 'anna');
  });
});
