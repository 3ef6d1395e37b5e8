// @ts-check
// Owns the promise that a client works which was written from its document alone, against a server that has the ids of the
// host application: two people talk, lose the network, come back, and have everything once; the ids compare as the
// document says; the document's requests are understood as they stand there.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { flush, isMessageEvent, isReply } from '../clients/action.mjs';
import { ActionClient } from '../clients/seeds/action.mjs';
import { EventNameClient } from '../clients/seeds/event-name.mjs';
import { MarketplaceClient } from '../clients/seeds/marketplace.mjs';
import { TypeClient } from '../clients/seeds/type.mjs';
import { askByEvent, connect } from '../clients/socketio.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { SAMPLES } from './marketplace_seed.samples.mjs';
import {
  ANNA, BORIS, EXAMPLES, FIRST_OWN, RAW_OPTIONS, SOCKETIO_OPTIONS, newWorld, soon, talk,
} from './seed_clients.world.mjs';

const idsOf = (users) => users.map(({ id }) => id).sort((a, b) => a - b);

/** A client that ends with the test. */
function page(t, client) {
  t.after(() => client.leave());
  return client;
}

test('the users have the numbers of the host, others those above', async (t) => {
  const { anna, boris, host, userOf } = await newWorld(t);
  assert.deepEqual([anna.pk, boris.pk], [ANNA, BORIS]);
  const others = [await userOf('nina'), await userOf('007'), await userOf('-1'), await userOf('1.5'), await userOf('0')];
  for (const { pk, externalUserId } of others) assert.ok(pk >= FIRST_OWN, `${externalUserId} is ${pk}`);
  assert.deepEqual(await host.get(`/users/${BORIS}`), boris);
});

describe('the action client', () => {
  const dialect = {
    write: (client, text) => client.write(text),
    messagesOf: ({ messages }) => messages,
    textOf: ({ text }) => text,
    sessionsOf: ({ others }) => others.filter(({ action }) => action === 'subscribe_instance').length, // its last request
  };
  const open = (t, { address }, id, { pk }) => {
    const client = page(t, new ActionClient(address, `${id}`, { id }, RAW_OPTIONS));
    client.open(pk);
    return client;
  };
  const isIn = (client) => soon(() => dialect.sessionsOf(client) > 0, 'the client is in the room');

  test('talks, goes offline, comes back', async (t) => {
    const world = await newWorld(t);
    const room = await world.room();
    const anna = open(t, world, ANNA, room);
    await isIn(anna);
    const boris = open(t, world, BORIS, room);
    await isIn(boris);
    await talk(world, [anna, boris], dialect);
    assert.deepEqual([anna.isOwner, boris.isOwner], [true, false]);
    for (const client of [anna, boris]) {
      await soon(() => client.members.length === 2, 'both are members');
      assert.deepEqual(idsOf(client.members), [ANNA, BORIS]);
      assert.ok(client.messages.every((message) => message.room === room.pk));
      assert.deepEqual(client.others.filter(({ errors }) => errors?.length), []);
    }
  });

  test('a page that is opened later shows the same, and who joins is shown', async (t) => {
    const world = await newWorld(t);
    const room = await world.room();
    const anna = open(t, world, ANNA, room);
    await isIn(anna);
    anna.write('Hi world!!!');
    await soon(() => anna.messages.length === 1, 'the message is shown');
    const boris = open(t, world, BORIS, room);
    await isIn(boris);
    await soon(() => anna.members.some(({ id }) => id === BORIS), 'Boris is shown');
    assert.deepEqual(boris.messages.map(({ user, text }) => [user.id, text]), [[ANNA, 'Hi world!!!']]);
    assert.deepEqual([anna, boris].map((client) => client.isMine(boris.messages[0])), [true, false]);
  });

  test('the requests of the document', async (t) => {
    const world = await newWorld(t);
    const { example, ...requests } = EXAMPLES.action;
    const room = await world.room({ pk: example.pk });
    assert.equal(room.pk, example.pk);
    const wire = await dial(t, world.server, PATH.action, { token: `${ANNA}` });
    wire.send({ ...example, request_id: new Date().getTime() });
    for (const request of Object.values(requests)) wire.send('pk' in request ? { ...request, pk: room.pk } : request);
    await flush({ wire });
    const [retrieved, subscribed, created, ...rest] = wire.frames.slice(0, -1);
    isReply(retrieved, 'retrieve', 200);
    isReply(subscribed, 'subscribe_instance', 201);
    const { user, text } = isMessageEvent(created);
    assert.deepEqual([user.id, text, rest], [ANNA, 'message', []]);
  });
});

