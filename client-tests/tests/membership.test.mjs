// @ts-check
// Owns the promise that a chat reaches all its members, each of their connections, and no other user.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  chatOf, connectAgain, connectUser, connectUsers, flushInboxes, received, history, sendMessage, uniqueName, withInbox,
} from '../clients/fixtures.mjs';
import { ask, askByEvent, collect, connect, refusal } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

test('every member receives each message once, the sender too, and nobody else receives anything', async (t) => {
  const [alice, bob, carol, eve] = await connectUsers(t, server, 'alice', 'bob', 'carol', 'eve');
  const chat = await chatOf(alice, bob, carol);
  const sent = [await sendMessage(alice, chat, 'one'), await sendMessage(bob, chat, 'two'), await sendMessage(carol, chat, 'three')];
  await flushInboxes(alice, bob, carol, eve);
  for (const member of [alice, bob, carol]) assert.deepEqual(received(member, chat), sent);
  assert.deepEqual(received(eve, chat), []);
});

test('to somebody who is no member a chat looks like one that never was', async (t) => {
  const [alice, eve] = await connectUsers(t, server, 'alice', 'eve');
  const chat = await chatOf(alice);
  const requests = {
    'new-message': (room) => ({ room, msg: 'let me in' }),
    'list-messages': (id) => ({ chat: { id } }),
  };
  for (const [event, body] of Object.entries(requests)) {
    const foreign = await refusal(eve.socket, event, body(chat.id));
    const unknown = await refusal(eve.socket, event, body(NEVER_GIVEN_OUT));
    assert.equal(foreign.code, 'not_found');
    const anonymous = (error, id) => JSON.stringify(error).replaceAll(id, 'ID');
    assert.equal(anonymous(foreign, chat.id), anonymous(unknown, NEVER_GIVEN_OUT));
  }
  assert.deepEqual((await ask(eve.socket, 'list-chats', {})).chats, []);
  assert.deepEqual(await history(alice, chat), []);
});

test('a new chat is sent to the other members with the body that its creator got', async (t) => {
  const [alice, bob, eve] = await connectUsers(t, server, 'alice', 'bob', 'eve');
  const delivered = [alice, bob, eve].map(({ socket }) => collect(socket, 'create-chat'));
  const body = await ask(alice.socket, 'create-chat', { chat: { name: 'Tea' }, users: [alice.id, bob.id] });
  await delivered[1].until(1);
  await flushInboxes(alice, bob, eve);
  const names = delivered.map((bodies) => bodies.filter(({ chat }) => chat.id === body.chat.id));
  assert.deepEqual(names, [[], [body], []]);
});

test('a new chat is sent to the creator once, if the request had no acknowledgement', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const delivered = collect(alice.socket, 'create-chat');
  const body = await askByEvent(alice.socket, 'create-chat', { chat: { name: 'Tea' }, users: [alice.id, bob.id] });
  await flushInboxes(alice, bob);
  assert.deepEqual(delivered.filter(({ chat }) => chat.id === body.chat.id), [body]);
});

test('all connections of a user receive the user\'s chats, and of a new one all but the one that created it', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const alsoAlice = await connectAgain(t, server, alice, { transports: ['polling'] });
  const [madeHere, deliveredThere] = [alice, alsoAlice].map(({ socket }) => collect(socket, 'create-chat'));
  const chat = await chatOf(alice);
  await deliveredThere.until(1);
  assert.deepEqual(deliveredThere.map((body) => body.chat), [chat]);
  assert.deepEqual(madeHere, []);

  const sent = [await sendMessage(alice, chat, 'from here'), await sendMessage(alsoAlice, chat, 'from there')];
  await flushInboxes(alice, alsoAlice);
  for (const connection of [alice, alsoAlice]) assert.deepEqual(received(connection, chat), sent);
});

test('the members are exactly those listed, in the order given, without duplicates', async (t) => {
  const [alice, bob, carol] = await connectUsers(t, server, 'alice', 'bob', 'carol');
  const users = [carol.id, bob.id, carol.id, bob.id, carol.id];
  const { chat } = await ask(alice.socket, 'create-chat', { chat: { name: 'not for alice' }, users });
  assert.deepEqual(chat.users, [carol.id, bob.id]);
  const sent = await sendMessage(bob, chat, 'just us');
  await flushInboxes(alice, bob, carol);
  assert.deepEqual([alice, bob, carol].map((each) => received(each, chat)), [[], [sent], [sent]]);
});

