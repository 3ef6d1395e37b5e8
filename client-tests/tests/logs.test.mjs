// @ts-check
// Owns the promises about the log under hostile clients: what they send forges no line, refusals take few lines, and
// --log-requests has a line for each request without its content.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import * as action from '../clients/action.mjs';
import { PACKET } from '../clients/engineio.mjs';
import { PollingSession } from '../clients/engineio-session.mjs';
import { chatOf, connectUser, sendMessage } from '../clients/fixtures.mjs';
import { connectSocketIo, connectWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, connectRefused, open, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
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
  const server = await startServer(t, ['--log-level', 'trace', '--log-requests']);
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
      const server = await startServer(t, [...JWT, '--log-level', level, '--log-requests']);
      await attack(t, server);
      await server.stop();
      const [, log] = server.logs().split('Every option: polychat --help\n');
      assert.ok(log.includes('x\\n2026-11-26T00:00:00Z ERROR polychat: FAKED \\u{1b}[31m'), log.slice(0, 5000));
      assert.doesNotMatch(log, CONTROL);
      for (const line of log.trimEnd().split('\n')) assert.match(line, LINE);
    });

    test(`as JSON, at level ${level}`, async (t) => {
      const server = await startServer(t, [...JWT, '--log-format', 'json', '--log-level', level, '--log-requests']);
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

const SECRETS = { text: 'a-text-for-members-only', name: 'a-name-of-nothing', query: 'a-query-of-nothing' };

/** The requests that were logged, in their order. */
function requests(server) {
  const lines = server.logs().split('\n').filter((line) => line.includes('"message":"request"'));
  return lines.map((line) => JSON.parse(line));
}

describe('--log-requests', () => {
  /** A server that logs requests. */
  const start = (t, args = []) => startServer(t, ['--log-format', 'json', '--log-requests', ...args]);

  /** What was logged in this dialect: `name code` for each, all with this user. */
  async function assertLogged(server, dialect, user, expected) {
    const logged = () => requests(server).filter((line) => line.dialect === dialect);
    await eventually(() => logged().length >= expected.length, `${expected.length} lines of ${dialect}`);
    const lines = logged();
    assert.deepEqual(lines.map(({ name, code }) => `${name} ${code}`), expected);
    for (const line of lines) {
      assert.ok(user.includes(line.user), JSON.stringify(line));
      assert.ok(typeof line.ms === 'number' && line.ms >= 0 && line.ms < 60_000, JSON.stringify(line));
      assert.deepEqual(Object.keys(line).sort(), ['code', 'dialect', 'level', 'message', 'ms', 'name', 'target', 'timestamp', 'user']);
      assert.equal(line.level, 'INFO');
    }
    for (const secret of Object.values(SECRETS)) assert.ok(!server.logs().includes(secret), secret);
  }

  test('is off by default', async (t) => {
    const server = await startServer(t, ['--log-format', 'json']);
    await connectUser(t, server, 'anna');
    await new Backend(server).get('/users');
    await server.stop();
    assert.deepEqual(requests(server), []);
  });

  test('has a line for each request of the event-name dialect', async (t) => {
    const server = await start(t, ['--frame-limit', '1:12']);
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    await sendMessage(anna, chat, SECRETS.text);
    await ask(anna.socket, 'list-chats', {});
    await ask(anna.socket, 'list-messages', { chat: { id: chat.id } });
    await ask(anna.socket, 'sync', { chats: { [chat.id]: 0 } });
    const room = { room: chat.id, user: { id: anna.id } };
    await refusal(anna.socket, 'set-role', { ...room, role: SECRETS.text });
    await refusal(anna.socket, 'mute-user', room);
    await refusal(anna.socket, 'ban-user', room);
    await refusal(anna.socket, SECRETS.name, { text: SECRETS.text });
    await refusal(anna.socket, 'new-message', { room: SECRETS.name, msg: SECRETS.text });
    await refusal(anna.socket, 'list-chats', Buffer.from(SECRETS.text));
    const over = await Promise.all([1, 2, 3].map(() => refusal(anna.socket, 'list-chats', { before: SECRETS.text })));
    assert.ok(over.some(({ code }) => code === 'rate_limited'), JSON.stringify(over));
    await assertLogged(server, 'event-name', [anna.id], [
      'create-user ok', 'create-chat ok', 'new-message ok', 'list-chats ok', 'list-messages ok', 'sync ok', 'set-role invalid',
      'mute-user forbidden', 'ban-user forbidden', 'unknown invalid', 'new-message not_found', 'list-chats invalid',
      ...over.map(({ code }) => `list-chats ${code}`),
    ]);
  });

  test('has a line for each request of the action dialect', async (t) => {
    const server = await start(t);
    const anna = await action.connectAction(t, server, 'anna', { acks: true });
    const { pk } = await action.ask(anna, 'create', { data: { name: SECRETS.text } }, 201);
    const asked = {
      join_room: { pk }, retrieve: { pk }, subscribe_to_messages_in_room: { pk }, subscribe_instance: { pk },
      unsubscribe_instance: { pk }, create_message: { pk, message: SECRETS.text }, list: {}, sync: { chats: { [pk]: 0 } },
      patch: { pk, data: { name: SECRETS.text } }, update: { pk, data: {} }, leave_room: { pk }, delete: { pk },
    };
    const replies = [];
    for (const [name, fields] of Object.entries(asked)) replies.push(await anna.wire.ask({ action: name, ...fields }));
    replies.push(await anna.wire.ask({ action: 'retrieve', pk }), await anna.wire.ask({ action: SECRETS.name }));
    const code = { 400: 'invalid', 404: 'not_found', 405: 'invalid' };
    const codes = replies.map(({ response_status }) => code[response_status] ?? 'ok');
    assert.deepEqual(codes.slice(-2), ['not_found', 'invalid']);
    const users = await new Backend(server).get('/users');
    const names = ['create', ...Object.keys(asked), 'retrieve', 'unknown'];
    await assertLogged(server, 'action', [users.users[0].id], names.map((name, at) => `${name} ${at === 0 ? 'ok' : codes[at - 1]}`));
  });

  for (const path of ['/ws/chats/', '/ws']) {
    test(`has a line for each request of the type dialect on ${path}`, async (t) => {
      const server = await start(t);
      const anna = await type.connectType(t, server, 'anna', { path });
      const chat = await type.newChat(anna);
      await type.join(anna, chat);
      await type.details(anna, chat);
      await type.sendMessage(anna, chat, SECRETS.text);
      await type.messages(anna, chat);
      await type.chats(anna);
      await type.ask(anna, 'sync', { chats: { [chat]: 0 } }, 'sync');
      await type.refusal(anna, 'joinChat', { chat: 99 });
      await type.refusal(anna, SECRETS.name, { text: SECRETS.text });
      anna.wire.sendText(SECRETS.text);
      const { users } = await new Backend(server).get('/users');
      await assertLogged(server, 'type', [users[0].id], [
        'createEmptyChat ok', 'joinChat ok', 'getChatDetails ok', 'newMessage ok', 'getChatMessages ok', 'getChats ok', 'sync ok',
        'joinChat not_found', 'unknown invalid', 'unknown invalid',
      ]);
    });
  }

  for (const [transport, enter] of Object.entries({ 'Socket.IO': connectSocketIo, 'a raw WebSocket': connectWebSocket })) {
    test(`has a line for each request of the marketplace dialect over ${transport}`, async (t) => {
      const server = await start(t);
      const backend = new Backend(server);
      const [owner, guest] = [await backend.user('owner'), await backend.user('guest')];
      const event = await backend.event(owner);
      const market = await enter(t, server, { token: guest.externalUserId });
      await market.next('initial_data');
      const { chatId } = await backend.eventChat(event, guest);
      market.send('open_chat', { eventId: event.id });
      market.send('request_access', { eventId: event.id, message: SECRETS.text });
      market.send('read_messages', { chatId, lastReadedMessageId: 0 });
      market.send('load_history', { chatId, lastMessageId: 5 });
      market.send('send_message', { chatId: SECRETS.name, message: { text: SECRETS.text } });
      market.send('grant_access', { chatId, granted: true });
      market.send(SECRETS.name, { text: SECRETS.text });
      await assertLogged(server, 'marketplace', [guest.id], [
        'open_chat ok', 'request_access ok', 'read_messages ok', 'load_history ok', 'send_message not_found', 'grant_access forbidden',
        'unknown invalid',
      ]);
    });
  }

  test('has a line for each call of REST, under the pattern of its address', async (t) => {
    const server = await start(t, JWT);
    const backend = new Backend(server, await token({ sub: 'backend', role: 'service' }));
    const { id } = await backend.user(SECRETS.text, { name: SECRETS.text });
    await backend.call('GET', `/users/${id}/?x=${SECRETS.query}`);
    await backend.call('GET', `/users/${id}`);
    await backend.call('GET', `/chats/${SECRETS.name}/messages`);
    await backend.call('POST', '/chats', { name: SECRETS.text, [SECRETS.name]: 1 });
    await backend.call('GET', `/${SECRETS.name}`);
    await backend.call('DELETE', '/users');
    await backend.call('SECRET', '/users');
    assert.equal((await fetch(`${server.url}/api/v1/users?token=${SECRETS.query}`)).status, 401);
    const lines = () => requests(server).filter(({ dialect }) => dialect === 'rest');
    await eventually(() => lines().length >= 9, 'nine lines');
    await assertLogged(server, 'rest', [...new Set(lines().map(({ user }) => user))], [
      'POST /api/v1/users ok', 'GET /api/v1/users/{user} invalid', 'GET /api/v1/users/{user} ok',
      'GET /api/v1/chats/{chat}/messages not_found', 'POST /api/v1/chats invalid', 'unknown not_found',
      'DELETE /api/v1/users invalid', 'unknown invalid', 'GET /api/v1/users unauthenticated',
    ]);
    const users = lines().map(({ user }) => user);
    assert.equal(users.at(-1), 'none');
    assert.match(users[0], /^[\da-f-]{36}$/);
    assert.ok(users.slice(0, 5).every((user) => user === users[0]), users.join(' '));
  });
});