describe('the type client', () => {
  /** A client of this chat. */
  const dialectOf = (chat) => ({
    write: (client, text) => client.write(chat, text),
    messagesOf: (client) => client.messagesOf(chat),
    textOf: ({ text }) => text,
    // It is back once both of its histories are loaded, that of the list and that of the screen: they replace what is shown.
    sessionsOf: ({ loads }) => Math.floor(loads / 2),
  });
  const connected = async (t, { address }, id) => {
    const client = page(t, new TypeClient(`ws://${address}/ws/chats/?token=${id}`, { id }, RAW_OPTIONS)).connect();
    await soon(() => client.chats, 'the chats are listed');
    return client;
  };

  /** Anna and Boris in a chat that Anna has created. */
  async function scene(t) {
    const world = await newWorld(t);
    const [anna, boris] = [await connected(t, world, ANNA), await connected(t, world, BORIS)];
    assert.deepEqual([anna.chats, boris.chats], [[], []]);
    anna.createChat();
    const { id: chat, participants } = await soon(() => anna.created[0], 'a chat is created');
    assert.deepEqual(participants, []);
    assert.ok(chat >= FIRST_OWN, `the chat is ${chat}`);
    anna.open(chat);
    await soon(() => anna.details.has(chat), 'Anna is in the chat');
    boris.open(chat);
    for (const client of [anna, boris]) {
      await soon(() => client.details.get(chat)?.participants.length === 2, 'both are shown');
      assert.deepEqual(idsOf(client.details.get(chat).participants), [ANNA, BORIS]);
    }
    return { world, chat, anna, boris };
  }

  test('talks, goes offline, comes back', async (t) => {
    const { world, chat, anna, boris } = await scene(t);
    await talk(world, [anna, boris], dialectOf(chat));
    for (const client of [anna, boris]) {
      assert.deepEqual(client.chats.map(({ id, participants }) => [id, idsOf(participants)]), [[chat, [ANNA, BORIS]]]);
      assert.ok(client.messagesOf(chat).every((message) => message.chat === chat));
      assert.deepEqual(client.others.filter(({ type }) => type === 'error'), []);
    }
  });

  test('counts what is unread, also on a page that is opened later', async (t) => {
    const { world, chat, anna, boris } = await scene(t);
    const write = async (text, count) => {
      anna.write(chat, text);
      await soon(() => [anna, boris].every((client) => client.messagesOf(chat).length === count), 'it is shown');
    };
    await write('one', 1);
    await write('two', 2);
    assert.deepEqual([anna.unread(chat), boris.unread(chat)], [0, 2]);
    boris.read(chat);
    assert.equal(boris.unread(chat), 0);
    await write('three', 3);
    assert.deepEqual([anna.unread(chat), boris.unread(chat)], [0, 1]);
    const second = await connected(t, world, BORIS);
    await soon(() => second.messagesOf(chat).length === 3, 'the messages are shown');
    assert.equal(second.unread(chat), 1);
  });

  test('the requests of the document', async (t) => {
    const { server } = await newWorld(t);
    const { getChats, createEmptyChat, joinChat, getChatDetails, newMessage, getChatMessages } = EXAMPLES.type;
    const wireOf = (id) => dial(t, server, PATH.type, { token: `${id}`, query: { push: '0' } });
    const [anna, boris] = [await wireOf(ANNA), await wireOf(BORIS)];
    const ask = async (wire, { type, data }, values, answerType) => {
      wire.send({ type, data: { ...data, ...values } });
      const answer = await wire.take();
      assert.equal(answer.type, answerType, `${type} was answered with ${JSON.stringify(answer)}`);
      return answer.data;
    };
    assert.deepEqual(await ask(anna, getChats, {}, 'chatsList'), []);
    const { id: chat } = await ask(anna, createEmptyChat, {}, 'emptyChatCreated');
    const { last_read_message: _, ...withoutLast } = joinChat.data;
    const joined = await ask(anna, { ...joinChat, data: withoutLast }, { chat }, 'chatJoined');
    assert.deepEqual([joined.chat, joined.user.id], [chat, ANNA]);
    const message = await ask(anna, newMessage, { chat, is_read: false }, 'messageCreated');
    assert.deepEqual([message.chat, message.sender.id, message.text, message.is_read], [chat, ANNA, 'string', false]);
    const again = await ask(boris, joinChat, { chat, last_read_message: message.id }, 'chatJoined');
    assert.deepEqual([again.chat, again.user.id, again.last_read_message], [chat, BORIS, message.id]);
    const { participants } = await ask(boris, getChatDetails, { chatId: chat }, 'chatDetails');
    assert.deepEqual(idsOf(participants), [ANNA, BORIS]);
    const date_to = new Date(Date.now() + 86_400_000).toISOString().slice(0, 10);
    for (const date_from of ['2025-03-01', 'yesterday', 'day_before_yesterday', 'last_7_days']) {
      const found = await ask(boris, getChatMessages, { chatId: chat, date_from, date_to, last: 1 }, 'chatMessages');
      assert.deepEqual(found.map(({ id, sender }) => [id, sender.id]), [[message.id, ANNA]], date_from);
    }
  });
});

