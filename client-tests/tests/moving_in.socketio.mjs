// @ts-check
// Owns the move of a Socket.IO front end with the event-name protocol: its client, changed in the lines that the chapter
// names, its host application, and each difference.
import assert from 'node:assert/strict';
import { EventNameClient } from '../clients/seeds/event-name.mjs';
import { eventually } from '../harness/wait.mjs';
import { EVENT_NAME } from './moving_in.databases.mjs';
import { ANNA, BORIS, MINTS, ORIGIN, execute, startHost } from './moving_in.host.mjs';
import { LIVE, REST, commonStops, page, placedAt, show } from './moving_in.page.mjs';
import { changesOf, evaluate } from './moving_in.walk.mjs';

export const chapter = 'Front end: Socket.IO';

const OLD = ['message', 'Привет!', 'a picture'];
const BY_OLD_ID = 'to the old id';

const make = (call, user, { order, users }) => call('POST', '/chats', {
  externalChatId: `order-${order}`, name: `Order ${order}`, users: users.map((one) => `external:${one}`),
});

/** The client of the original with the lines that the document changes. */
class MovedClient extends EventNameClient {
  errors = [];
  arrived = [];

  async change() {
    const [, , found] = changesOf(chapter);
    await evaluate(found.after, { socket: this.socket, ids: this.peers });
    this.socket.on('exception', (error) => this.errors.push(error));
    this.socket.on('create-chat', ({ chat }) => this.arrived.push(chat));
  }

  /** Looks another user up. */
  meet(peer) {
    const [, lookUp] = changesOf(chapter);
    return evaluate(lookUp.after, { socket: this.socket, peer });
  }

  /** The same as in the original. */
  meetAsBefore(peer) {
    const [, lookUp] = changesOf(chapter);
    return evaluate(lookUp.before, { socket: this.socket, peer });
  }
}

async function connected(t, place, host, id) {
  const [{ after }] = changesOf(chapter);
  const io = (url, options) => page(t, new MovedClient(url, `${id}`, {
    forceNew: true, extraHeaders: { origin: ORIGIN }, ...options,
  }));
  const client = await evaluate(placedAt(place, after), { fetch: host.fetchAs(id), io }, 'socket');
  await client.change();
  await eventually(() => client.chats, 'the chats are listed');
  return client;
}

const textsOf = (client, chat) => client.messagesOf(chat).map(({ msg }) => msg);
const named = (client, name) => client.chats.find((chat) => chat.name === name);

/** The page of Boris shows the old conversation as it was. */
async function assertImported(boris) {
  const { id } = named(boris, 'chat-name');
  await show(() => textsOf(boris, id), OLD);
  const messages = boris.messagesOf(id);
  assert.deepEqual(messages.map(({ original_id, type, created_at }) => [original_id, type, created_at]), [
    ['m-1', 'text', '2023-01-04T00:00:00.000Z'], ['m-2', 'text', '2023-01-04T00:00:01.000Z'],
    ['m-3', 'image', '2023-01-04T00:00:02.000Z'],
  ]);
  assert.deepEqual(messages.map((message) => boris.isMine(message)), [false, true, false]);
}

/** Both talk with the new address, in the old chat and in a new one. */
async function talk(t, place, host) {
  const [anna, boris] = [await connected(t, place, host, ANNA), await connected(t, place, host, BORIS)];
  const { id: oldChat } = named(boris, 'chat-name');
  for (const client of [anna, boris]) await show(() => textsOf(client, oldChat), [...OLD, REST]);
  boris.open('external:c-7'); // the id in a link of the old server
  boris.write(BY_OLD_ID);
  await show(() => textsOf(anna, oldChat), [...OLD, REST, BY_OLD_ID]);

  await anna.meet(`${BORIS}`);
  await eventually(() => anna.peers.get(`${BORIS}`) === boris.user.id, 'Boris is found');
  anna.createChat('a new one', [`${BORIS}`]);
  const { id } = await eventually(() => anna.created[0], 'the chat is created');
  await eventually(() => boris.arrived.some((chat) => chat.id === id), 'Boris learns of it');
  for (const client of [anna, boris]) client.open(id);
  anna.write(LIVE[0]);
  await show(() => textsOf(boris, id), LIVE.slice(0, 1));
  boris.write(LIVE[1]);
  for (const client of [anna, boris]) {
    await show(() => textsOf(client, id), LIVE);
    assert.deepEqual(client.messagesOf(id).map(({ seq, room }) => [seq, room]), [[1, id], [2, id]]);
    assert.deepEqual(client.errors, []);
  }
}

/** What the chapter says about differences. */
async function assertDifferences(t, place, host) {
  const anna = await connected(t, place, host, ANNA);
  await anna.meetAsBefore(`${BORIS}`);
  await eventually(() => anna.errors.length === 1, 'the answer has come');
  const [{ event, error }] = anna.errors;
  assert.deepEqual([event, error.code, error.retryable], ['create-user', 'forbidden', false]);
  const ask = (name, body) => anna.socket.timeout(5000).emitWithAck(name, body);
  const answer = await ask('list-messages', { chat: { id: 'external:none' } });
  assert.equal(answer.error.code, 'not_found');
  const { chat } = await ask('create-chat', { chat: { name: 'two' }, users: [{ externalUserId: `${BORIS}` }] });
  assert.equal(chat.users.length, 2, 'the caller is added');
}

/** The stops of the walk. */
export async function stops(t, place) {
  execute(place, EVENT_NAME.before);
  const host = await startHost(t, place, { mint: MINTS.node, make });
  return {
    ...commonStops(t, place, host, { database: EVENT_NAME, ids: ['m-1', 'm-2', 'm-3', 'm-4'], live: [BY_OLD_ID, ...LIVE] }),
    'Rooms.': async () => {
      await host.create(ANNA, { order: 12, users: [ANNA, BORIS] });
      const anna = await connected(t, place, host, ANNA);
      assert.deepEqual(anna.chats.map(({ name }) => name).sort(), ['Order 12', 'Order 9']);
      assert.equal(anna.user.externalUserId, `${ANNA}`);
      anna.leave();
    },
    '2. Import': async () => {
      const boris = await connected(t, place, host, BORIS);
      await assertImported(boris);
      boris.leave();
    },
    '5. Switch the URL': () => talk(t, place, host),
    '6. Look.': () => assertDifferences(t, place, host),
  };
}
