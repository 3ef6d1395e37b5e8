// @ts-check
// Owns the promise that a chat which is made, found or deleted at one node is so at the others at once, in each dialect: its
// members there receive it and its messages, and have it no more once it is deleted.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask as askAction } from '../clients/action.mjs';
import { DIALECTS, OF_MEMBERS, allHear, connectInEach, enterAll } from '../clients/dialects.mjs';
import { uniqueName, upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask as askType } from '../clients/type-data.mjs';
import { DIRECTIONS, onEachBus } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

/** The client of a dialect. */
const by = (clients, dialect) => clients.find((client) => client.dialect === dialect);

/** The ways to make a chat of two, the first of whom makes it: by its clients, and by the backend of their node. */
const OF_TWO = {
  'event-name': async (clients, host, [anna, boris]) => {
    const body = { chat: { name: 'Tea' }, users: [{ id: anna.id }, { id: boris.id }] };
    return (await by(clients, 'event-name').request('create-chat', body)).value.chat;
  },
  REST: (_, host, [anna, boris]) => host.chat(anna, boris),
  'REST, by a name of the application': (_, host, [anna, boris]) => host.ok(201, 'POST', '/chats', {
    users: [anna.id, boris.id], externalChatId: uniqueName('team'),
  }),
};

/** The ways to make the chat of an event, for its guest, who may be either of the two. */
const OF_EVENTS = {
  open_chat: async (clients, host, event) => (
    (await by(clients, 'marketplace').request('open_chat', { eventId: event.id })).value.chatId
  ),
  request_access: async (clients, host, event) => (
    (await by(clients, 'marketplace').request('request_access', { eventId: event.id })).value.chatId
  ),
  'REST, for the guest': async (_, host, event, guest) => (await host.eventChat(event, guest)).chatId,
  'REST, by an application': async (_, host, event, guest) => (
    (await host.ok(200, 'POST', `/events/${event.id}/applications`, { userId: guest.id })).chatId
  ),
};

/** The ways to make an open room, by its first member. */
const ROOMS = {
  action: async (clients) => {
    const { connection } = by(clients, 'action');
    const { pk } = await askAction(connection, 'create', { data: { name: uniqueName('room') } }, 201);
    await askAction(connection, 'join_room', { pk });
    return pk;
  },
  type: async (clients) => {
    const { connection } = by(clients, 'type');
    const { id } = await askType(connection, 'createEmptyChat', {}, 'emptyChatCreated');
    await askType(connection, 'joinChat', { chat: id }, 'chatJoined');
    return id;
  },
  REST: async (clients, host) => {
    const users = [clients[0].user.id];
    return (await host.ok(201, 'POST', '/chats', { name: uniqueName('room'), policy: 'open', users })).pk;
  },
};

const ENTRANCES = {
  action: (clients, pk) => askAction(by(clients, 'action').connection, 'join_room', { pk }),
  type: (clients, pk) => askType(by(clients, 'type').connection, 'joinChat', { chat: pk }, 'chatJoined'),
};

