// @ts-check
// Owns the promises of the raw WebSocket below its dialects: admission, addresses, the choice of the dialect, and the
// order of frames.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import * as type from '../clients/type-data.mjs';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { unpair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];
const OURS = 'https://app.example';
const PATHS = ['/ws/chat/room/', '/ws/chats/', '/ws/chat/', '/ws/'];
const FRAME_BYTES = 1_048_576;

const LIST = { '/ws/chat/room/': { action: 'list' }, '/ws/chats/': { type: 'getChats' } };
const listOf = (path) => LIST[path] ?? LIST['/ws/chats/'];

let server;
let strict;
let listed;
const scope = useScope();
before(async () => {
  server = await startServer(scope);
  strict = await startServer(scope, JWT);
  listed = await startServer(scope, [...JWT, '--allowed-origins', OURS]);
});

/** The connection answers: it is admitted, and usable. */
async function answers(wire, /** @type {object} */ frame = { type: 'getChats' }) {
  const answer = await wire.ask(frame);
  assert.ok(Array.isArray(answer.data), JSON.stringify(answer));
}

describe('a connection', () => {
  for (const path of PATHS) {
    test(`to ${path} is served with and without the trailing slash`, async (t) => {
      for (const form of [path, path.slice(0, -1)]) {
        await answers(await dial(t, server, form, { token: 'alice' }), listOf(path));
      }
    });

    test(`to ${path} without a good token is refused with 401`, async (t) => {
      const expired = await token({ sub: 'alice', exp: now() - 1 });
      const foreign = await token({ sub: 'alice' }, 'another secret');
      for (const form of [path, path.slice(0, -1)]) {
        assert.equal(await refusedWith(t, server, form), 401);
        assert.equal(await refusedWith(t, server, form, { token: '' }), 401);
        for (const bad of [undefined, '', 'alice', 'null', expired, foreign]) {
          assert.equal(await refusedWith(t, strict, form, { token: bad }), 401, bad);
        }
      }
    });
  }

  test('has its token in the query, anywhere in it and encoded, or in the header', async (t) => {
    const jwt = await token({ sub: 'alice' });
    const headers = { authorization: `Bearer ${jwt}` };
    await answers(await dial(t, strict, PATH.type, { token: jwt }));
    await answers(await dial(t, strict, PATH.type, { headers }));
    await answers(await dial(t, strict, `${PATH.type}?x=1&token=${jwt}&y=2`));
    const odd = 'alice & bob=ü';
    for (const options of [{ token: odd }, { query: { a: 'b', token: odd } }]) {
      const wire = await dial(t, server, PATH.type, options);
      const { data: { id: chat } } = await wire.ask({ type: 'createEmptyChat' });
      const { data } = await wire.ask({ type: 'joinChat', data: { chat } });
      assert.equal(data.user.username, odd);
    }
  });

  test('has the profile of its token', async (t) => {
    const sub = uniqueName('alice');
    const claims = { sub, username: 'al', avatar: '/a.png', github: 'al-gh' };
    const alice = await action.connectAction(t, strict, 'alice', { token: await token(claims) });
    const pk = await action.newRoom(alice);
    await action.sendAndFlush(alice, 'join_room', { pk });
    const [{ id, ...profile }] = (await action.room(alice, pk)).member;
    assert.deepEqual([typeof id, profile], ['number', { username: 'al', avatar: '/a.png', github: 'al-gh' }]);
  });

  test('of the host application\'s own backend acts as a service', async (t) => {
    const sub = uniqueName('backend');
    const backend = await action.connectAction(t, strict, 'backend', { token: await token({ sub, role: 'service' }) });
    const pk = await action.newRoom(backend);
    await action.sendAndFlush(backend, 'join_room', { pk });
    assert.deepEqual(await action.members(backend, pk), [sub]);
  });

  test('from a page of another origin is refused with 403, unless it is allowed', async (t) => {
    const jwt = await token({ sub: 'alice' });
    const from = (origin) => ({ token: jwt, headers: { origin } });
    for (const path of PATHS) {
      for (const startScene of [strict, listed]) {
        for (const origin of ['https://evil.example', 'null', `${OURS}.evil.example`, `${startScene.url}0`]) {
          assert.equal(await refusedWith(t, startScene, path, from(origin)), 403, origin);
        }
        for (const options of [from(startScene.url), { token: jwt }]) await dial(t, startScene, path, options);
      }
      assert.equal(await refusedWith(t, strict, path, from(OURS)), 403);
      await dial(t, listed, path, from(OURS));
      await dial(t, server, path, { token: 'alice', headers: { origin: 'https://evil.example' } });
    }
  });

  test('to a path that is not there is refused with 404', async (t) => {
    for (const path of ['/ws/nowhere/', '/ws/chat/room/7/', '/chat']) {
      assert.equal(await refusedWith(t, server, path, { token: 'alice' }), 404, path);
    }
  });
});

