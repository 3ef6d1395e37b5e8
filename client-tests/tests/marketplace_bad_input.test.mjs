// @ts-check
// Owns the promise that an invalid request in the marketplace is refused with one `debug_info` that names the fault
// (and in the acknowledgement, where there is one), changes nothing, has no other effect, and leaves the connection
// usable.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  TRANSPORTS, connectWebSocket, enterSocketIo, enterWebSocket, entered, flush,
} from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { connectRefused } from '../clients/socketio.mjs';
import { refusedWith } from '../clients/websocket.mjs';
import { HUGE_NUMBERS, NESTED, NO_JSON, NO_OBJECT, STRANGE_TEXTS } from '../data/bad-frames.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { invalidMarketplaceRequests } from './marketplace_bad_input.invalid-marketplace.mjs';

const maxMessageBytes = 2000;

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--max-message-bytes', `${maxMessageBytes}`]);
  host = new Backend(server);
});

/** A chat about an event with a message in it, another event, a chat of others, a chat that is about nothing. */
async function scene() {
  const [olga, gleb, other] = [await host.user('olga'), await host.user('gleb'), await host.user('other')];
  const [event, next] = [await host.event(olga), await host.event(olga)];
  const chat = await host.eventChat(event, gleb);
  const foreign = await host.eventChat(event, other);
  const plain = await host.chat(olga, gleb);
  await host.sendMessage(chat, olga, 'before the bad requests');
  return { olga, gleb, other, next, chatId: chat.chatId, foreignId: foreign.chatId, plainId: plain.id };
}

const LONGEST_NAME = 64;

/** A refusal has these members, and the request's name; of an endless one the beginning. */
function assertIsRefusal(data, event, codes, names) {
  for (const member of ['code', 'message', 'event']) assert.equal(typeof data[member], 'string', JSON.stringify(data));
  assert.ok(codes.includes(data.code), `${JSON.stringify(data)} instead of ${codes.join(' or ')}`);
  assert.match(data.message, names instanceof RegExp ? names : new RegExp(names));
  assert.equal(data.event, event.slice(0, LONGEST_NAME));
}

/** Sends a valid request: it is answered, and nothing else comes. */
async function usable(connection, chatId) {
  connection.send('load_history', { chatId, lastMessageId: 1 });
  assert.deepEqual(await connection.next('history'), { chatId, messages: [] });
}

