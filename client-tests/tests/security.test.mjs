// @ts-check
// Owns the promises of SECURITY.md that can be tried from outside: tokens are never repeated, hidden is like absent, no
// text is interpreted, and HTTP has one meaning.
import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { CARRIERS, RAW_PATHS } from '../clients/credentials.mjs';
import { chatOf, connectUser, history, sendMessage, uniqueName } from '../clients/fixtures.mjs';
import { connectSocketIo } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { dial } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token, unsigned } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

test('a token is neither logged nor echoed, whyever it is refused, however much is logged', async (t) => {
  const server = await startServer(t, [...JWT, '--log-level', 'trace']);
  const refused = {
    'no JWT at all': 'MARK-no-jwt-at-all',
    'signed by somebody else': await token({ sub: 'MARK' }, 'x'.repeat(40)),
    'not signed': unsigned({ sub: 'MARK-unsigned' }),
    'too old': await token({ sub: 'MARK-old', exp: 1_000_000_000 }),
    'not valid yet': await token({ sub: 'MARK-early', nbf: 99_999_999_999 }),
    'for nobody': await token({ sub: '' }),
    'of the wrong type': await token({ sub: 5 }),
    'too long': 'MARK'.repeat(2200),
  };
  for (const [why, bad] of Object.entries(refused)) {
    for (const [how, carry] of Object.entries(CARRIERS)) {
      const answer = await carry(t, server, bad);
      const sent = answer instanceof Error ? JSON.stringify([answer.message, 'data' in answer && answer.data]) : String(answer);
      assert.ok(!sent.includes(bad), `${why}, by ${how}: ${sent.slice(0, 300)}`);
    }
  }
  const good = await token({ sub: 'MARK-good' });
  await connect(t, server.url, { auth: { token: good } });
  for (const path of RAW_PATHS) await (await dial(t, server, path, { token: good })).close();
  const log = server.logs();
  assert.ok(log.includes('TRACE') && log.includes('refused'), 'the log has all levels');
  for (const each of [...Object.values(refused), good, SECRET]) {
    for (const piece of [each, encodeURIComponent(each), each.slice(each.lastIndexOf('.') + 1)]) {
      if (piece.length > 8) assert.ok(!log.includes(piece), `the log has ${piece.slice(0, 60)}`);
    }
  }
  assert.ok(!log.includes('MARK'), 'not even who is meant');
});

/** Query injections in place of an id. */
const QUERIES = [
  { $ne: null }, { $gt: '' }, { $regex: '.*' }, { $where: '1' }, ['$ne', null], { $ne: null, length: 36 },
  "' OR '1'='1", "1' OR 1=1; --", "1; DROP TABLE users; --", '1 UNION SELECT * FROM messages', '%', '*', '$id', '\u0000',
];

