// @ts-check
// Owns the promise to socket.io-client with `retries`, which requests an acknowledgement of every event: with `answers:
// "both"` its users get the events that they wait for, each once, and without it nothing changes.
import assert from 'node:assert/strict';
import { connect as dial, createServer } from 'node:net';
import { before, describe, test } from 'node:test';
import { PACKET, RawClient, eventBody, parseAck } from '../clients/engineio.mjs';
import { chatOf, connectUser, connectUsers, fullHistory, received, uniqueName } from '../clients/fixtures.mjs';
import { collect, connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

const EVENTS = ['create-user', 'create-chat', 'list-chats', 'list-messages', 'new-message', 'sync', 'exception'];

const RETRYING = { retries: 3, ackTimeout: 5000 };

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/**
 * A connection that collects what each event brings.
 * @param {import('../harness/scope.mjs').Owner} owner
 * @param {import('../clients/socketio.mjs').ClientOptions} options
 */
async function listening(owner, options, url = server.url) {
  const events = {};
  const socket = await connect(owner, url, {
    ...options, opened: (each) => { for (const event of EVENTS) events[event] = collect(each, event); },
  });
  return { socket, events };
}

/** How many of each event have come, without those that have not. */
const counted = ({ events }) => Object.fromEntries(
  Object.entries(events).map(([event, bodies]) => [event, bodies.length]).filter(([, count]) => count > 0),
);

/** The content of the acknowledgement: with retries the callback gets an error before it, that of the client. */
function answerTo({ socket }, event, body) {
  const answered = new Promise((resolve) => { socket.emit(event, body, (...answer) => resolve(answer.at(-1))); });
  return within(answered, () => `the acknowledgement of ${event}`);
}

/** Waits until everything that was sent before has been answered. */
const flush = async (client) => assert.equal((await answerTo(client, 'no-such-event', {})).error.code, 'invalid');

/** Uses every request as the seed's front end does, which waits for the event of the same name. */
async function useAll({ socket, events }, name) {
  const answer = async (event, body) => {
    const count = events[event].length + 1;
    socket.emit(event, body);
    await events[event].until(count);
    return events[event].at(-1);
  };
  const { user } = await answer('create-user', { user: { externalUserId: name } });
  const { chat } = await answer('create-chat', { chat: { name: 'Lunch' }, users: [user.id] });
  assert.deepEqual((await answer('list-chats', {})).chats, [chat]);
  const sent = await answer('new-message', { room: chat.id, msg: 'Soup?' });
  assert.equal(sent.room, chat.id);
  assert.deepEqual((await answer('list-messages', { chat: { id: chat.id } })).messages, [sent]);
  assert.deepEqual((await answer('sync', { chats: { [chat.id]: 0 } })).chats[chat.id].messages, [sent]);
  socket.emit('list-messages', { chat: { id: 'nowhere' } });
  await events.exception.until(1);
  assert.deepEqual([events.exception[0].event, events.exception[0].error.code], ['list-messages', 'not_found']);
}

/** Each event once, and the answer to `flush` in addition. */
const ONCE = Object.fromEntries(EVENTS.map((event) => [event, 1]));

const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgrade: ['polling', 'websocket'] };

describe('a client with retries that waits for events', () => {
  for (const [name, transports] of Object.entries(TRANSPORTS)) {
    test(`gets each event once with answers in its auth (${name})`, async (t) => {
      const who = uniqueName('seed');
      const client = await listening(t, { ...RETRYING, transports, auth: { token: who, answers: 'both' } });
      await useAll(client, who);
      await flush(client);
      assert.deepEqual(counted(client), { ...ONCE, exception: 2 });
    });
  }

  test('names its user by create-user, if it has no token', async (t) => {
    const client = await listening(t, { ...RETRYING, auth: { answers: 'both' } });
    await useAll(client, uniqueName('seed'));
    await flush(client);
    assert.deepEqual(counted(client), { ...ONCE, exception: 2 });
  });

  for (const version of [4, 2]) {
    test(`may say so in the query, with version ${version}`, async (t) => {
      const who = uniqueName('seed');
      const options = version === 4 ? RETRYING : { client: 2 };
      const client = await listening(t, { ...options, query: { token: who, answers: 'both' } });
      await useAll(client, who);
      await flush(client);
      assert.deepEqual(counted(client), { ...ONCE, exception: 2 });
    });
  }
});

