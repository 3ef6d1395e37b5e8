// @ts-check
// Owns the promise that owner and guest of an event see the same at every node: chats that are opened, messages, applications,
// decisions and counts, of which the last ones that a connection receives are current, however the nodes' changes overlap.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertShowsAll, countsFor, storedMessages, unreadCounts, untilShown } from '../clients/expected-unread.mjs';
import { OF_MEMBERS } from '../clients/dialects.mjs';
import { TRANSPORTS, entered, flush, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { pair } from '../data/normalize.mjs';
import { onEachBus } from '../harness/nodes.mjs';
import { seededRandom } from '../harness/random.mjs';
import { eventually } from '../harness/wait.mjs';

const SEED = Number(process.env.POLYCHAT_SEED ?? 20261128);
const LONG_MS = 60_000;

onEachBus(2, (nodes) => {
  const hosts = () => nodes.map((node) => new Backend(node));

  /** Connections of a user at each of these nodes over each transport. @returns {Promise<any[]>} */
  const enterAt = async (t, user, ...where) => (await Promise.all(where.map((node) => Promise.all(
    Object.values(TRANSPORTS).map((connecting) => entered(connecting(t, nodes[node], user))),
  )))).flat();

  /** Owner and guest of an event, each with four connections, two at each node; with a chat that is there before, or without. */
  async function scene(t, { open } = { open: false }) {
    const [host] = hosts();
    const [owner, guest] = [await host.user('owner', { name: 'Olga' }), await host.user('guest', { name: 'Gleb' })];
    const event = await host.event(owner);
    const chatId = open ? (await host.eventChat(event, guest)).chatId : undefined;
    const [owners, guests] = [await enterAt(t, owner, 0, 1), await enterAt(t, guest, 0, 1)];
    return { host, owner, guest, event, chatId, owners, guests, all: [...owners, ...guests] };
  }

  /** Waits until a connection shows this state of a chat. */
  function untilState(connection, chatId, /** @type {any} */ { head, counts, asked, granted }) {
    const shown = () => {
      const chat = frontEnd(connection).shown.get(chatId);
      return chat && [frontEnd(connection).head(chatId), chat.myUnreadCount, chat.interlocutorUnreadCount,
        chat.isRequestSended, chat.isAccessGranted];
    };
    const expected = [head, ...counts, asked, granted];
    return connection.until(() => `${shown()}` === `${expected}`, `${expected}`).catch((error) => {
      throw new Error(`${error.message}\nit shows ${shown()}`);
    });
  }

  /** All connections show this state, with the counts as the owner and as the guest has them. */
  const untilAllShow = ({ owners, guests }, chatId, { ofOwner, ofGuest, ...state }) => Promise.all([
    ...owners.map((connection) => untilState(connection, chatId, { ...state, counts: [ofOwner, ofGuest] })),
    ...guests.map((connection) => untilState(connection, chatId, { ...state, counts: [ofGuest, ofOwner] })),
  ]);

  const CHATS = {
    'by the guest': async ({ guests, event }, node) => (await guests[2 * node].ask('open_chat', { eventId: event.id })).chatId,
    'by REST': async ({ event, guest }, node) => (await hosts()[node].eventChat(event, guest)).chatId,
  };

  for (const node of [0, 1]) {
    const far = 1 - node;
    for (const [way, open] of Object.entries(CHATS)) {
      test(`each step at node ${node} shows at once at every connection of both sides, the chat being opened ${way}`, async (t) => {
        const set = await scene(t);
        const { owners, guests, owner, guest, event, all } = set;
        const chatId = await open(set, node);
        const [owning, visiting] = [owners[2 * node], guests[2 * node]];
        const plain = { asked: false, granted: false };
        for (const connection of guests) await untilState(connection, chatId, { head: 0, counts: [0, 0], ...plain });
        await visiting.ask('send_message', { chatId, message: { text: 'May I?' } });
        await untilAllShow(set, chatId, { head: 1, ofOwner: 1, ofGuest: 0, ...plain });
        await owning.ask('read_messages', { chatId, lastReadedMessageId: 1 });
        await untilAllShow(set, chatId, { head: 1, ofOwner: 0, ofGuest: 0, ...plain });
        await owners[2 * far].ask('send_message', { chatId, message: { text: 'Ask' } });
        await untilAllShow(set, chatId, { head: 2, ofOwner: 0, ofGuest: 1, ...plain });
        await guests[2 * far].ask('read_messages', { chatId, lastReadedMessageId: 2 });
        await untilAllShow(set, chatId, { head: 2, ofOwner: 0, ofGuest: 0, ...plain });
        await visiting.ask('request_access', { eventId: event.id, message: 'Please' });
        await untilAllShow(set, chatId, { head: 3, ofOwner: 1, ofGuest: 0, asked: true, granted: false });
        await owning.ask('grant_access', { chatId, granted: true });
        await untilAllShow(set, chatId, { head: 3, ofOwner: 1, ofGuest: 0, asked: true, granted: true });
        await owners[2 * far].ask('grant_access', { chatId, granted: false });
        await untilAllShow(set, chatId, { head: 3, ofOwner: 1, ofGuest: 0, asked: true, granted: false });
        const { pk } = await hosts()[0].get(`/chats/${chatId}`);
        await hosts()[node].ok(200, 'PUT', `/events/${event.id}/chats/${pk}/access`, { granted: true });
        await untilAllShow(set, chatId, { head: 3, ofOwner: 1, ofGuest: 0, asked: true, granted: true });
        await hosts()[far].ok(200, 'POST', `/chats/${chatId}/read`, { userId: owner.id, seq: 3 });
        await untilAllShow(set, chatId, { head: 3, ofOwner: 0, ofGuest: 0, asked: true, granted: true });
        for (const connection of all) {
          assert.deepEqual(await flush(connection).then(() => frontEnd(connection).shown.size), 1, connection.name);
        }
        for (const user of [owner, guest]) {
          for (const fresh of await enterAt(t, user, 0, 1)) {
            await untilState(fresh, chatId, { head: 3, counts: [0, 0], asked: true, granted: true });
          }
        }
      });
    }

    test(`an application at node ${node} without a chat shows it to the owner at the other one at once`, async (t) => {
      const set = await scene(t);
      const { chatId } = await set.guests[2 * node].ask('request_access', { eventId: set.event.id });
      await untilAllShow(set, chatId, { head: 0, ofOwner: 0, ofGuest: 0, asked: true, granted: false });
    });

    test(`what is read at node ${node} in the type dialect is read at the other one, in the marketplace and by others`, async (t) => {
      const set = await scene(t);
      const { owner, guest, event, host } = set;
      const { chatId, pk } = await host.eventChat(event, guest);
      const reader = await OF_MEMBERS.type(t, nodes[node], owner);
      const writer = await OF_MEMBERS.type(t, nodes[far], guest);
      for (const text of ['one', 'two', 'three']) await writer.send({ pk }, text);
      const state = { head: 3, ofGuest: 0, asked: false, granted: false };
      await untilAllShow(set, chatId, { ...state, ofOwner: 3 });
      await reader.wire.ask({ type: 'joinChat', data: { chat: pk, last_read_message: pair(pk, 2) } });
      await untilAllShow(set, chatId, { ...state, ofOwner: 1 });
      const flags = (await writer.request('getChatMessages', { chatId: pk })).value.map(({ is_read }) => is_read);
      assert.deepEqual(flags, [true, true, false]);
    });
  }

  test('an owner learns of every chat that guests open and write to at either node, each message once', async (t) => {
    const [host] = hosts();
    const owner = await host.user('owner');
    const events = [await host.event(owner), await host.event(owner)];
    const owners = await enterAt(t, owner, 0, 1);
    const opened = await Promise.all(Array.from({ length: 16 }, async (_, index) => {
      const guest = await host.user('guest');
      const [visiting] = await enterAt(t, guest, index % 2);
      const { chatId } = await visiting.ask('open_chat', { eventId: events[index % 3 % 2].id });
      const texts = ['a', 'b', 'c', 'd'];
      await Promise.all(texts.map((text) => visiting.ask('send_message', { chatId, message: { text } })));
      return { guest, chatId };
    }));
    for (const { guest, chatId } of opened) {
      const messages = await storedMessages(host, chatId);
      assert.equal(messages.length, 4);
      for (const connection of owners) {
        await untilShown(connection, chatId, messages, unreadCounts(messages, { owner, guest }));
        await assertShowsAll(connection, chatId, messages, [owner, guest]);
      }
    }
    for (const connection of owners) assert.equal(frontEnd(connection).shown.size, opened.length);
  });

  test('decisions at both nodes at once end everywhere with the one that is stored', async (t) => {
    const set = await scene(t);
    const { host, guest, event, owners, guests, all } = set;
    const { chatId } = await guests[0].ask('request_access', { eventId: event.id });
    for (let round = 0; round < 20; round++) {
      const decisions = [owners[0], owners[2], owners[0], owners[2]];
      await Promise.all(decisions.map((connection, index) => (
        connection.ask('grant_access', { chatId, granted: index % 2 === 0 })
      )));
      if (round % 3 === 0) await guests[round % 2 ? 0 : 2].ask('send_message', { chatId, message: { text: `${round}` } });
      const { isAccessGranted } = await host.eventChat(event, guest);
      const isShown = (connection) => frontEnd(connection).shown.get(chatId)?.isAccessGranted === isAccessGranted;
      await eventually(() => all.every(isShown), `all show ${isAccessGranted} in round ${round}`);
      for (const connection of all) {
        await flush(connection);
        assert.ok(isShown(connection), `${connection.name} in round ${round}`);
      }
    }
  });

  /** The counts in the last frame that had any. */
  function lastCounts(connection) {
    const { data } = connection.frames.findLast(({ event }) => ['chat_updates', 'chat_unread'].includes(event));
    return [data.myUnreadCount, data.interlocutorUnreadCount];
  }

  describe('requests that change nothing', () => {
    const IDLE = {
      'reading what was read long ago': ({ chatId }) => ['owner', 'read_messages', { chatId, lastReadedMessageId: 0 }],
      'opening the chat again': ({ event }) => ['guest', 'open_chat', { eventId: event.id }],
      'sending again under the same client_id': ({ chatId }) => (
        ['guest', 'send_message', { chatId, message: { text: 'again', client_id: 'c-1' } }]
      ),
    };
    for (const [what, request] of Object.entries(IDLE)) {
      test(`${what} at one node never ends with older counts than a message from the other one brought`, async (t) => {
        const set = await scene(t, { open: true });
        const { owners, guests, chatId } = set;
        await guests[0].ask('send_message', { chatId, message: { text: 'first', client_id: 'c-1' } });
        await owners[0].ask('send_message', { chatId, message: { text: 'second' } });
        const [side, name, body] = request(set);
        const [idle, writing] = side === 'owner' ? [owners.slice(2), guests[0]] : [guests.slice(2), owners[0]];
        for (let round = 1; round <= 60; round++) {
          for (const connection of idle) connection.send(name, body);
          writing.send('send_message', { chatId, message: { text: `${round}` } });
          for (const connection of idle) for (let more = 0; more < 3; more++) connection.send(name, body);
          const isNewest = ({ event, data }) => event === 'chat_updates' && data.messages.at(-1)?.messageId === round + 2;
          for (const connection of idle) {
            await connection.first(isNewest, `message ${round + 2}`);
            await flush(connection);
            // What came after the own message is unread.
            const expected = [side === 'owner' ? round : round + 1, 0];
            assert.deepEqual(lastCounts(connection), expected, `${connection.name} in round ${round}`);
          }
        }
      });
    }
  });

  /** One connection reads and writes at random, mostly without waiting; records its reads. */
  async function busy(connection, chatId, { below }, read, actions) {
    for (let action = 0; action < actions; action++) {
      const head = frontEnd(connection).head(chatId);
      if (below(2) === 0) {
        connection.send('send_message', { chatId, message: { text: `${connection.name} ${action}` } });
      } else {
        const lastReadedMessageId = below(head + 1);
        connection.send('read_messages', { chatId, lastReadedMessageId });
        read[connection.user.id] = Math.max(read[connection.user.id] ?? 0, lastReadedMessageId);
      }
      if (below(4) === 0) await flush(connection);
    }
    await flush(connection);
  }

  for (const seed of [SEED, SEED + 1, SEED + 2]) {
    test(`at rest every connection at every node shows the exact counts, however reads and sends raced (seed ${seed})`, async (t) => {
      const { host, owner, guest, chatId, all } = await scene(t, { open: true });
      const read = {};
      const dice = seededRandom(seed);
      await Promise.all(all.map((connection) => busy(connection, chatId, dice, read, 40)));
      const assertTruth = async () => {
        const messages = await storedMessages(host, chatId);
        const unread = unreadCounts(messages, { owner, guest }, read);
        const fresh = [...await enterAt(t, owner, 0, 1), ...await enterAt(t, guest, 0, 1)];
        for (const connection of [...all, ...fresh]) {
          await untilShown(connection, chatId, messages, unread, LONG_MS);
          const last = connection.frames.findLast(({ event: name, data }) => name === 'chat_unread' && data.chatId === chatId);
          const counts = last && [last.data.myUnreadCount, last.data.interlocutorUnreadCount];
          if (counts) assert.deepEqual(counts, countsFor(connection.user, unread), connection.name);
          await assertShowsAll(connection, chatId, messages, [owner, guest]);
        }
        for (const connection of fresh) connection.close();
      };
      await assertTruth();
      await hosts()[1].sendMessage({ chatId }, dice.pick([owner, guest]), 'one more');
      await assertTruth();
    });
  }
});