describe('the marketplace client', () => {
  const dialectOf = (chatId) => ({
    write: (client, text) => client.write(chatId, text),
    messagesOf: (client) => client.chat(chatId)?.messages ?? [],
    textOf: ({ text }) => text,
    sessionsOf: ({ loads }) => loads,
  });
  const connected = async (t, { url }, id) => {
    const client = page(t, new MarketplaceClient(`${url}/events`, `${id}`, id, SOCKETIO_OPTIONS));
    await soon(() => client.entries, 'the chats have come');
    return client;
  };

  const newEvent = ({ host }, eventOwnerId) => {
    const { name, iconsUUIDs, location, dateFromS, dateToS } = SAMPLES.initial_data[0].event;
    // The document's own numbers end before they begin.
    const details = { name, iconsUUIDs, location, dateFromS: dateToS, dateToS: dateFromS };
    return host.ok(201, 'POST', '/events', { eventOwnerId, ...details });
  };

  /** Anna's event, and Boris, who has a chat with her about it. */
  async function scene(t) {
    const world = await newWorld(t);
    const event = await newEvent(world, ANNA);
    const { chatId } = await world.host.eventChat(event, world.boris);
    const [anna, boris] = [await connected(t, world, ANNA), await connected(t, world, BORIS)];
    return { world, event, chatId, anna, boris };
  }

  const countsOf = (client, chatId) => {
    const { myUnreadCount, interlocutorUnreadCount } = client.chat(chatId);
    return [myUnreadCount, interlocutorUnreadCount];
  };

  test('talks, goes offline, comes back', async (t) => {
    const { world, event, chatId, anna, boris } = await scene(t);
    await talk(world, [anna, boris], dialectOf(chatId));
    for (const client of [anna, boris]) {
      const messages = client.chat(chatId).messages;
      assert.deepEqual(messages.map(({ messageId }) => messageId), messages.map((_, index) => index + 1));
      const lists = [client.ownEvents, client.foreignEvents].map((entries) => entries.map((entry) => entry.event.id));
      assert.deepEqual(lists, client === anna ? [[event.id], []] : [[], [event.id]]);
      for (const { fromUserId, toUserId } of messages) {
        assert.deepEqual([fromUserId, toUserId], fromUserId === ANNA ? [ANNA, BORIS] : [BORIS, ANNA]);
      }
      assert.equal(client.chat(chatId).user.id, client === anna ? BORIS : ANNA);
      assert.deepEqual(client.errors, []);
    }
  });

  test('shows the server\'s counts of what is unread, also after a reconnect', async (t) => {
    const { chatId, anna, boris } = await scene(t);
    const counted = async (ofAnna, ofBoris) => {
      const fit = () => `${countsOf(anna, chatId)}` === `${ofAnna}` && `${countsOf(boris, chatId)}` === `${ofBoris}`;
      await soon(fit, `the counts are ${ofAnna} and ${ofBoris}`);
    };
    for (const text of ['Привет!', 'и ещё']) boris.write(chatId, text);
    await counted([2, 0], [0, 2]);
    anna.drop();
    await soon(() => anna.loads === 2, 'Anna is back');
    assert.deepEqual(countsOf(anna, chatId), [2, 0]);
    anna.read(chatId);
    await counted([0, 0], [0, 0]);
    anna.write(chatId, 'Добрый день!');
    await counted([0, 1], [1, 0]);
  });

  test('loads what is above the first message', async (t) => {
    const { world, chatId, boris } = await scene(t);
    for (let number = 1; number <= 90; number++) await world.host.sendMessage({ chatId }, world.boris, `${number}`);
    const later = await connected(t, world, BORIS);
    const numbers = () => later.chat(chatId).messages.map(({ messageId }) => messageId);
    for (let pages = 0; pages < 10 && numbers()[0] !== 1; pages++) {
      const before = numbers().length;
      later.loadHistory(chatId);
      await soon(() => numbers().length > before, 'there are more messages');
    }
    const all = Array.from({ length: 90 }, (_, index) => index + 1);
    assert.deepEqual(numbers(), all);
    assert.ok(later.chat(chatId).messages.every((message) => later.isMine(message)));
    await soon(() => boris.chat(chatId).messages.length === 90, 'the other page shows them, too');
  });

  test('the host names the owner of an event in its own way', async (t) => {
    const world = await newWorld(t);
    for (const owner of [ANNA, `${ANNA}`, world.anna.id, { externalUserId: `${ANNA}` }]) {
      const { id, eventOwnerId } = await newEvent(world, owner);
      assert.deepEqual([id >= FIRST_OWN, eventOwnerId], [true, ANNA], JSON.stringify(owner));
    }
  });

  test('the requests of the document', async (t) => {
    const { chatId, anna, boris } = await scene(t);
    boris.socket.emit('send_message', { ...SAMPLES.send_message, chatId });
    const { fromUserId, toUserId, text } = await soon(() => anna.chat(chatId).messages[0], 'the message is shown');
    assert.deepEqual([fromUserId, toUserId, text], [BORIS, ANNA, SAMPLES.send_message.message.text]);
    anna.socket.emit('read_messages', { ...SAMPLES.read_messages, chatId });
    await soon(() => `${countsOf(boris, chatId)}` === '0,0', 'it is read');
    anna.chat(chatId).messages = [];
    anna.socket.emit('load_history', { ...SAMPLES.load_history, chatId });
    await soon(() => anna.chat(chatId).messages.length === 1, 'the history has come');
    assert.deepEqual([anna.errors, boris.errors], [[], []]);
  });
});