describe('a client that requests an acknowledgement', () => {
  /** Every request once, with an acknowledgement: the answers by event. */
  async function askAll(client, name) {
    const { user } = await answerTo(client, 'create-user', { user: { externalUserId: name } });
    const { chat } = await answerTo(client, 'create-chat', { chat: {}, users: [user.id] });
    const sent = await answerTo(client, 'new-message', { room: chat.id, msg: 'Soup?' });
    const list = await answerTo(client, 'list-chats', {});
    const page = await answerTo(client, 'list-messages', { chat: { id: chat.id } });
    const synced = await answerTo(client, 'sync', { chats: { [chat.id]: 0 } });
    const { error } = await answerTo(client, 'list-messages', { chat: { id: 'nowhere' } });
    return {
      'create-user': { user }, 'create-chat': { chat }, 'new-message': sent, 'list-chats': list, 'list-messages': page,
      sync: synced, exception: { event: 'list-messages', error },
    };
  }

  /** Options that are no opt-in. @type {Record<string, any>} */
  const OTHERS = {
    'says nothing': {}, 'says something else': { auth: { answers: 'ack' } }, 'says it in another form': { auth: { answers: ['both'] } },
    'says something else in its query': { query: { answers: '' } }, 'has retries': RETRYING,
  };
  for (const [what, options] of Object.entries(OTHERS)) {
    test(`gets no events beside it, if it ${what}`, async (t) => {
      const client = await listening(t, options);
      await askAll(client, uniqueName('plain'));
      await flush(client);
      assert.deepEqual(counted(client), { 'new-message': 1 });
    });
  }

  for (const options of [{}, RETRYING]) {
    test(`gets the same in an event, if it requests both${options === RETRYING ? ', with retries' : ''}`, async (t) => {
      const client = await listening(t, { ...options, auth: { answers: 'both' } });
      const answers = await askAll(client, uniqueName('both'));
      await flush(client);
      for (const [event, answer] of Object.entries(answers)) {
        assert.equal(client.events[event].length, event === 'exception' ? 2 : 1, event);
        assert.deepEqual(client.events[event][0], answer, event);
      }
    });
  }
});

test('a message that is not delivered to its sender is an event for it all the same, once', async (t) => {
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna);
  // In open mode a connection may act for others: this one has no user, and receives no chat.
  const client = await listening(t, { ...RETRYING, auth: { answers: 'both' } });
  client.socket.emit('new-message', { chat: { id: chat.id }, user: { id: anna.id }, msg: 'for Anna' });
  await client.events['new-message'].until(1);
  await flush(client);
  assert.equal(client.events['new-message'].length, 1);
  await anna.inbox.until(1);
  assert.deepEqual(received(anna, chat), client.events['new-message']);
  assert.equal(boris.inbox.length, 0);
});

describe('a message that is sent again', () => {
  const request = (chat, msg) => JSON.stringify(['new-message', { room: chat.id, msg, client_id: 'mine' }]);

  /** A connection of this user that wants both. */
  async function rawClient(t, { user }) {
    const auth = JSON.stringify({ token: user.externalUserId, answers: 'both' });
    const client = new RawClient(t, server.url, () => {}, auth);
    await client.packet(PACKET.connect);
    return client;
  }

  /** Sends it under an acknowledgement number: the answer. */
  async function send(client, chat, number, msg = 'Soup?') {
    client.send(`${PACKET.event}${number}${request(chat, msg)}`);
    return parseAck(await client.packet(`${PACKET.ack}${number}[`)).body;
  }

  const eventsOf = ({ received: packets }) => packets.map((packet) => eventBody(packet, 'new-message')).filter(Boolean);

  test('on the connection that it was delivered to is acknowledged, and no second event', async (t) => {
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    const client = await rawClient(t, anna);
    const first = await send(client, chat, 1);
    for (const number of [2, 3]) assert.deepEqual(await send(client, chat, number, 'Other words'), first);
    await client.packet(`${PACKET.event}["new-message"`);
    assert.deepEqual(eventsOf(client), [first]);
    assert.deepEqual(await fullHistory(anna, chat), [first]);
  });

  test('on a later connection is acknowledged, and an event', async (t) => {
    const anna = await connectUser(t, server, 'anna');
    const chat = await chatOf(anna);
    const first = await send(await rawClient(t, anna), chat, 1);
    const later = await rawClient(t, anna);
    assert.deepEqual(await send(later, chat, 1), first);
    assert.deepEqual(eventsOf(later), [first]);
    assert.deepEqual(await fullHistory(anna, chat), [first]);
  });
});

/** A relay before the server; after `lose()` the next bytes of the server are lost, and the connection ends. */
async function middleman(owner) {
  let losing = false;
  let lost = 0;
  const sockets = new Set();
  const listener = createServer((client) => {
    const upstream = dial({ host: '127.0.0.1', port: server.port });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {}).on('close', () => { for (const each of [client, upstream]) each.destroy(); });
    }
    client.on('data', (data) => upstream.write(data));
    upstream.on('data', (data) => {
      if (!losing) return client.write(data);
      losing = false;
      lost++;
      return client.resetAndDestroy();
    });
  });
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', () => resolve(undefined)); });
  owner.after(() => {
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (listener.address());
  return { url: `http://127.0.0.1:${port}`, lose: () => { losing = true; }, get lost() { return lost; } };
}

test('a message whose answer was lost is stored once, and reaches its sender when the client has come back', async (t) => {
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  const between = await middleman(t);
  const client = await listening(t, {
    ...RETRYING, reconnection: true, reconnectionDelay: 50, auth: { token: anna.user.externalUserId, answers: 'both' },
  }, between.url);
  await flush(client);
  between.lose();
  client.socket.emit('new-message', { room: chat.id, msg: 'Soup?', client_id: 'mine' });
  await boris.inbox.until(1);
  await eventually(() => between.lost === 1, 'an answer was lost');
  await client.events['new-message'].until(1);
  assert.equal((await answerTo(client, 'list-chats', {})).chats.length, 1, 'the next request in the queue');
  await flush(client);
  assert.deepEqual(client.events['new-message'], received(boris, chat));
  assert.deepEqual((await fullHistory(boris, chat)).map(({ msg }) => msg), ['Soup?']);
});
