// @ts-check
// Owns the promise that the same number may be spelled in any way that JSON has, and as a text, wherever a dialect takes
// a whole number.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction, enter, newRoom } from '../clients/action.mjs';
import { PACKET, RawClient, eventBody, parseAck } from '../clients/engineio.mjs';
import { chatOf, connectUser, sendMessage } from '../clients/fixtures.mjs';
import { enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { chatOf as typeChatOf, connectType, sendMessage as sendType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

/** Ways to write 2, as JSON. */
const TWO = ['2', '"2"', '2.0', '2e0', '0.2e1', '20E-1'];

/** JSON that is no whole number of at least 1, nor the text of one. */
const NONE = ['1.5', '0', '-2', '-2.0', '1e300', '"1.5"', '"2.0"', '"2e0"', '" 2"', '"two"', 'true', '[2]'];

let server;
let host;
const scope = useScope();
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

/** A client that sends its requests as it writes them. */
async function rawClient(t, user) {
  const client = await new RawClient(t, server.url).becomes({ user });
  let asked = 0;
  return async (event, body) => {
    const number = ++asked;
    client.send(`${PACKET.event}${number}["${event}",${body}]`);
    return parseAck(await client.packet(`${PACKET.ack}${number}[`)).body;
  };
}

describe('the event-name dialect', () => {
  let alice;
  let chat;
  let last;
  before(async () => {
    alice = await connectUser(scope, server, 'alice');
    chat = await chatOf(alice);
    for (const other of [chat, await chatOf(alice), await chatOf(alice)]) {
      for (const msg of ['one', 'two', 'three']) await sendMessage(alice, other, msg);
    }
    last = await sendMessage(alice, chat, 'four');
  });

  /** The fields of `query`, and which messages they leave, if each is 2. */
  const FIELDS = { limit: [3, 4], after_seq: [3, 4], before_seq: [1] };

  for (const [field, expected] of Object.entries(FIELDS)) {
    test(`takes ${field} of list-messages in every spelling`, async (t) => {
      const ask = await rawClient(t, alice.user);
      for (const two of TWO) {
        const { messages } = await ask('list-messages', `{"chat":{"id":"${chat.id}"},"query":{"${field}":${two}}}`);
        assert.deepEqual(messages?.map(({ seq }) => seq), expected, two);
      }
      for (const wrong of NONE.filter((each) => each !== '0' || field === 'limit')) {
        const { error } = await ask('list-messages', `{"chat":{"id":"${chat.id}"},"query":{"${field}":${wrong}}}`);
        const least = field === 'limit' ? 1 : 0;
        assert.equal(error?.code, 'invalid', wrong);
        assert.equal(error.message, `query.${field}: must be a whole number of at least ${least}`);
      }
    });
  }

  test('takes limit of list-chats in every spelling', async (t) => {
    const ask = await rawClient(t, alice.user);
    for (const two of TWO) assert.equal((await ask('list-chats', `{"limit":${two}}`)).chats?.length, 2, two);
    for (const wrong of NONE) {
      const { error } = await ask('list-chats', `{"limit":${wrong}}`);
      assert.deepEqual([error?.code, error?.message], ['invalid', 'limit: must be a whole number of at least 1'], wrong);
    }
  });

  test('takes the numbers of a sync in every spelling', async (t) => {
    const ask = await rawClient(t, alice.user);
    for (const two of TWO) {
      const { chats } = await ask('sync', `{"chats":{"${chat.id}":${two}}}`);
      assert.deepEqual(chats?.[chat.id].messages.map(({ seq }) => seq), [3, 4], two);
    }
    for (const wrong of NONE.filter((each) => each !== '0')) {
      assert.equal((await ask('sync', `{"chats":{"${chat.id}":${wrong}}}`)).error?.code, 'invalid', wrong);
    }
  });

  test('takes the numbers of auth.since in every spelling', async (t) => {
    for (const two of TWO) {
      const auth = `{"token":"${alice.user.externalUserId}","since":{"${chat.id}":${two}}}`;
      const client = new RawClient(t, server.url, () => {}, auth);
      const known = `${PACKET.event}["new-message"`;
      await client.packet(`${known},{"id":"${last.id}"`);
      const received = client.received.filter((packet) => packet.startsWith(known));
      assert.deepEqual(received.map((packet) => eventBody(packet, 'new-message').seq), [3, 4], two);
    }
  });
});

describe('the marketplace dialect', () => {
  let guest;
  let event;
  let chatId;
  before(async () => {
    const owner = await host.user('owner');
    guest = await host.user('guest');
    event = await host.event(owner);
    ({ chatId } = await host.eventChat(event, guest));
    for (const text of ['one', 'two', 'three', 'four']) await host.sendMessage({ chatId }, owner, text);
  });

  /** The answer to a request whose number is written like this. */
  async function answer(connection, event_, body) {
    connection.takeRest();
    connection.wire.sendText(`{"event":"${event_}","data":${body}}`);
    return (await connection.take())[0];
  }

  test('takes the number of a message in every spelling', async (t) => {
    const connection = await enterWebSocket(t, server, guest);
    for (const two of TWO) {
      const { data } = await answer(connection, 'load_history', `{"chatId":"${chatId}","lastMessageId":${two}}`);
      assert.deepEqual(data.messages?.map(({ messageId }) => messageId), [1], two);
    }
    for (const two of TWO) {
      const { data } = await answer(connection, 'read_messages', `{"chatId":"${chatId}","lastReadedMessageId":${two}}`);
      assert.deepEqual(data, { chatId, myUnreadCount: 2, interlocutorUnreadCount: 0 }, two);
    }
    const fields = { load_history: 'lastMessageId', read_messages: 'lastReadedMessageId' };
    for (const [name, field] of Object.entries(fields)) {
      for (const wrong of NONE.filter((each) => each !== '0')) {
        const { event: refused, data } = await answer(connection, name, `{"chatId":"${chatId}","${field}":${wrong}}`);
        assert.equal(refused, 'debug_info', wrong);
        assert.deepEqual([data.code, data.message], ['invalid', `${field}: must be a whole number of at least 0`], wrong);
      }
    }
  });

  test('takes the number of an event in every spelling', async (t) => {
    const connection = await enterWebSocket(t, server, guest);
    const spelled = [`${event.id}`, `"${event.id}"`, `${event.id}.0`, `${event.id}e0`, `${event.id}0E-1`];
    for (const number of spelled) {
      const { data } = await answer(connection, 'open_chat', `{"eventId":${number}}`);
      assert.equal(data.chatId, chatId, number);
    }
  });
});

describe('the raw dialects', () => {
  test('take the numbers of a sync in every spelling', async (t) => {
    const actor = await connectAction(t, server, 'actor', { acks: true });
    const pk = await newRoom(actor);
    await enter(actor, pk);
    const typist = await connectType(t, server, 'typist');
    const chat = await typeChatOf(typist);
    for (const text of ['one', 'two', 'three']) {
      actor.wire.send({ action: 'create_message', pk, message: text });
      await sendType(typist, chat, text);
    }
    for (const [index, two] of TWO.entries()) {
      const request_id = `sync-${index}`;
      actor.wire.sendText(`{"action":"sync","chats":{"${pk}":${two}},"request_id":"${request_id}"}`);
      typist.wire.sendText(`{"type":"sync","data":{"chats":{"${chat}":${two}}},"request_id":"${request_id}"}`);
      const frames = await Promise.all([actor, typist].map(({ wire }) => (
        wire.until((frame) => frame.request_id === request_id, `the answer to a sync with ${two}`)
      )));
      for (const [name, { data }] of [[pk, frames[0]], [chat, frames[1]]]) {
        assert.deepEqual(data?.chats?.[name]?.messages.map(({ seq }) => seq), [3], `${two}: ${JSON.stringify(data)}`);
      }
    }
  });

  test('take is_read in every spelling of 0 and 1', async (t) => {
    const typist = await connectType(t, server, 'typist');
    const chat = await typeChatOf(typist);
    const spelled = { 1: true, '1.0': true, '1e0': true, '0': false, '0.0': false, '0e1': false };
    for (const [number, expected] of Object.entries(spelled)) {
      const request_id = `read-${number}`;
      typist.wire.sendText(
        `{"type":"newMessage","data":{"chat":${chat},"text":"hello","is_read":${number}},"request_id":"${request_id}"}`,
      );
      const answer = await typist.wire.until((frame) => frame.request_id === request_id, `the answer about ${number}`);
      assert.equal(answer.data?.is_read, expected, JSON.stringify(answer));
    }
  });
});