test('a connection stays the user\'s that it named first, whomever it finds or creates later', async (t) => {
  const [bob, carol] = await connectUsers(t, server, 'bob', 'carol');
  const socket = await connect(t, server.url);
  const find = (externalUserId) => ask(socket, 'create-user', { user: { externalUserId } });
  const { user } = await find(uniqueName('alice'));
  const alice = withInbox(socket, user);
  assert.deepEqual((await find(bob.user.externalUserId)).user, bob.user);
  assert.deepEqual((await ask(socket, 'create-user', { user: { id: carol.id } })).user, carol.user);
  await find(uniqueName('somebody new'));

  const chat = await chatOf(alice, bob);
  const others = await chatOf(bob, carol);
  const sent = [await sendMessage(bob, chat, 'hello'), await sendMessage(alice, chat, 'it is me')];
  await sendMessage(carol, others, 'just us');
  await flushInboxes(alice, bob, carol);
  assert.equal(sent[1].user_id, alice.id);
  assert.deepEqual(received(alice, chat), sent);
  assert.deepEqual(received(alice, others), []);
  assert.equal((await refusal(socket, 'list-messages', { chat: { id: others.id } })).code, 'not_found');
});

test('a connection stays the user\'s of its token, too', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const token = alice.user.externalUserId;
  const again = withInbox(await connect(t, server.url, { auth: { token } }), alice.user);
  await ask(again.socket, 'create-user', { user: { externalUserId: bob.user.externalUserId } });
  const [own, foreign] = [await chatOf(alice), await chatOf(bob)];
  const sent = await sendMessage(again, own, 'still alice');
  await sendMessage(bob, foreign, 'just me');
  await flushInboxes(again, alice, bob);
  assert.equal(sent.user_id, alice.id);
  assert.deepEqual([received(again, own), received(again, foreign)], [[sent], []]);
});

test('a user that is retrieved by the first create-user is the user of the connection', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const back = withInbox(await connect(t, server.url), alice.user);
  await ask(back.socket, 'create-user', { user: { id: alice.id } });
  const chat = await chatOf(alice);
  const sent = await sendMessage(back, chat, 'back again');
  assert.equal(sent.user_id, alice.id);
  await flushInboxes(back, alice);
  assert.deepEqual(received(back, chat), [sent]);
});

test('a token that names the user makes the connection that user\'s from the start', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const chat = await chatOf(alice);
  const token = alice.user.externalUserId;
  const ways = {
    auth: { auth: { token } },
    query: { query: { token } },
    header: { extraHeaders: { authorization: `Bearer ${token}` } },
    'client 2, query': { client: 2, query: { token } },
  };
  for (const [way, options] of Object.entries(ways)) {
    const connection = withInbox(await connect(t, server.url, options), alice.user);
    const sent = await sendMessage(connection, chat, `by ${way}`);
    assert.equal(sent.user_id, alice.id, way);
    await connection.inbox.until(1);
    assert.deepEqual(connection.inbox, [sent], way);
  }
});

test('of two tokens the one in auth counts, then the one in the query', async (t) => {
  const [alice, bob, carol] = await connectUsers(t, server, 'alice', 'bob', 'carol');
  const chat = await chatOf(alice, bob, carol);
  const names = [alice, bob, carol].map(({ user }) => user.externalUserId);
  const all = {
    auth: { token: names[0] }, query: { token: names[1] }, extraHeaders: { authorization: `Bearer ${names[2]}` },
  };
  const { auth, ...withoutAuth } = all;
  for (const { options, sender } of [{ options: all, sender: alice }, { options: withoutAuth, sender: bob }]) {
    const connection = { socket: await connect(t, server.url, options) };
    assert.equal((await sendMessage(connection, chat, 'who am I?')).user_id, sender.id);
  }
});

test('a message sent for another user is answered once, though the sender receives nothing of the chat', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const bridge = withInbox(await connect(t, server.url), alice.user);
  const body = { chat: { id: chat.id }, user: { id: alice.id }, message: { value: 'by proxy', type: 'text' } };
  const sent = await askByEvent(bridge.socket, 'new-message', body);
  assert.equal(sent.user_id, alice.id);
  await ask(bridge.socket, 'create-user', { user: { externalUserId: alice.user.externalUserId } });
  await flushInboxes(alice, bob, bridge);
  for (const connection of [alice, bob, bridge]) assert.deepEqual(received(connection, chat), [sent]);
});

test('a later member receives what is sent from then on, and can request what was sent before', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  bob.socket.close();
  const missed = await sendMessage(alice, chat, 'while bob is away');
  const back = await connectAgain(t, server, bob);
  const sent = await sendMessage(alice, chat, 'bob is back');
  await flushInboxes(alice, back);
  assert.deepEqual(received(back, chat), [sent]);
  assert.deepEqual(await history(back, chat), [missed, sent]);
});
