// @ts-check
// Owns the rules that are the same in every dialect and in REST: a text that is no string is its JSON, a time has many
// spellings, an error says whether the same request may succeed later; and the examples of the seeds are accepted.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { chatOf, connectUser } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket } from '../clients/marketplace.mjs';
import { Backend, isProblem } from '../clients/rest.mjs';
import { ask, connectRefused, exception, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET } from '../harness/tokens.mjs';

const TEXTS = ['7', '1.50', 'true', 'false', '[1,{"b":1,"a":2}]', '{"b":1,"a":[null]}', '[]', '{}'];

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

describe('a text that is no string is stored as its JSON', () => {
  test('in REST, action and type, as it was written', async (t) => {
    const anna = await action.connectAction(t, server, 'anna', { acks: true });
    const pk = await action.newRoom(anna);
    await action.ask(anna, 'join_room', { pk });
    const boris = await type.connectType(t, server, 'boris');
    await type.join(boris, pk);
    const { id } = (await host.get('/chats?limit=1000')).chats.find((chat) => chat.pk === pk);
    const userId = (await host.ok(200, 'POST', '/users', { externalUserId: anna.name })).pk;
    const texts = [...TEXTS, ' { "b" : 1 }'.trim()];
    for (const text of texts) {
      anna.wire.sendText(`{"action":"create_message","pk":${pk},"message":${text}}`);
      await action.flush(anna);
      boris.wire.sendText(`{"type":"newMessage","data":{"chat":${pk},"text":${text}}}`);
      await type.details(boris, pk);
      const sent = await host.raw('POST', `/chats/${id}/messages`, `{"userId":${userId},"text":${text}}`, {
        'content-type': 'application/json',
      });
      assert.equal(sent.status, 201, sent.text);
      assert.equal(sent.body.msg, text);
    }
    const stored = (await type.messages(boris, pk)).map((message) => message.text);
    assert.deepEqual(stored, texts.flatMap((text) => [text, text, text]));
    for (const body of ['{"userId":1}', '{"userId":1,"text":null}']) {
      const headers = { 'content-type': 'application/json' };
      isProblem(await host.raw('POST', `/chats/${id}/messages`, body, headers), 400, 'invalid');
    }
  });

  test('in event-name, in each of its forms, and in the marketplace', async (t) => {
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    for (const text of TEXTS) {
      const msg = JSON.parse(text);
      const written = JSON.stringify(msg);
      for (const args of [
        [{ room: chat.id, msg }], [chat.id, { msg }],
        [{ chat: { id: chat.id }, user: { id: anna.id }, message: { value: msg, type: 'text' } }],
      ]) {
        assert.equal((await ask(anna.socket, 'new-message', ...args)).msg, written);
      }
    }
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const event = await host.event(owner);
    const { chatId } = await host.eventChat(event, guest);
    for (const enter of [enterSocketIo, enterWebSocket]) {
      const connection = await enter(t, server, guest);
      for (const text of TEXTS) {
        const value = JSON.parse(text);
        connection.send('send_message', { chatId, message: { text: value } });
        const { messages } = await connection.next('chat_updates');
        assert.equal(messages[0].text, JSON.stringify(value));
        await connection.next('chat_unread');
      }
    }
  });
});

