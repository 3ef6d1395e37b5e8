// @ts-check
// Owns the promises about the log under hostile clients: what they send forges no line.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession } from '../clients/engineio-session.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused, refusal } from '../clients/socketio.mjs';
import { dial, refusedWith } from '../clients/websocket.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

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