onEachBus(2, (nodes) => {
  /** Two users, one at each node, connected in these dialects, and the backend at the first one's node. */
  async function scene(t, { here, there }, dialects = OF_MEMBERS) {
    const host = new Backend(nodes[here]);
    const [anna, boris] = [await host.user('anna'), await host.user('boris')];
    const annas = await connectInEach(t, nodes[here], anna, dialects);
    const borises = await connectInEach(t, nodes[there], boris, dialects);
    return { host, anna, boris, annas, borises, all: [...annas, ...borises], far: new Backend(nodes[there]) };
  }

  /** Each of these sends once, in turn: every message is received by all of them once, in order. */
  async function assertTalk(all, chat, before = 0) {
    const sent = [];
    for (const client of all) sent.push(await client.send(chat, `${client.name} in ${chat.pk}`));
    await allHear(all, chat, sent.at(-1).text);
    assert.deepEqual(sent.map(({ seq }) => seq), upTo(sent.length).map((seq) => before + seq));
    for (const client of all) {
      assert.deepEqual(client.heard(chat), sent, client.name);
      assert.deepEqual((await client.history(chat)).slice(before), sent, client.name);
    }
  }

  for (const direction of DIRECTIONS) {
    describe(`made ${direction.title}, a chat`, () => {
      for (const [way, make] of Object.entries(OF_TWO)) {
        test(`of two by ${way} is sent to its member there, who has it in each dialect and talks at once`, async (t) => {
          const { host, anna, boris, annas, borises, all } = await scene(t, direction);
          const chat = await make(annas, host, [anna, boris]);
          const theirs = by(borises, 'event-name');
          await theirs.made.until(1);
          assert.deepEqual(theirs.made.map((body) => [body.chat.id, body.chat.pk, body.chat.users]), [
            [chat.id, chat.pk, [anna.id, boris.id]],
          ]);
          for (const client of borises) assert.ok(await client.lists(chat), client.name);
          await enterAll(all, chat);
          await assertTalk(all, chat);
          assert.equal(theirs.made.length, 1);
        });
      }

      for (const [way, make] of Object.entries(OF_EVENTS)) {
        test(`of an event by ${way} is sent to owner and guest, who talk at once`, async (t) => {
          const { host, anna, boris, annas, borises, all } = await scene(t, direction, DIALECTS);
          const event = await host.event(boris);
          const chatId = await make(annas, host, event, anna);
          const { pk } = await host.get(`/chats/${chatId}`);
          const chat = { id: chatId, pk };
          for (const clients of [annas, borises]) {
            const theirs = by(clients, 'event-name');
            await theirs.made.until(1);
            assert.deepEqual(theirs.made.map((body) => [body.chat.id, body.chat.users]), [[chatId, [boris.id, anna.id]]]);
          }
          await enterAll(all, chat);
          await assertTalk(all, chat);
          const update = by(borises, 'marketplace').connection.frames.find((frame) => frame.event === 'chat_updates');
          assert.deepEqual([update.data.chatId, update.data.event.id, update.data.user.id], [chatId, event.id, anna.pk]);
        });
      }

      for (const [way, make] of Object.entries(ROOMS)) {
        for (const [dialect, join] of Object.entries(ENTRANCES)) {
          test(`open to all by ${way} can be joined there by ${dialect}, which its members learn, and all talk at once`, async (t) => {
            const { host, anna, boris, annas, borises, all } = await scene(t, direction);
            const pk = await make(annas, host);
            const chat = { id: (await host.get(`/chats/${pk}`)).id, pk };
            await enterAll(all, chat);
            assert.ok(await by(borises, 'action').lists(chat));
            await join(borises, pk);
            const names = [anna.externalUserId, boris.externalUserId];
            const hears = ({ join_user: list }) => list && `${list.map(({ username }) => username)}` === `${names}`;
            await by(annas, 'action').wire.until(hears, `the list of ${names}`);
            const joins = (frame) => frame.type === 'chatJoined' && frame.data.user.username === boris.externalUserId;
            await by(annas, 'type').wire.until(joins, `the joining of ${boris.externalUserId}`);
            assert.equal(by(annas, 'type').wire.frames.filter(joins).length, 1);
            await assertTalk(all, chat);
          });
        }
      }
    });

    describe(`deleted ${direction.title}, a chat`, () => {
      const ENDS = {
        'by REST': (annas, host, chat) => host.ok(204, 'DELETE', `/chats/${chat.id}`),
        'by its owner': (annas, host, { pk }) => askAction(by(annas, 'action').connection, 'delete', { pk }, 204),
      };
      for (const [way, end] of Object.entries(ENDS)) {
        test(`${way} is not found there, in any dialect, and those who watch it learn that it ended`, async (t) => {
          const { host, anna, boris, annas, borises, all, far } = await scene(t, direction);
          const chat = await OF_TWO['event-name'](annas, host, [anna, boris]);
          await enterAll(all, chat);
          const watcher = by(borises, 'action');
          await askAction(watcher.connection, 'subscribe_instance', { pk: chat.pk }, 201);
          await assertTalk(all, chat);
          await end(annas, host, chat);
          const isEnd = (frame) => frame.action === 'delete' && frame.response_status === 204;
          assert.deepEqual((await watcher.wire.until(isEnd, 'the end of the room')).data, { pk: chat.pk });
          assert.equal(watcher.wire.frames.filter(isEnd).length, 1);
          const fresh = await connectInEach(t, nodes[direction.there], boris, OF_MEMBERS);
          for (const client of [...borises, ...fresh]) {
            assert.equal(await client.sendRefusal(chat, 'too late'), 'not_found', client.name);
            assert.equal(await client.historyRefusal(chat), 'not_found', client.name);
            assert.ok(!await client.lists(chat), client.name);
          }
          await far.refused(404, 'not_found', 'GET', `/chats/${chat.id}`);
          await far.refused(404, 'not_found', 'GET', `/chats/${chat.id}/messages`);
          for (const client of all) assert.ok(client.isOpen, client.name);
        });
      }

      test('with its event is not found there in the marketplace, either', async (t) => {
        const { host, anna, boris, annas, borises, all } = await scene(t, direction, DIALECTS);
        const event = await host.event(boris);
        const { chatId, pk } = await host.eventChat(event, anna);
        const chat = { id: chatId, pk };
        await enterAll(all, chat);
        await assertTalk(all, chat);
        await host.ok(204, 'DELETE', `/events/${event.id}`);
        const isGone = async () => {
          for (const client of all) if ((await client.tryHistory(chat)).code !== 'not_found') return false;
          return true;
        };
        await eventually(isGone, 'the chat is not found');
        for (const client of all) assert.equal(await client.sendRefusal(chat, 'too late'), 'not_found', client.name);
        const { value, code } = await by(annas, 'marketplace').request('open_chat', { eventId: event.id });
        assert.deepEqual([code, value], ['not_found', undefined]);
        const fresh = await DIALECTS.marketplace(t, nodes[direction.there], boris);
        assert.deepEqual(fresh.connection.initial, []);
        assert.equal(borises.filter(({ isOpen }) => isOpen).length, 4);
      });
    });
  }

  test('a chat of one name that both nodes create at once is one chat, and both find it', async () => {
    const hosts = nodes.map((node) => new Backend(node));
    const user = await hosts[0].user('anna');
    for (let round = 0; round < 20; round++) {
      const externalChatId = uniqueName('team');
      const body = { users: [user.id], externalChatId };
      const answers = await Promise.all([0, 1, 0, 1].map((node) => hosts[node].call('POST', '/chats', body)));
      assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 200, 200, 201], JSON.stringify(answers));
      assert.equal(new Set(answers.map(({ body: { id } }) => id)).size, 1);
      for (const host of hosts) {
        assert.equal((await host.get(`/chats/external:${externalChatId}`)).id, answers[0].body.id);
      }
    }
  });

  test('a user that both nodes create at once is one user, by REST and by connecting', async (t) => {
    const hosts = nodes.map((node) => new Backend(node));
    for (let round = 0; round < 10; round++) {
      const externalUserId = uniqueName('vera');
      const found = await Promise.all([0, 1].flatMap((node) => [
        hosts[node].ok(200, 'POST', '/users', { externalUserId }).then(({ id }) => id),
        OF_MEMBERS['event-name'](t, nodes[node], { externalUserId }).then(async (client) => {
          const { value } = await client.request('whoami', {});
          client.close();
          return value.user.id;
        }),
      ]));
      assert.equal(new Set(found).size, 1, `${found}`);
    }
  });

  test('the chat of an event that both nodes open at once is one chat', async () => {
    const hosts = nodes.map((node) => new Backend(node));
    const owner = await hosts[0].user('owner');
    for (let round = 0; round < 10; round++) {
      const [event, guest] = [await hosts[0].event(owner), await hosts[1].user('guest')];
      const opened = await Promise.all([0, 1, 0, 1].map((node) => hosts[node].eventChat(event, guest)));
      assert.equal(new Set(opened.map(({ chatId }) => chatId)).size, 1);
    }
  });
});
