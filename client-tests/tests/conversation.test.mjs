// @ts-check
// Owns the promise that every official client can hold a conversation: each event of the dialect, with an
// acknowledgement and without, over each transport, in exactly the promised form.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { chatOf, connectUser, connectUsers, history, sendMessage, uniqueName } from '../clients/fixtures.mjs';
import { ask, askByEvent, collect, connect, nextEvent } from '../clients/socketio.mjs';
import { hasOnly, isChat, isMessage, isUser } from '../data/shapes.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const CLIENTS = {
  'client 4 over websocket': { client: 4, transports: ['websocket'] },
  'client 4 over polling': { client: 4, transports: ['polling'] },
  'client 4 upgrading from polling': { client: 4, transports: ['polling', 'websocket'] },
  'client 2 over websocket': { client: 2, transports: ['websocket'] },
  'client 2 over polling': { client: 2, transports: ['polling'] },
  'client 2 upgrading from polling': { client: 2, transports: ['polling', 'websocket'] },
};

const WAYS = { 'with acknowledgements': ask, 'with plain events': askByEvent };

/** The forms of the same message: the arguments after the event's name. */
const FORMS = {
  'the room in the body': (room, msg) => [{ room, msg }],
  'the room in the body, with a type': (room, msg) => [{ room, msg, type: 'text' }],
  'the chat in the body': (id, msg) => [{ chat: { id }, msg }],
  'the room before the body': (room, msg) => [room, { msg, type: 'text' }],
  'the long form': (id, msg, user) => [{ chat: { id }, user: { id: user }, message: { value: msg, type: 'text' } }],
};

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

for (const [client, options] of Object.entries(CLIENTS)) {
  for (const [way, request] of Object.entries(WAYS)) {
    test(`${client}, ${way}: a whole conversation`, async (t) => {
      const socket = await connect(t, server.url, options);
      const externalUserId = uniqueName('alice');

      const { user } = hasOnly(await request(socket, 'create-user', { user: { externalUserId } }), 'user');
      assert.equal(isUser(user).externalUserId, externalUserId);

      const made = await request(socket, 'create-chat', { chat: { name: 'Tea' }, users: [user.id] });
      const { chat } = hasOnly(made, 'chat');
      assert.equal(isChat(chat).name, 'Tea');
      assert.deepEqual(chat.users, [user.id]);

      const { chats } = await request(socket, 'list-chats', { user: { id: user.id } });
      assert.deepEqual(chats.map((each) => isChat(each).id), [chat.id]);

      const sent = [];
      for (const [form, arguments_] of Object.entries(FORMS)) {
        const message = await request(socket, 'new-message', ...arguments_(chat.id, form, user.id));
        assert.equal(isMessage(message).msg, form);
        assert.deepEqual([message.room, message.type, message.user_id], [chat.id, 'text', user.id]);
        sent.push(message);
      }
      assert.deepEqual(sent.map(({ seq }) => seq), [1, 2, 3, 4, 5]);

      const listed = await request(socket, 'list-messages', { chat: { id: chat.id } });
      hasOnly(listed, 'messages', 'has_more');
      assert.equal(listed.has_more, false);
      listed.messages.forEach(isMessage);
      assert.deepEqual(listed.messages, sent);
    });
  }
}

for (const client of [4, 2]) {
  test(`client ${client} upgrades from polling to websocket and continues its conversation`, async (t) => {
    const socket = await connect(t, server.url, { client, transports: ['polling', 'websocket'] });
    const { engine } = socket.io;
    if (engine.transport.name !== 'websocket') await nextEvent(engine, 'upgrade');
    assert.equal(engine.transport.name, 'websocket');
    isUser((await ask(socket, 'create-user', { user: { externalUserId: uniqueName('alice') } })).user);
  });
}

test('clients of both versions and all transports share one conversation', async (t) => {
  const everyone = await Promise.all(Object.values(CLIENTS).map((options) => connectUser(t, server, 'guest', options)));
  const chat = await chatOf(...everyone);
  const sent = [];
  for (const each of everyone) sent.push(await sendMessage(each, chat, 'hello'));
  for (const { inbox } of everyone) {
    await inbox.until(sent.length);
    assert.deepEqual(inbox, sent);
  }
});

test('without an acknowledgement the sender gets its message once, in the same form', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  alice.socket.emit('new-message', { room: chat.id, msg: 'first' });
  const second = await sendMessage(alice, chat, 'second');
  await Promise.all([alice.inbox.until(2), bob.inbox.until(2)]);
  assert.deepEqual(alice.inbox.map(({ msg }) => msg), ['first', 'second']);
  assert.deepEqual(alice.inbox, bob.inbox);
  assert.deepEqual(alice.inbox[1], second);
  assert.deepEqual(Object.keys(alice.inbox[0]).sort(), Object.keys(second).sort());
});

