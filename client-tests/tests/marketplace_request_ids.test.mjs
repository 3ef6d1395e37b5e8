// @ts-check
// Owns the promise that on the raw WebSocket of the marketplace dialect exactly one frame echoes the `request_id` of a
// request, and that requests without one are answered as ever.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATH, enterWebSocket, flush } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { dial } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

/** An owner and a guest with raw WebSockets, and the guest's chat. */
async function scene(t) {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const event = await host.event(owner);
  const { chatId } = await host.eventChat(event, guest);
  return { event, chatId, owner: await enterWebSocket(t, server, owner), guest: await enterWebSocket(t, server, guest) };
}

/** The frames of this connection for one request, up to the answer to a later one. */
async function frames(connection, event, data, id) {
  await flush(connection);
  const from = connection.frames.length;
  connection.wire.send({ event, data, ...(id !== undefined && { request_id: id }) });
  const echoed = () => connection.frames.slice(from).some((each) => 'request_id' in each);
  if (id !== undefined && id !== null) await connection.until(echoed, 'the echo');
  // What is delivered may come after the answer to a later request.
  await sleep(50);
  return flush(connection);
}

const ids = (list) => list.map((frame) => [frame.event, frame.request_id]);

test('each request is answered by one frame that echoes its request_id', async (t) => {
  const { event, chatId, owner, guest } = await scene(t);
  const { id: eventId } = event;
  const message = { text: 'hi', client_id: 'c-1' };
  for (const [connection, name, data, expected] of [
    [guest, 'open_chat', { eventId }, ['chat_updates']],
    [guest, 'request_access', { eventId, message: 'May I?' }, ['chat_updates', 'chat_updates', 'chat_unread']],
    [guest, 'request_access', { eventId }, ['chat_updates']],
    [guest, 'send_message', { chatId, message }, ['chat_updates', 'chat_unread']],
    [guest, 'send_message', { chatId, message }, ['chat_updates']],
    [owner, 'read_messages', { chatId, lastReadedMessageId: 2 }, ['chat_unread']],
    [owner, 'read_messages', { chatId, lastReadedMessageId: 1 }, ['chat_unread']],
    [owner, 'grant_access', { chatId, granted: true }, ['chat_updates']],
    [owner, 'grant_access', { chatId, granted: true }, ['chat_updates']],
    [owner, 'load_history', { chatId, lastMessageId: 3 }, ['history']],
    [owner, 'send_message', { chatId, message: {} }, ['debug_info']],
  ]) {
    await flush(connection);
    for (const id of ['a', 7, { n: [1.5, null] }, false]) {
      // The second time nothing changes, but for messages.
      const got = ids(await frames(connection, name, data, id)).filter(([, echo]) => echo !== undefined);
      assert.deepEqual(got, [[expected[0], id]], `${name} ${JSON.stringify(id)}`);
    }
    const plain = ids(await frames(connection, name, data));
    assert.ok(plain.every(([, id]) => id === undefined), `${name} without one`);
    const none = await frames(connection, name, data, null);
    assert.ok(none.every((frame) => frame.request_id === undefined), `${name} with null`);
  }
});

test('many messages at once: each is delivered once, with its own request_id, and nobody else has it', async (t) => {
  const { chatId, owner, guest } = await scene(t);
  for (let number = 1; number <= 200; number++) {
    for (const connection of [owner, guest]) {
      connection.wire.send({ event: 'send_message', data: { chatId, message: { text: `${number}` } }, request_id: number });
    }
  }
  for (const connection of [owner, guest]) {
    const news = () => connection.frames.filter((frame) => frame.event === 'chat_updates');
    await connection.until(() => news().length >= 400, 'all messages', 20_000);
    await flush(connection);
    assert.equal(news().length, 400);
    const all = news().map((frame) => frame.data.messages[0]);
    assert.deepEqual(all.map((message) => message.messageId), all.map((_, index) => index + 1));
    for (const { data, request_id: id } of news()) {
      const [sent] = data.messages;
      const mine = sent.fromUserId === connection.user.pk;
      assert.equal(id, mine ? Number(sent.text) : undefined);
    }
  }
});

test('the request_id comes back as it was written', async (t) => {
  const guest = await host.user('guest');
  const wire = await dial(t, server, PATH, { token: guest.externalUserId });
  const written = '{"b": 1.0, "a":"\\u00e9 \\ud83d"}';
  wire.sendText(`{"event":"nothing","request_id":${written}}`);
  await wire.until((frame) => frame.event === 'debug_info', 'the refusal');
  assert.ok(wire.texts.at(-1).endsWith(`,"request_id":${written}}`), wire.texts.at(-1));
});
