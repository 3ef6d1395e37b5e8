// @ts-check
// Owns the REST API as the host application's backend uses it: every operation has its effect, and connected clients
// are notified at once.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { history, sendMessage, uniqueName, withInbox } from '../clients/fixtures.mjs';
import { enterSocketIo } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, collect, connect, refusal } from '../clients/socketio.mjs';
import { isChat, isMessage, isUser } from '../data/shapes.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

const users = (...bases) => Promise.all(bases.map((base) => host.user(base)));

/** A user's connection in the event-name dialect. */
async function online(t, user) {
  const socket = await connect(t, server.url);
  await ask(socket, 'create-user', { user: { externalUserId: user.externalUserId } });
  return { ...withInbox(socket, user), made: collect(socket, 'create-chat') };
}

/** What a `Location` leads to. */
async function located(answer) {
  const location = answer.headers.get('location');
  assert.ok(location?.startsWith('/api/v1/'), location);
  return host.get(location.slice('/api/v1'.length));
}

describe('users', () => {
  test('are created with what is missing filled in, and found again by their external id', async () => {
    const externalUserId = uniqueName('anna');
    const created = await host.ok(200, 'POST', '/users', { externalUserId });
    isUser(created);
    const { username, name, avatar, github, imageUUID } = created;
    assert.deepEqual({ username, name, avatar, github, imageUUID }, {
      username: externalUserId, name: externalUserId, avatar: '/media/default/default.jpg', github: '', imageUUID: null,
    });
    assert.equal((await fetch(`${server.url}${avatar}`)).status, 200);
    await tick();
    assert.deepEqual(await host.ok(200, 'POST', '/users', { externalUserId }), created);
  });

  test('change what is given, by creating again and by PATCH; the time of change moves only then', async () => {
    const profile = { username: 'u', name: 'n', avatar: 'a', github: 'g', imageUUID: 'i' };
    const created = await host.user('anna', profile);
    assert.deepEqual({ ...created, ...profile }, created);
    await tick();
    for (const unchanged of [{}, { name: 'n' }, { name: null }]) {
      assert.deepEqual(await host.ok(200, 'PATCH', `/users/${created.id}`, unchanged), created);
    }
    const again = await host.ok(200, 'POST', '/users', { externalUserId: created.externalUserId, name: 'Anna' });
    assert.deepEqual({ ...again, modified_at: '' }, { ...created, name: 'Anna', modified_at: '' });
    assert.ok(again.modified_at > created.modified_at);
    await tick();
    const changed = await host.ok(200, 'PATCH', `/users/${created.pk}`, { imageUUID: 'j', github: 'h' });
    assert.deepEqual({ ...changed, modified_at: '' }, { ...again, imageUUID: 'j', github: 'h', modified_at: '' });
    assert.ok(changed.modified_at > again.modified_at);
    assert.deepEqual(await host.get(`/users/${created.id}`), changed);
  });

  test('are named by their id and by their number', async () => {
    const user = await host.user('anna');
    assert.deepEqual(await host.get(`/users/${user.id}`), user);
    assert.deepEqual(await host.get(`/users/${user.pk}`), user);
    assert.deepEqual(await host.get(`/users/${user.pk}/`), user);
    for (const name of [NEVER_GIVEN_OUT, '4000000000', 'anna', '0', '-1', '1.5']) {
      await host.refused(404, 'not_found', 'GET', `/users/${name}`);
    }
  });

  test('are those who connect with the same external id', async (t) => {
    const user = await host.user('anna', { name: 'Anna' });
    const socket = await connect(t, server.url);
    const { user: same } = await ask(socket, 'create-user', { user: { externalUserId: user.externalUserId } });
    assert.deepEqual([same.id, same.name], [user.id, 'Anna']);
  });
});