describe('an attacker without rights', () => {
  const scope = useScope();
  let server;
  let victim;
  let chat;
  let attacker;
  before(async () => {
    server = await startServer(scope, JWT);
    const user = async (sub) => {
      const socket = await connect(scope, server.url, { auth: { token: await token({ sub }) } });
      return { socket, ...(await ask(socket, 'create-user', { user: {} })).user };
    };
    victim = await user('victim');
    attacker = await user('attacker');
    chat = await chatOf(victim);
    await sendMessage(victim, chat, 'THE-SECRET');
  });

  const unharmed = async () => {
    const messages = await history(victim, chat);
    assert.deepEqual(messages.map(({ msg }) => msg), ['THE-SECRET']);
    const { chats } = await ask(victim.socket, 'list-chats', {});
    assert.deepEqual(chats.map(({ users }) => users), [[victim.id]]);
  };

  test('finds nothing by putting queries where ids belong, in event-name', async () => {
    for (const query of QUERIES) {
      const requests = [
        ['list-messages', { chat: { id: query } }],
        ['list-messages', { chat: { id: chat.id }, query: { after_seq: query } }],
        ['list-chats', { user: { id: query } }],
        ['list-chats', { before: query }],
        ['create-user', { user: { id: query } }],
        ['create-user', { user: { externalUserId: query } }],
        ['create-chat', { chat: { name: 'x' }, users: [query] }],
        ['new-message', { room: query, msg: 'x' }],
        ['new-message', { room: chat.id, msg: 'x', user: { id: query }, client_id: query }],
      ];
      for (const [event, body] of requests) {
        const error = await refusal(attacker.socket, event, body);
        assert.ok(['invalid', 'not_found', 'forbidden'].includes(error.code), JSON.stringify({ body, error }));
      }
    }
    await unharmed();
  });

  test('finds nothing likewise in action, type and marketplace', async (t) => {
    const raw = { token: await token({ sub: 'attacker' }) };
    const [actor, typist] = [await action.connectAction(t, server, 'a', raw), await type.connectType(t, server, 't', raw)];
    const market = await connectSocketIo(t, server, raw);
    await market.next('initial_data');
    for (const query of QUERIES) {
      for (const name of ['join_room', 'retrieve', 'subscribe_instance', 'delete', 'create_message', 'leave_room']) {
        const reply = await actor.wire.ask({ action: name, pk: query, message: 'x' });
        assert.ok([400, 403, 404].includes(reply.response_status), JSON.stringify(reply));
      }
      for (const name of ['joinChat', 'getChatDetails', 'newMessage', 'getChatMessages']) {
        const answer = await type.refusal(typist, name, { chat: query, chatId: query, text: 'x' });
        assert.ok(['invalid', 'not_found', 'forbidden'].includes(answer.code), JSON.stringify(answer));
      }
      for (const name of ['send_message', 'read_messages', 'load_history', 'open_chat', 'request_access', 'grant_access']) {
        const body = { chatId: query, eventId: query, lastMessageId: query, lastReadedMessageId: query, granted: true };
        const { error } = await market.ask(name, { ...body, message: { text: 'x' } });
        assert.ok(['invalid', 'not_found', 'forbidden'].includes(error?.code), JSON.stringify({ name, query, error }));
      }
    }
    const delivered = JSON.stringify([actor.wire.frames, typist.wire.frames, market.frames]);
    assert.ok(!delivered.includes('THE-SECRET'));
    await unharmed();
  });

  test('cannot distinguish a chat that is hidden from one that never existed, in any dialect', async (t) => {
    const raw = { token: await token({ sub: 'attacker' }) };
    const [actor, typist] = [await action.connectAction(t, server, 'a', raw), await type.connectType(t, server, 't', raw)];
    const market = await connectSocketIo(t, server, raw);
    await market.next('initial_data');
    const questions = {
      'list-messages': (id) => refusal(attacker.socket, 'list-messages', { chat: { id } }),
      'new-message': (id) => refusal(attacker.socket, 'new-message', { room: id, msg: 'x' }),
      retrieve: (id, pk) => action.refusal(actor, 'retrieve', { pk }, 404),
      join_room: (id, pk) => action.refusal(actor, 'join_room', { pk }, 404),
      delete: (id, pk) => action.refusal(actor, 'delete', { pk }, 404),
      joinChat: (id, pk) => type.refusal(typist, 'joinChat', { chat: pk }),
      newMessage: (id, pk) => type.refusal(typist, 'newMessage', { chat: pk, text: 'x' }),
      getChatDetails: (id, pk) => type.refusal(typist, 'getChatDetails', { chatId: pk }),
      getChatMessages: (id, pk) => type.refusal(typist, 'getChatMessages', { chatId: pk }),
      load_history: (chatId) => market.ask('load_history', { chatId, lastMessageId: '5' }),
      send_message: (chatId) => market.ask('send_message', { chatId, message: { text: 'x' } }),
    };
    const never = { id: '01a20107-7bba-7000-8000-000000000000', pk: 987_654 };
    for (const [name, question] of Object.entries(questions)) {
      const plain = (answer) => JSON.parse(JSON.stringify(answer), (key, value) => (key === 'request_id' ? 0 : value));
      const [hidden, none] = [plain(await question(chat.id, chat.pk)), plain(await question(never.id, never.pk))];
      assert.match(JSON.stringify(hidden), /not_found|Not found/i, `${name}: ${JSON.stringify(hidden)}`);
      const same = JSON.stringify(hidden).replaceAll(chat.id, never.id).replaceAll(`${chat.pk}`, `${never.pk}`);
      assert.equal(same, JSON.stringify(none).replaceAll(`${chat.pk}`, `${never.pk}`), name);
    }
  });

  test('finds nothing by putting queries into the addresses and bodies of REST', async () => {
    const backend = new Backend(server, await token({ sub: 'backend', role: 'service' }));
    const known = async () => (await backend.all('/users', 'users', 500)).flat().length;
    const knownBefore = await known();
    for (const query of QUERIES) {
      const text = encodeURIComponent(typeof query === 'string' ? query : JSON.stringify(query));
      for (const path of [`/users/${text}`, `/chats/${text}`, `/chats/${text}/messages`, `/events/${text}`]) {
        for (const method of ['GET', 'DELETE']) {
          const { status } = await backend.call(method, path);
          assert.ok([400, 404, 405].includes(status), `${method} ${path}: ${status}`);
        }
      }
      const { status } = await backend.call('POST', '/chats', { users: [query] });
      assert.ok([400, 404].includes(status), `${status}`);
    }
    for (const search of ['limit[$ne]=1', 'cursor[$ne]=x', 'externalUserId[$ne]=x', '__proto__[x]=y']) {
      assert.equal((await backend.call('GET', `/users?${search}`)).status, 400, search);
    }
    assert.equal(await known(), knownBefore);
    await unharmed();
  });
});