describe('a time', () => {
  /** The same instant, before or after the message that was just sent. */
  const spelled = (at) => [
    at.toISOString(), at.toISOString().replace('Z', '+00:00'), at.toISOString().replace('T', ' ').slice(0, 19),
    at.getTime(), `${at.getTime()}`,
  ];

  test('may be RFC 3339, `YYYY-MM-DD HH:MM:SS` in UTC or milliseconds since 1970, in event-name and in REST', async (t) => {
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    await ask(anna.socket, 'new-message', { room: chat.id, msg: 'now' });
    const [past, future] = [-1, 1].map((sign) => new Date(Date.now() + sign * 3_600_000));
    for (const [at, after, until] of [[past, 1, 0], [future, 0, 1]]) {
      for (const time of spelled(at)) {
        const count = async (query) => (
          (await ask(anna.socket, 'list-messages', { chat: { id: chat.id }, query })).messages.length
        );
        assert.deepEqual([await count({ from: time }), await count({ to: time })], [after, until], `${time}`);
        for (const [name, expected] of [['from', after], ['to', until]]) {
          const { messages } = await host.get(`/chats/${chat.id}/messages?${name}=${encodeURIComponent(time)}`);
          assert.equal(messages.length, expected, `${name}=${time}`);
        }
      }
    }
    const anywhere = await host.user('revoked');
    for (const before of ['2020-01-01', '2020-01-01 00:00:00', 1_577_836_800_000]) {
      assert.equal((await host.call('POST', `/users/${anywhere.pk}/revoke`, { before })).status, 200, `${before}`);
    }
    assert.equal((await host.call('POST', `/users/${anywhere.pk}/revoke`, { before: 'now' })).status, 400);
  });

  test('counts as its day in type, where null and an empty text are no filter', async (t) => {
    const anna = await type.connectType(t, server, 'anna');
    const chat = await type.chatOf(anna);
    await type.sendMessage(anna, chat, 'now');
    const day = 86_400_000;
    for (const [distance, after, until] of [[-day, 1, 0], [0, 1, 1], [day, 0, 1]]) {
      for (const time of spelled(new Date(Date.now() + distance))) {
        const count = async (filter) => (await type.messages(anna, chat, filter)).length;
        assert.deepEqual([await count({ date_from: time }), await count({ date_to: time })], [after, until], `${time}`);
      }
    }
    for (const nothing of [null, '', undefined]) {
      assert.equal((await type.messages(anna, chat, { date_from: nothing, date_to: nothing })).length, 1);
    }
  });
});

test('an error says whether the same request may succeed later', async (t) => {
  const anna = await connectUser(t, server, 'anna');
  assert.equal((await refusal(anna.socket, 'new-message', {})).retryable, false);
  assert.equal((await exception(anna.socket, 'new-message', {})).error.retryable, false);
  const bert = await action.connectAction(t, server, 'bert');
  const reply = await bert.wire.ask({ action: 'retrieve', pk: 4_000_000 });
  assert.deepEqual([reply.response_status, reply.code, reply.retryable], [404, 'not_found', false]);
  const done = await bert.wire.ask({ action: 'list' });
  assert.ok(!('code' in done) && !('retryable' in done));
  const carl = await type.connectType(t, server, 'carl');
  assert.equal((await type.refusal(carl, 'newMessage', {})).retryable, false);
  const dora = await host.user('dora');
  const market = await enterWebSocket(t, server, dora);
  market.send('send_message', {});
  assert.equal((await market.next('debug_info')).retryable, false);
  const onSocketIo = await enterSocketIo(t, server, dora);
  assert.equal((await onSocketIo.ask('send_message', {})).error.retryable, false);
  assert.equal((await host.refused(404, 'not_found', 'GET', '/users/4000000')).retryable, false);

  const strict = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  const error = await connectRefused(t, strict.url, { auth: { token: 'x' } });
  assert.equal(error.message, 'unauthenticated');
  assert.deepEqual(/** @type {any} */ (error).data, { code: 'unauthenticated', retryable: false });
});

test('the event of the seed, which ends before it begins, is taken by REST', async () => {
  const owner = await host.user('owner');
  const seed = {
    name: 'Event name', iconsUUIDs: ['icon uuid1', 'icon uuid2'], location: 'ONLINE', dateFromS: 2514131321,
    dateToS: 1957817098,
  };
  const event = await host.ok(201, 'POST', '/events', { eventOwnerId: owner.pk, ...seed });
  assert.deepEqual({ ...event, ...seed }, event);
  const earlier = await host.ok(200, 'PATCH', `/events/${event.id}`, { dateToS: 0 });
  assert.equal(earlier.dateToS, 0);
});
