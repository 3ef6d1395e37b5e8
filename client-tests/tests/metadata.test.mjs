// @ts-check
// Owns the promise that an object which an application attaches to a message comes back as it was written, wherever the
// message is shown, and that a message without one looks as ever.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { connectUser, history } from '../clients/fixtures.mjs';
import { enterSocketIo, enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';

const METADATA = { z: 1, order: { id: 7, tags: ['é', '😀', null] }, a: [], 1: true };
const WRITTEN = '{"z": 1.0,  "a":[ "\\u00e9" ],"b":{}}';

const scope = useScope();
let server;
let host;
let options;
before(async () => {
  options = ['--store', (await storeFile(scope)).store];
  server = await startServer(scope, options);
  host = new Backend(server);
});

/** A room that Anna (action), Boris (type) and Carla (event-name) are members of. */
async function scene(t) {
  const anna = await action.connectAction(t, server, 'anna', { acks: true });
  const pk = await action.newRoom(anna);
  await action.ask(anna, 'join_room', { pk });
  await action.ask(anna, 'subscribe_to_messages_in_room', { pk });
  const boris = await type.connectType(t, server, 'boris', { push: true });
  await type.join(boris, pk);
  const carla = await connectUser(t, server, 'carla');
  const chat = (await host.get('/chats?limit=1000')).chats.find((each) => each.pk === pk);
  await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [carla.id] });
  return { anna, boris, carla, pk, chat };
}

test('it is shown in every dialect and in REST, whoever sent it', async (t) => {
  const { anna, boris, carla, pk, chat } = await scene(t);
  const user = await host.ok(200, 'POST', '/users', { externalUserId: anna.name });
  const sends = [
    () => action.ask(anna, 'create_message', { pk, message: 'action', metadata: METADATA }),
    () => type.sendMessage(boris, pk, 'type', { metadata: METADATA }),
    () => ask(carla.socket, 'new-message', { room: chat.id, msg: 'event-name', metadata: METADATA }),
    () => ask(carla.socket, 'new-message', chat.id, { msg: 'event-name', metadata: METADATA }),
    () => host.sendMessage(chat, user, 'REST', { metadata: METADATA }),
  ];
  for (const send of sends) assert.deepEqual((await send()).metadata, METADATA);
  const plain = [
    () => action.ask(anna, 'create_message', { pk, message: 'action' }),
    () => type.sendMessage(boris, pk, 'type', { metadata: {} }),
    () => ask(carla.socket, 'new-message', { room: chat.id, msg: 'event-name', metadata: null }),
    () => host.sendMessage(chat, user, 'REST', { metadata: null }),
  ];
  for (const send of plain) assert.ok(!('metadata' in await send()));
  const count = sends.length + plain.length;
  const expected = [...sends.map(() => METADATA), ...plain.map(() => undefined)];
  await carla.inbox.until(count);
  await boris.wire.until((frame) => frame.data?.text === 'REST' && !frame.data.metadata, 'the last one');
  await anna.wire.until((frame) => frame.data?.text === 'REST' && !frame.data.metadata, 'the last one');
  const ofMessages = (messages) => messages.map(({ metadata }) => metadata);
  assert.deepEqual(ofMessages(carla.inbox), expected, 'new-message');
  assert.deepEqual(ofMessages(action.received(anna)), expected, 'events of action');
  const frames = boris.wire.frames.filter((frame) => frame.type === 'messageCreated');
  assert.deepEqual(ofMessages(frames.map(({ data }) => data)), expected, 'messageCreated');

  assert.deepEqual(ofMessages(await history(carla, chat)), expected, 'list-messages');
  assert.deepEqual(ofMessages((await ask(carla.socket, 'sync', { chats: { [chat.id]: 0 } })).chats[chat.id].messages), expected);
  assert.deepEqual(ofMessages((await action.room(anna, pk)).messages), expected, 'retrieve');
  assert.deepEqual(ofMessages((await action.ask(anna, 'sync', { chats: { [pk]: 0 } })).chats[pk].messages), expected);
  assert.deepEqual(ofMessages(await type.messages(boris, pk)), expected, 'getChatMessages');
  assert.deepEqual(ofMessages((await type.ask(boris, 'sync', { chats: { [pk]: 0 } }, 'sync')).chats[pk].messages), expected);
  assert.deepEqual(ofMessages((await host.get(`/chats/${chat.id}/messages`)).messages), expected, 'REST');
});