const STRANGE = [
  '<script>alert(1)</script>', "Robert'); DROP TABLE users;--", '$where', '{"$ne":null}', 'a\r\nSet-Cookie: x=y', '__proto__',
  '"; }; db.users.drop(); //', '${jndi:ldap://x}', '../../../etc/passwd', '%0d%0a', '\u202eevil',
];

test('a text is a text: as a name and as a message it comes back as it went in', async (t) => {
  const server = await startServer(t);
  const anna = await connectUser(t, server, 'anna');
  for (const text of STRANGE) {
    const { user } = await ask(anna.socket, 'create-user', { user: { externalUserId: anna.user.externalUserId, name: text } });
    assert.equal(user.name, text);
    const { chat } = await ask(anna.socket, 'create-chat', { chat: { name: text }, users: [anna.id] });
    assert.equal(chat.name, text);
    await sendMessage(anna, chat, text, { client_id: text.slice(0, 64) });
    assert.deepEqual((await history(anna, chat)).map(({ msg }) => msg), [text]);
    const { users } = await new Backend(server).get('/users?limit=500');
    assert.ok(users.some(({ name }) => name === text));
  }
});

test('keys with a meaning in JavaScript have none here, and are not handed on', async (t) => {
  const server = await startServer(t);
  const [anna, boris] = [await connectUser(t, server, 'anna'), await connectUser(t, server, 'boris')];
  const chat = await chatOf(anna, boris);
  const body = JSON.parse(`{"room":"${chat.id}","msg":"hi","__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}`);
  const sent = JSON.stringify([await ask(anna.socket, 'new-message', body), await boris.inbox.until(1), boris.inbox]);
  assert.ok(!sent.includes('polluted') && !sent.includes('__proto__'), sent);
  const raw = await type.connectType(t, server, uniqueName('raw'));
  raw.wire.sendText('{"type":"createEmptyChat","data":{"__proto__":{"polluted":1}},"__proto__":{"polluted":1}}');
  assert.ok(!JSON.stringify(await raw.wire.take()).includes('polluted'));
});