for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    let set;
    let connection;
    let witnesses;
    before(async () => {
      set = await scene();
      connection = await entered(connecting(scope, server, set.gleb));
      witnesses = [
        await enterSocketIo(scope, server, set.olga), await enterWebSocket(scope, server, set.olga),
        await enterSocketIo(scope, server, set.gleb),
      ];
    });
    const table = () => invalidMarketplaceRequests({ ...set, event: set.next.id, maxMessageBytes });

    test('each bad request is refused in one debug_info, and the connection stays open', async (t) => {
      for (const [what, event, body, codes, names] of table()) {
        await t.test(`${event.slice(0, 40)} with ${what}`, async () => {
          connection.send(event, body);
          assertIsRefusal(await connection.next('debug_info'), event, codes, names);
          await usable(connection, set.chatId);
        });
      }
    });

    test('unknown fields are ignored', async () => {
      connection.send('load_history', { chatId: set.chatId, lastMessageId: 1, colour: 'red', constructor: null });
      assert.deepEqual((await connection.next('history')).messages, []);
    });

    test('nothing of it was stored or delivered', async () => {
      for (const witness of witnesses) assert.deepEqual(await flush(witness), []);
      const { initial } = await enterSocketIo(scope, server, set.gleb);
      const [{ chats: [chat] }] = initial;
      assert.deepEqual(initial.length, 1, 'a chat was opened by a bad request');
      assert.deepEqual(chat.messages.map(({ text }) => text), ['before the bad requests']);
      assert.deepEqual([chat.isRequestSended, chat.myUnreadCount, chat.interlocutorUnreadCount], [false, 1, 0]);
      connection.send('send_message', { chatId: set.chatId, message: { text: 'after the bad requests' } });
      for (const each of [connection, ...witnesses]) {
        assert.equal((await each.next('chat_updates')).messages[0].text, 'after the bad requests');
      }
    });
  });

  describe(`who may do what over ${transport}`, () => {
    const enter = async (t, user) => entered(connecting(t, server, user));
    const refused = async (connection, event, body, code) => {
      connection.send(event, body);
      assertIsRefusal(await connection.next('debug_info'), event, [code], /./);
    };

    test('a third user finds no such chat, whatever the request', async (t) => {
      const { other, chatId } = await scene();
      const third = await enter(t, other);
      await refused(third, 'send_message', { chatId, message: { text: 'hello' } }, 'not_found');
      await refused(third, 'read_messages', { chatId, lastReadedMessageId: 1 }, 'not_found');
      await refused(third, 'load_history', { chatId, lastMessageId: 2 }, 'not_found');
      await refused(third, 'grant_access', { chatId, granted: true }, 'not_found');
    });

    test('the answer for a chat of others is the one for a chat that never was', async (t) => {
      const { other, chatId } = await scene();
      const third = await enter(t, other);
      const unknown = '01890000-0000-7000-8000-000000000001';
      const delivered = [];
      for (const id of [chatId, unknown]) {
        third.send('load_history', { chatId: id, lastMessageId: 2 });
        delivered.push(JSON.stringify(await third.next('debug_info')).replaceAll(id, 'THE ID'));
      }
      assert.equal(delivered[0], delivered[1]);
    });

    test('an owner cannot be the guest of the own event', async (t) => {
      const { olga, next } = await scene();
      const owner = await enter(t, olga);
      await refused(owner, 'open_chat', { eventId: next.id }, 'forbidden');
      await refused(owner, 'request_access', { eventId: next.id }, 'forbidden');
    });

    test('only the owner grants access: the guest may not, and nobody else finds the chat', async (t) => {
      const { olga, gleb, other, next } = await scene();
      const guest = await enter(t, gleb);
      guest.send('request_access', { eventId: next.id });
      // Opening and applying may be delivered in one frame or in two.
      const { data: { chatId } } = await guest.first(({ data }) => data.isRequestSended, 'the application');
      await flush(guest);
      for (const granted of [true, false]) await refused(guest, 'grant_access', { chatId, granted }, 'forbidden');
      await refused(await enter(t, other), 'grant_access', { chatId, granted: true }, 'not_found');
      const [{ chats: [chat] }] = (await enter(t, olga)).initial;
      assert.deepEqual([chat.isRequestSended, chat.isAccessGranted], [true, false]);
    });

    test('nobody comes into the marketplace unknown', async (t) => {
      if (transport === 'Socket.IO') {
        for (const auth of [undefined, {}, { token: null }, { token: '' }, { token: 7 }, { token: ['a'] }]) {
          const error = await connectRefused(t, `${server.url}/events`, { auth });
          assert.equal(error.message, 'unauthenticated', JSON.stringify(auth));
        }
      } else {
        for (const path of ['/ws/events/', '/ws/events']) {
          assert.equal(await refusedWith(t, server, path), 401);
          assert.equal(await refusedWith(t, server, path, { token: '' }), 401);
        }
      }
    });
  });
}

test('an error calls the field as the marketplace calls it, not as another dialect does', async (t) => {
  const { gleb, chatId, next } = await scene();
  const connection = await enterWebSocket(t, server, gleb);
  const endless = 'x'.repeat(maxMessageBytes + 1);
  /** @type {[string, object, string, RegExp][]} */
  const requests = [
    ['request_access', { eventId: next.id, message: '' }, 'invalid', /^message/],
    ['request_access', { eventId: next.id, message: endless }, 'too_large', /^message/],
    ['send_message', { chatId, message: { text: endless } }, 'too_large', /^message\.text|^text/],
    ['send_message', { chatId, message: { text: ' ' } }, 'invalid', /^message\.text|^text/],
  ];
  const delivered = [];
  for (const [event, body] of requests) {
    connection.send(event, body);
    delivered.push((await connection.next('debug_info')).message);
  }
  for (const [index, message] of delivered.entries()) assert.match(message, requests[index][3], delivered.join('\n'));
});

test('an error in an acknowledgement has the content of debug_info, in the form that every client of Socket.IO knows', async (t) => {
  const set = await scene();
  const connection = await enterSocketIo(t, server, set.gleb);
  for (const [what, event, body, codes, names] of invalidMarketplaceRequests({ ...set, event: set.next.id, maxMessageBytes })) {
    const answer = await connection.ask(event, body);
    const delivered = await connection.next('debug_info');
    assertIsRefusal(answer, event, codes, names);
    assert.deepEqual(answer, { error: delivered, ...delivered }, what);
  }
  const { error } = await connection.ask('send_message', Buffer.from([0, 159, 146, 150]));
  assertIsRefusal(error, 'send_message', ['invalid'], /./);
  await connection.next('debug_info');
  assertIsRefusal((await connection.ask('send_message')).error, 'send_message', ['invalid'], /chatId/);
  await connection.next('debug_info');
  await usable(connection, set.chatId);
});