describe('chats', () => {
  test('are created with members in the order given, by id or number, each once; they are notified', async (t) => {
    const [anna, boris, vera] = await users('anna', 'boris', 'vera');
    const listener = await online(t, boris);
    const body = { name: 'Lunch', users: [vera.pk, anna.id, `${boris.pk}`, vera.id] };
    const answer = await host.call('POST', '/chats', body);
    assert.equal(answer.status, 201);
    const chat = isChat(answer.body);
    assert.deepEqual([chat.name, chat.users, chat.policy], ['Lunch', [vera.id, anna.id, boris.id], 'closed']);
    assert.deepEqual(await located(answer), chat);
    assert.deepEqual(await host.get(`/chats/${chat.pk}`), chat);
    await listener.made.until(1);
    assert.equal(listener.made[0].chat.id, chat.id);
    assert.equal((await sendMessage(listener, chat, 'hello')).room, chat.id);
  });

  test('change their name and team; what is not given stays', async () => {
    const [anna] = await users('anna');
    const chat = await host.chat(anna);
    const change = (body) => host.ok(200, 'PATCH', `/chats/${chat.id}`, body);
    const view = ({ name, team }) => [name, team];
    assert.deepEqual(view(await change({ name: 'Tea', team: 7 })), ['Tea', 7]);
    assert.deepEqual(view(await change({ name: 'Dinner' })), ['Dinner', 7]);
    assert.deepEqual(view(await change({})), ['Dinner', 7]);
    assert.deepEqual(view(await change({ team: null })), ['Dinner', null]);
    assert.deepEqual(view(await host.get(`/chats/${chat.id}`)), ['Dinner', null]);
  });

  test('add and remove members: that decides at once who receives and writes', async (t) => {
    const [anna, boris] = await users('anna', 'boris');
    const chat = await host.chat(anna);
    const [one, other] = [await online(t, anna), await online(t, boris)];
    await refusal(other.socket, 'new-message', { room: chat.id, msg: 'too early' });
    const grown = await host.ok(200, 'POST', `/chats/${chat.pk}/members`, { users: [boris.pk, boris.id] });
    assert.deepEqual(grown.users, [anna.id, boris.id]);
    const same = await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [boris.id] });
    assert.deepEqual(same.users, grown.users);
    await sendMessage(one, chat, 'welcome');
    await sendMessage(other, chat, 'thanks');
    await other.inbox.until(2);
    const shrunk = await host.ok(200, 'DELETE', `/chats/${chat.id}/members/${boris.pk}`);
    assert.deepEqual(shrunk.users, [anna.id]);
    await refusal(other.socket, 'new-message', { room: chat.id, msg: 'too late' });
    await sendMessage(one, chat, 'alone');
    assert.deepEqual((await history(one, chat)).map(({ msg }) => msg), ['welcome', 'thanks', 'alone']);
    assert.equal(other.inbox.length, 2);
  });

  test('are deleted with all that was said in them', async (t) => {
    const [anna] = await users('anna');
    const chat = await host.chat(anna);
    const one = await online(t, anna);
    await sendMessage(one, chat, 'hello');
    await host.ok(204, 'DELETE', `/chats/${chat.id}`);
    for (const method of ['GET', 'DELETE']) await host.refused(404, 'not_found', method, `/chats/${chat.id}`);
    await host.refused(404, 'not_found', 'GET', `/chats/${chat.id}/messages`);
    assert.equal((await refusal(one.socket, 'list-messages', { chat: { id: chat.id } })).code, 'not_found');
    assert.deepEqual((await ask(one.socket, 'list-chats', {})).chats, []);
  });
});

describe('messages', () => {
  test('are sent as a member, and received by everybody in the chat', async (t) => {
    const [anna, boris] = await users('anna', 'boris');
    const chat = await host.chat(anna, boris);
    const listener = await online(t, boris);
    const sent = isMessage(await host.sendMessage(chat, anna, 'Soup?', { type: 'menu', photos: ['p-1'] }));
    assert.deepEqual([sent.room, sent.user_id, sent.msg, sent.type, sent.photos, sent.seq], [
      chat.id, anna.id, 'Soup?', 'menu', ['p-1'], 1,
    ]);
    await listener.inbox.until(1);
    assert.deepEqual([listener.inbox[0].id, listener.inbox[0].photos], [sent.id, ['p-1']]);
    const only = await host.sendMessage(chat, boris, '', { photos: ['p-2'] });
    assert.deepEqual([only.msg, only.photos, only.seq], ['', ['p-2'], 2]);
    assert.deepEqual((await host.get(`/chats/${chat.pk}/messages`)).messages, [sent, only]);
  });

  test('cannot be sent as somebody who is no member, or as nobody', async () => {
    const [anna, boris] = await users('anna', 'boris');
    const chat = await host.chat(anna);
    const send = (status, code, body) => host.refused(status, code, 'POST', `/chats/${chat.id}/messages`, body);
    // With open authentication a request has the rights of the user that it names: the chat does not exist for boris.
    await send(404, 'not_found', { userId: boris.pk, text: 'hello' });
    await send(400, 'invalid', { text: 'hello' });
    assert.deepEqual((await host.get(`/chats/${chat.id}/messages`)).messages, []);
  });

  test('with a client_id are stored once', async () => {
    const [anna] = await users('anna');
    const chat = await host.chat(anna);
    const first = await host.sendMessage(chat, anna, 'one', { client_id: 'c-1' });
    assert.equal(first.client_id, 'c-1');
    assert.deepEqual(await host.sendMessage(chat, anna, 'two', { client_id: 'c-1' }), first);
    assert.equal((await host.get(`/chats/${chat.id}/messages`)).messages.length, 1);
  });
});