/** The response to these bytes, until the connection is closed or `enough` of the response has come. */
function responseTo({ port }, text, enough = (_response) => false) {
  let all = '';
  const ended = new Promise((resolve) => {
    const socket = connectTcp(port, '127.0.0.1', () => socket.write(text));
    socket.setEncoding('latin1').on('error', () => {}).on('close', () => resolve(all));
    socket.on('data', (more) => {
      all += more;
      if (enough(all)) socket.destroy();
    });
  });
  return within(ended, () => `an end after ${all.slice(0, 300)}`);
}

const answers = (text) => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];

describe('HTTP', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope); });

  const post = (headers, body) => `POST /api/v1/users HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${headers}\r\n\r\n${body}`;
  const SECOND = 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n';

  test('with two lengths has one end: nothing behind it is taken for a request', async () => {
    const both = 'Content-Length: 4\r\nTransfer-Encoding: chunked';
    const cases = {
      'a length and chunks': post(both, `0\r\n\r\n${SECOND}`),
      'chunks and a length': post(both.split('\r\n').reverse().join('\r\n'), `0\r\n\r\n${SECOND}`),
      'two lengths': post('Content-Length: 4\r\nContent-Length: 9', `abcd${SECOND}`),
      'a coding that is unknown': post('Transfer-Encoding: xchunked', `0\r\n\r\n${SECOND}`),
      'chunks that are not last': post('Transfer-Encoding: chunked, identity', `0\r\n\r\n${SECOND}`),
      'a space before the colon': post('Content-Length : 4', `abcd${SECOND}`),
      'a sign before the length': post('Content-Length: +4', `abcd${SECOND}`),
      'a header that goes on in the next line': post('X-One: a\r\n Content-Length: 4', SECOND),
    };
    for (const [name, request] of Object.entries(cases)) {
      const answer = await responseTo(server, request);
      assert.deepEqual(answers(answer), ['HTTP/1.1 400'], `${name}: ${answer.slice(0, 500)}`);
    }
  });

  test('with headers beyond measure is 431', async () => {
    const many = Array.from({ length: 200 }, (_, index) => `X-${index}: y`).join('\r\n');
    for (const headers of [`X-Long: ${'y'.repeat(900_000)}`, many]) {
      assert.deepEqual(answers(await responseTo(server, `GET /livez HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n\r\n`)), ['HTTP/1.1 431']);
    }
  });

  test('serves no file but its own: paths that climb are 404, and inject no header', async () => {
    const climbs = [
      '/media/../../../etc/passwd', '/media/%2e%2e/%2e%2e/etc/passwd', '/media/default/..%2f..%2fCargo.toml', '/docs/../Cargo.toml',
      '/docs/%2e%2e%2f%2e%2e%2fetc/passwd', '/docs/..%5c..%5cCargo.toml', '//etc/passwd', '/media/', '/media/default/default.jpg%00.png',
      '/docs/%0d%0aX-Injected:%20yes', '/%0d%0aX-Injected:%20yes',
    ];
    for (const path of climbs) {
      const answer = await responseTo(server, `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(answers(answer), ['HTTP/1.1 404'], path);
      assert.doesNotMatch(answer, /x-injected|root:|\[package\]/i, path);
    }
  });

  test('unpacks nothing: no compression is agreed on, so that nothing small becomes large', async () => {
    const upgrade = 'GET /ws/chats/?token=a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
      + 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n'
      + 'Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n';
    const answer = await responseTo(server, upgrade, (all) => all.includes('\r\n\r\n'));
    assert.deepEqual(answers(answer), ['HTTP/1.1 101']);
    assert.doesNotMatch(answer, /sec-websocket-extensions/i);
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    const packed = Buffer.from('1f8b080000000000000303000000000000000000', 'hex');
    assert.equal((await fetch(`${server.url}/api/v1/users`, { method: 'POST', headers, body: packed })).status, 400);
  });
});