describe('on /ws', () => {
  for (const first of [{ action: 'list' }, { action: 'foo' }, { stream: 'room', payload: { action: 'list' } }]) {
    test(`the action dialect is spoken after ${JSON.stringify(first)}`, async (t) => {
      const wire = await dial(t, server, '/ws', { token: 'alice' });
      wire.send(first, { type: 'getChats', data: {} });
      const answer = await wire.take();
      assert.ok('response_status' in (answer.payload ?? answer), JSON.stringify(answer));
      action.isReply(await wire.take(), null, 405);
    });
  }

  test('the type dialect is spoken after {"type":"getChats"}', async (t) => {
    const wire = await dial(t, server, '/ws', { token: 'alice' });
    wire.send({ type: 'getChats' }, { action: 'list' });
    assert.equal((await wire.take()).type, 'chatsList');
    assert.equal((await wire.take()).message, 'Unknown message type');
  });

  test('replies and pushes are chosen in the query as elsewhere', async (t) => {
    const alice = await action.connectAction(t, server, 'alice', { path: '/ws', acks: true });
    const pk = await action.newRoom(alice);
    assert.equal(await action.ask(alice, 'join_room', { pk }), null);
    const bob = await type.connectType(t, server, 'bob', { path: '/ws', push: true });
    const quiet = await type.connectType(t, server, 'quiet', { path: '/ws' });
    for (const who of [bob, quiet]) await type.join(who, pk);
    await action.ask(alice, 'create_message', { message: 'hello' });
    await bob.wire.until(({ data }) => data?.text === 'hello', 'the push');
    assert.equal((await type.chats(quiet)).length, 1);
    assert.deepEqual(type.pushed(quiet, 'messageCreated'), []);
  });

  test('errors before that have the form of the type dialect, and decide nothing', async (t) => {
    const wire = await dial(t, server, '/ws', { token: 'alice' });
    for (const text of ['no JSON', '', '[]', '7', 'null', '{}', '{"hello":1}']) {
      wire.sendText(text);
      const { type: kind, message } = await wire.take();
      assert.deepEqual([kind, typeof message], ['error', 'string'], text);
    }
    wire.sendBinary(Buffer.from('{"type":"getChats"}'));
    assert.equal((await wire.take()).type, 'error');
    action.isReply(await wire.ask({ action: 'list' }), 'list', 200);
  });
});

describe('frames', () => {
  test('that are sent all at once are answered in their order', async (t) => {
    const alice = await type.connectType(t, server, 'alice');
    const chat = await type.chatOf(alice);
    alice.wire.takeRest();
    const kinds = [
      { type: 'newMessage', data: { chat, text: 'hello' } }, { type: 'getChatMessages', data: { chatId: chat } },
      { type: 'unknown' }, { type: 'getChats' }, { type: 'getChatDetails', data: { chatId: 0 } },
    ];
    for (let index = 0; index < 200; index++) alice.wire.send({ ...kinds[index % kinds.length], request_id: index });
    for (let index = 0; index < 200; index++) {
      const answer = await alice.wire.take();
      assert.equal(answer.request_id, index);
      if (answer.type === 'messageCreated') assert.equal(unpair(answer.data.id).seq, index / kinds.length + 1);
      if (answer.type === 'chatMessages') assert.equal(answer.data.length, (index - 1) / kinds.length + 1);
    }
  });

  for (const { dialect, path, list } of [
    { dialect: 'type', path: PATH.type, list: { type: 'getChats' } },
    { dialect: 'action', path: PATH.action, list: { action: 'list' } },
  ]) {
    test(`that are binary are answered with an error (${dialect})`, async (t) => {
      const wire = await dial(t, server, path, { token: 'alice' });
      for (const data of [JSON.stringify(list), '', '\xff\xfe']) {
        wire.sendBinary(Buffer.from(data, 'latin1'));
        const answer = await wire.take();
        if (dialect === 'type') assert.equal(answer.type, 'error');
        else action.isReply(answer, null, 400);
      }
      await answers(wire, list);
    });

    test(`over the limit end the connection with 1009, within it they do not (${dialect})`, async (t) => {
      const [wire, other] = [await dial(t, server, path, { token: 'a' }), await dial(t, server, path, { token: 'b' })];
      wire.sendText('x'.repeat(FRAME_BYTES));
      await wire.take();
      await answers(wire, list);
      wire.sendText('x'.repeat(FRAME_BYTES + 1));
      assert.equal((await wire.end()).code, 1009);
      await answers(other, list);
    });

    test(`that are not UTF-8 end the connection with 1007 (${dialect})`, async (t) => {
      const wire = await dial(t, server, path, { token: 'alice' });
      wire.sendText(Buffer.from([0x22, 0xff, 0xfe, 0x22]));
      assert.equal((await wire.end()).code, 1007);
    });

    test(`that break the protocol end their own connection only (${dialect})`, async (t) => {
      const [wire, other] = [await dial(t, server, path, { token: 'a' }), await dial(t, server, path, { token: 'b' })];
      wire.sendBytes(Buffer.from([0xf7, 0x80, 1, 2, 3, 4])); // reserved bits and an opcode that does not exist
      await wire.end();
      await answers(other, list);
    });
  }

  test('in several pieces are one frame', async (t) => {
    const wire = await dial(t, server, PATH.type, { token: 'alice' });
    const pieces = [{ opcode: 0x01, text: '{"type":' }, { opcode: 0x00, text: '"getCh' }, { opcode: 0x80, text: 'ats"}' }];
    for (const { opcode, text } of pieces) {
      wire.sendBytes(Buffer.concat([Buffer.from([opcode, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]));
    }
    assert.equal((await wire.take()).type, 'chatsList');
  });
});

test('the default picture is served', async () => {
  const response = await within(fetch(`${server.url}/media/default/default.jpg`), () => 'the picture');
  assert.deepEqual([response.status, response.headers.get('content-type')], [200, 'image/jpeg']);
  const bytes = new Uint8Array(await response.arrayBuffer());
  assert.deepEqual([...bytes.slice(0, 3)], [0xff, 0xd8, 0xff]);
});