describe('events', () => {
  const details = {
    name: 'Picnic', iconsUUIDs: ['i-1', 'i-2'], location: 'ONLINE', dateFromS: 1_957_817_098, dateToS: 2_514_131_321,
  };

  test('are created, found, changed in part, and deleted', async () => {
    const [owner] = await users('owner');
    const answer = await host.call('POST', '/events', { eventOwnerId: owner.pk, ...details });
    assert.equal(answer.status, 201, answer.text);
    const event = answer.body;
    assert.deepEqual({ ...event, eventOwnerId: owner.pk, ...details }, event);
    assert.ok(Number.isSafeInteger(event.id) && Date.parse(event.created_at) && Date.parse(event.modified_at));
    assert.deepEqual(await located(answer), event);
    await tick();
    const changed = await host.ok(200, 'PATCH', `/events/${event.id}`, { location: 'Riga', iconsUUIDs: [] });
    assert.deepEqual({ ...changed, modified_at: '' }, { ...event, location: 'Riga', iconsUUIDs: [], modified_at: '' });
    assert.ok(changed.modified_at > event.modified_at);
    assert.deepEqual(await host.get(`/events/${event.id}/`), changed);
    await host.ok(204, 'DELETE', `/events/${event.id}`);
    for (const method of ['GET', 'DELETE']) await host.refused(404, 'not_found', method, `/events/${event.id}`);
    await host.refused(404, 'not_found', 'PATCH', `/events/${event.id}`, { location: 'Oslo' });
  });

  test('need an owner that is there, a name, and both dates; the rest may be left out', async () => {
    const [owner] = await users('owner');
    const { name, dateFromS, dateToS } = details;
    const least = await host.ok(201, 'POST', '/events', { eventOwnerId: `${owner.pk}`, name, dateFromS, dateToS });
    assert.deepEqual([least.location, least.iconsUUIDs, least.eventOwnerId], ['', [], owner.pk]);
    const instant = { eventOwnerId: owner.id, name, dateFromS, dateToS: dateFromS };
    assert.equal((await host.ok(201, 'POST', '/events', instant)).dateToS, dateFromS);
    await host.refused(404, 'not_found', 'POST', '/events', { ...instant, eventOwnerId: 4_000_000_000 });
    await host.refused(404, 'not_found', 'POST', '/events', { ...instant, eventOwnerId: NEVER_GIVEN_OUT });
  });

  test('have a chat with each guest, opened once; both are notified', async (t) => {
    const [owner, guest] = await users('owner', 'guest');
    const event = await host.event(owner);
    const connection = await enterSocketIo(t, server, guest);
    const open = () => host.call('POST', `/events/${event.id}/chats`, { userId: guest.pk });
    const [first, second] = [await open(), await open()];
    assert.deepEqual([first.status, second.status], [201, 200]);
    assert.deepEqual(second.body, first.body);
    assert.equal((await located(first)).id, first.body.chatId);
    const { chatId, eventOwnerId, user, isRequestSended, isAccessGranted } = first.body;
    assert.deepEqual([eventOwnerId, user.id, isRequestSended, isAccessGranted], [owner.pk, guest.pk, false, false]);
    assert.equal((await connection.next('chat_updates')).chatId, chatId);
    await host.refused(403, 'forbidden', 'POST', `/events/${event.id}/chats`, { userId: owner.pk });
  });

  test('have access that is decided for the owner, once it was requested; both are notified', async (t) => {
    const [owner, guest] = await users('owner', 'guest');
    const [event, other] = [await host.event(owner), await host.event(owner)];
    const { chatId, pk } = await host.eventChat(event, guest);
    const decide = (granted) => host.ok(200, 'PUT', `/events/${event.id}/chats/${chatId}/access`, { granted });
    const [one, two] = [await enterSocketIo(t, server, owner), await enterSocketIo(t, server, guest)];
    await host.refused(409, 'conflict', 'PUT', `/events/${event.id}/chats/${pk}/access`, { granted: true });
    await two.ask('request_access', { eventId: event.id, message: 'May I?' });
    const granted = await decide(true);
    assert.deepEqual([granted.isRequestSended, granted.isAccessGranted], [true, true]);
    assert.deepEqual([granted.ownerUnreadCount, granted.guestUnreadCount], [1, 0]);
    assert.deepEqual(await decide(true), granted);
    assert.equal((await decide(false)).isAccessGranted, false);
    for (const connection of [one, two]) {
      const updates = (await connection.take(5)).filter(({ event: name }) => name === 'chat_updates');
      assert.deepEqual(updates.map(({ data }) => data.isAccessGranted), [false, false, true, false]);
    }
    await host.refused(404, 'not_found', 'PUT', `/events/${other.id}/chats/${chatId}/access`, { granted: true });
    const plain = await host.chat(owner, guest);
    await host.refused(404, 'not_found', 'PUT', `/events/${event.id}/chats/${plain.id}/access`, { granted: true });
  });
});