describe('a frame on the raw WebSocket', () => {
  let set;
  let connection;
  before(async () => {
    set = await scene();
    connection = await enterWebSocket(scope, server, set.gleb);
  });

  /** The one answer to a text. */
  async function answerTo(text) {
    connection.wire.sendText(text);
    const [frame] = await connection.take();
    assert.deepEqual(Object.keys(frame).filter((key) => key !== 'request_id').sort(), ['data', 'event']);
    assert.notEqual(frame.data.code, 'internal', text.slice(0, 200));
    return frame;
  }

  async function refused(text, event = '') {
    const frame = await answerTo(text);
    assert.equal(frame.event, 'debug_info', text.slice(0, 200));
    assertIsRefusal(frame.data, event, ['invalid'], /./);
    await usable(connection, set.chatId);
  }

  for (const [what, text] of Object.entries(NO_JSON)) test(`that is ${what} is invalid`, () => refused(text));

  test('that is no object, or has no name, is invalid', async () => {
    for (const text of [...NO_OBJECT, '{}', '{"data":{}}', '{"name":"open_chat","data":{}}']) await refused(text);
    for (const event of ['7', 'null', 'true', '[]', '{}', '["open_chat"]']) {
      await refused(`{"event":${event},"data":{}}`);
    }
  });

  test('that is nested beyond measure is invalid', async () => {
    const deep = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const extra = (depth) => (
      `{"event":"load_history","data":{"chatId":"${set.chatId}","lastMessageId":1,"extra":${deep(depth)}}}`
    );
    for (const text of NESTED) assert.equal((await answerTo(text)).event, 'debug_info');
    for (const depth of [128, 129, 1000, 100_000]) await refused(extra(depth));
    assert.equal((await answerTo(extra(100))).event, 'history');
    await refused(`{"event":"open_chat","data":${deep(100)}}`, 'open_chat');
  });

  test('that is binary is invalid', async () => {
    for (const bytes of [Buffer.from([0, 159, 146, 150]), Buffer.from('{"event":"open_chat","data":{}}')]) {
      connection.wire.sendBinary(bytes);
      assertIsRefusal(await connection.next('debug_info'), '', ['invalid'], /./);
    }
    await usable(connection, set.chatId);
  });

  test('with a huge number has one answer', async () => {
    const fields = { load_history: 'lastMessageId', open_chat: 'eventId', grant_access: 'granted' };
    for (const number of HUGE_NUMBERS) {
      for (const [event, field] of Object.entries(fields)) {
        const frame = await answerTo(`{"event":"${event}","data":{"chatId":"${set.chatId}","${field}":${number}}}`);
        if (frame.event === 'debug_info') assert.match(frame.data.code, /^(invalid|not_found)$/, `${event} ${number}`);
      }
    }
    await usable(connection, set.chatId);
  });

  test('of a key that stands there twice the last one counts', async () => {
    const body = `{"chatId":7,"chatId":"${set.chatId}","lastMessageId":"x","lastMessageId":1}`;
    const { event } = await answerTo(`{"event":"x","data":1,"event":"load_history","data":${body}}`);
    assert.equal(event, 'history');
  });

  test('with a strange text is stored as it is, or refused', async () => {
    for (const [what, json, stored] of STRANGE_TEXTS) {
      const body = `{"chatId":"${set.chatId}","message":{"text":${json}}}`;
      const frame = await answerTo(`{"event":"send_message","data":${body}}`);
      if (stored === undefined) {
        assertIsRefusal(frame.data, '', ['invalid'], /./);
      } else {
        assert.equal(frame.data.messages[0].text, stored, what);
        await connection.next('chat_unread');
      }
    }
  });

  test('that is larger than any frame may be ends this connection only', async (t) => {
    const badClient = await connectWebSocket(t, server, set.gleb);
    badClient.send('send_message', { chatId: set.chatId, message: { text: 'x'.repeat(2_000_000) } });
    assert.equal((await badClient.wire.end()).code, 1009);
    await usable(connection, set.chatId);
  });
});