test('a URL works with and without its trailing slash', async (t) => {
  for (const addTrailingSlash of [true, false]) {
    for (const transport of ['websocket', 'polling']) {
      await connect(t, server.url, { addTrailingSlash, transports: [transport] });
    }
  }
});

describe('a user', () => {
  test('gets defaults for what is not given', async (t) => {
    const socket = await connect(t, server.url);
    const externalUserId = uniqueName('alice');
    const { user } = await ask(socket, 'create-user', { user: { externalUserId } });
    assert.equal(user.username, externalUserId);
    assert.equal(user.name, externalUserId);
    assert.equal(user.avatar, '/media/default/default.jpg');
    assert.equal(user.modified_at, user.created_at);
  });

  test('may be written with the field names of the later revision', async (t) => {
    const socket = await connect(t, server.url);
    const external_id = uniqueName('alice');
    const { user } = await ask(socket, 'create-user', { user: { external_id, photo: '/alice.png' } });
    assert.equal(user.externalUserId, external_id);
    assert.equal(user.avatar, '/alice.png');
    const again = await ask(socket, 'create-user', { user: { externalUserId: external_id } });
    assert.deepEqual(again.user, user);
  });

  test('is the same one every time, and changes only when something else is given', async (t) => {
    const socket = await connect(t, server.url);
    const externalUserId = uniqueName('alice');
    const profile = { externalUserId, username: 'al', name: 'Alice', avatar: '/a.png', github: 'alice-gh' };
    const { user } = await ask(socket, 'create-user', { user: profile });
    assert.deepEqual({ ...user, ...profile }, user);
    await tick();

    assert.deepEqual((await ask(socket, 'create-user', { user: profile })).user, user);
    assert.deepEqual((await ask(socket, 'create-user', { user: { externalUserId } })).user, user);

    const { user: changed } = await ask(socket, 'create-user', { user: { externalUserId, name: 'Alice B.' } });
    assert.deepEqual({ ...changed, modified_at: user.modified_at }, { ...user, name: 'Alice B.' });
    assert.ok(changed.modified_at > user.modified_at);
    assert.deepEqual((await ask(socket, 'create-user', { user: { id: user.id } })).user, changed);
  });
});

describe('a message', () => {
  test('is kept as it came: spaces, line ends, emoji, quotes, control and other scripts', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const texts = [
      '  spaces \n\n',
      '👩‍👩‍👧 \u{1f600}',
      '"quoted" \\ {"json": [1]}',
      'привет мир',
      '漢字\u0000\u0007',
      'a\u2028b',
    ];
    for (const text of texts) assert.equal((await sendMessage(alice, chat, text)).msg, text);
    await bob.inbox.until(texts.length);
    assert.deepEqual(bob.inbox.map(({ msg }) => msg), texts);
    assert.deepEqual((await history(bob, chat)).map(({ msg }) => msg), texts);
  });

  test('has the type that it was given, "text" by default', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    for (const type of ['image', 'a', 'x-custom_type-2', 'z'.repeat(32)]) {
      assert.equal((await sendMessage(alice, chat, 'look', { type })).type, type);
    }
    assert.equal((await sendMessage(alice, chat, 'look')).type, 'text');
  });

  test('carries its client_id to everyone, and none if none was given', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    assert.equal((await sendMessage(alice, chat, 'one', { client_id: 'c-1' })).client_id, 'c-1');
    assert.ok(!('client_id' in await sendMessage(alice, chat, 'two')));
    await bob.inbox.until(2);
    assert.deepEqual(bob.inbox.map(({ client_id }) => client_id), ['c-1', undefined]);
  });

  test('has a time that never runs backwards, and ids that are all different', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    const sent = await Promise.all(Array.from({ length: 100 }, (_, index) => sendMessage(alice, chat, `${index}`)));
    const times = sent.map(({ created_at }) => created_at);
    assert.deepEqual(times, times.toSorted());
    assert.equal(new Set(sent.map(({ id }) => id)).size, sent.length);
  });
});

test('two listeners of one event on one connection receive the same', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const again = collect(alice.socket, 'new-message');
  await sendMessage(alice, await chatOf(alice), 'hello');
  await Promise.all([alice.inbox.until(1), again.until(1)]);
  assert.deepEqual(again, alice.inbox);
});