test('it comes back as it was written', async (t) => {
  const { anna, boris, carla, pk, chat } = await scene(t);
  anna.wire.sendText(`{"action":"create_message","pk":${pk},"message":"1","metadata": ${WRITTEN} }`);
  boris.wire.sendText(`{"type":"newMessage","data":{"chat":${pk},"text":"2","metadata":${WRITTEN}}}`);
  await boris.wire.until((frame) => frame.data?.text === '2', 'the second');
  await carla.inbox.until(2);
  const user = await host.ok(200, 'POST', '/users', { externalUserId: anna.name });
  const body = `{"userId":${user.pk},"text":"3","metadata":${WRITTEN}}`;
  const sent = await host.raw('POST', `/chats/${chat.id}/messages`, body, { 'content-type': 'application/json' });
  assert.ok(sent.text.includes(`"metadata":${WRITTEN}`), sent.text);
  const { text } = await host.call('GET', `/chats/${chat.id}/messages`);
  assert.equal(text.split(`"metadata":${WRITTEN}`).length, 4, text);
  await boris.wire.until((frame) => frame.data?.text === '3', 'the third');
  assert.equal(boris.wire.texts.join('').split(`"metadata":${WRITTEN}`).length, 4);
});

test('on both transports of the marketplace, in updates, in history and at the beginning', async (t) => {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const event = await host.event(owner);
  const { chatId } = await host.eventChat(event, guest);
  for (const enter of [enterSocketIo, enterWebSocket]) {
    const connection = await enter(t, server, guest);
    for (const metadata of [METADATA, {}, undefined]) {
      connection.send('send_message', { chatId, message: { text: 'hi', metadata } });
      const shown = metadata === METADATA ? METADATA : undefined;
      assert.deepEqual((await connection.next('chat_updates')).messages[0].metadata, shown);
      await connection.next('chat_unread');
    }
    connection.send('load_history', { chatId, lastMessageId: 2 });
    assert.deepEqual((await connection.next('history')).messages[0].metadata, METADATA);
    const again = await enter(t, server, owner);
    assert.deepEqual(again.initial[0].chats[0].messages[0].metadata, METADATA);
    connection.send('send_message', { chatId, message: { text: 'hi', metadata: 7 } });
    assert.match((await connection.next('debug_info')).message, /^message\.metadata: /);
  }
});

test('anything but an object of up to 4 KiB is refused; a repeated client_id answers with the first', async (t) => {
  const { anna, boris, carla, pk, chat } = await scene(t);
  const sized = (bytes) => ({ a: 'x'.repeat(bytes - '{"a":""}'.length) });
  const user = await host.ok(200, 'POST', '/users', { externalUserId: anna.name });
  const path = `/chats/${chat.id}/messages`;
  for (const metadata of [7, 'x', true, [], [{}]]) {
    assert.equal((await refusal(carla.socket, 'new-message', { room: chat.id, msg: 'x', metadata })).code, 'invalid');
    await action.refusal(anna, 'create_message', { pk, message: 'x', metadata }, 400);
    assert.equal((await type.refusal(boris, 'newMessage', { chat: pk, text: 'x', metadata })).code, 'invalid');
    await host.refused(400, 'invalid', 'POST', path, { userId: user.pk, text: 'x', metadata });
  }
  const most = sized(4096);
  assert.deepEqual((await type.sendMessage(boris, pk, 'most', { metadata: most })).metadata, most);
  const more = sized(4097);
  assert.equal((await refusal(carla.socket, 'new-message', { room: chat.id, msg: 'x', metadata: more })).code, 'too_large');
  await action.refusal(anna, 'create_message', { pk, message: 'x', metadata: more }, 413);
  assert.equal((await type.refusal(boris, 'newMessage', { chat: pk, text: 'x', metadata: more })).code, 'too_large');
  await host.refused(413, 'too_large', 'POST', path, { userId: user.pk, text: 'x', metadata: more });
  const first = { room: chat.id, msg: 'x', client_id: 'c', metadata: METADATA };
  await ask(carla.socket, 'new-message', first);
  for (const metadata of [undefined, { other: 1 }]) {
    assert.deepEqual((await ask(carla.socket, 'new-message', { ...first, metadata })).metadata, METADATA);
  }
});

test('it survives a restart', async (t) => {
  const { boris, pk } = await scene(t);
  await type.sendMessage(boris, pk, 'before', { metadata: METADATA });
  await server.stop();
  server = await startServer(scope, options);
  host = new Backend(server);
  const again = await type.connectType(t, server, boris.name, { token: boris.name });
  assert.deepEqual((await type.messages(again, pk))[0].metadata, METADATA);
});