describe('the event-name client', () => {
  const dialectOf = (chat) => ({
    write: (client, msg) => client.write(msg),
    messagesOf: (client) => client.messagesOf(chat),
    textOf: ({ msg }) => msg,
    sessionsOf: ({ sessions }) => sessions,
  });
  const connected = async (t, { url }, id, options) => {
    const client = page(t, new EventNameClient(url, `${id}`, { ...SOCKETIO_OPTIONS, ...options }));
    await soon(() => client.user, 'the user is known');
    return client;
  };

  for (const [how, options] of Object.entries({ 'a field of its body': {}, 'an argument before it': { roomFirst: true } })) {
    test(`talks, goes offline, comes back; the room of a message is ${how}`, async (t) => {
      const world = await newWorld(t);
      const [anna, boris] = [await connected(t, world, ANNA, options), await connected(t, world, BORIS, options)];
      assert.deepEqual([anna.user.id, boris.user.id], [world.anna.id, world.boris.id]);
      anna.meet(`${BORIS}`);
      await soon(() => anna.peers.has(`${BORIS}`), 'Boris is found');
      assert.equal(anna.peers.get(`${BORIS}`), boris.user.id);
      anna.createChat('chat-name', [`${BORIS}`]);
      const chat = await soon(() => anna.created[0], 'the chat is created');
      assert.deepEqual([chat.name, chat.users], ['chat-name', [anna.user.id, boris.user.id]]);
      boris.listChats();
      for (const client of [anna, boris]) {
        await soon(() => client.chats?.some(({ id }) => id === chat.id), 'the chat is listed');
        client.open(chat.id);
      }
      const earlier = [anna.user, boris.user];
      await talk(world, [anna, boris], dialectOf(chat.id));
      assert.deepEqual([anna.user, boris.user], earlier);
      for (const { arrivals } of [anna, boris]) {
        const ids = arrivals.map(({ id }) => id);
        assert.deepEqual(ids, [...new Set(ids)], 'nothing is pushed twice');
      }
    });
  }

  test('the requests of the document', async (t) => {
    const { url } = await newWorld(t);
    const examples = EXAMPLES['event-name'];
    const socket = await connect(t, url);
    const { user } = await askByEvent(socket, 'create-user', examples['create-user']);
    const { chat } = await askByEvent(socket, 'create-chat', { ...examples['create-chat'], users: [user.id] });
    assert.deepEqual([chat.name, chat.users], ['chat-name', [user.id]]);
    const { chats } = await askByEvent(socket, 'list-chats', { ...examples['list-chats'], user: { id: user.id } });
    assert.deepEqual(chats.map(({ id, users }) => [id, users]), [[chat.id, [user.id]]]);
    const body = examples['new-message'];
    const sent = [
      await askByEvent(socket, 'new-message', { room: chat.id, ...body }),
      await askByEvent(socket, 'new-message', chat.id, body),
    ];
    for (const { msg, type, user_id } of sent) assert.deepEqual([msg, type, user_id], ['message', 'text', user.id]);
    const query = { from: user.created_at, to: new Date().toISOString() };
    const listing = { ...examples['list-messages'], query, chat: { id: chat.id } };
    const { messages } = await askByEvent(socket, 'list-messages', listing);
    assert.deepEqual(messages.map(({ id }) => id), sent.map(({ id }) => id));
  });
});
