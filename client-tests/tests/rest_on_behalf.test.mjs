// @ts-check
// Owns what the backend does over REST for users beside sending: read positions, applications for access, catching up,
// ending connections, and events of owners that are not known yet.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectUser, sendMessage, uniqueName } from '../clients/fixtures.mjs';
import { connectWebSocket, entered } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--store', (await storeFile(scope)).store]);
  host = new Backend(server);
});

const picnic = { name: 'Picnic', dateFromS: 2_514_131_321, dateToS: 1_957_817_098 };

describe('the owner of an event', () => {
  test('is named by the external id, and created with the event', async () => {
    for (const spell of [(id) => ({ externalUserId: id }), (id) => `external:${id}`]) {
      const id = uniqueName('owner');
      const event = await host.ok(201, 'POST', '/events', { eventOwnerId: spell(id), ...picnic });
      const owner = await host.get(`/users/external:${id}`);
      assert.equal(event.eventOwnerId, owner.pk);
      const again = await host.ok(201, 'POST', '/events', { eventOwnerId: spell(id), ...picnic });
      assert.equal(again.eventOwnerId, owner.pk);
    }
    await host.refused(404, 'not_found', 'POST', '/events', { eventOwnerId: 4_000_000_000, ...picnic });
  });
});

describe('the backend', () => {
  test('moves a read position forward, and both sides are notified', async (t) => {
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const event = await host.event(owner);
    const { chatId } = await host.eventChat(event, guest);
    for (const text of ['one', 'two', 'three']) await host.sendMessage({ chatId }, guest, text);
    const me = await entered(connectWebSocket(t, server, owner));
    const read = (userId, seq) => host.ok(200, 'POST', `/chats/${chatId}/read`, { userId, seq });
    assert.deepEqual(await read(owner.pk, 2), { moved: true });
    const unread = ({ event: name, data }) => name === 'chat_unread' && data.chatId === chatId;
    assert.equal((await me.first(unread, 'the count')).data.myUnreadCount, 1);
    assert.deepEqual(await read(`external:${owner.externalUserId}`, 1), { moved: false });
    assert.deepEqual(await read({ externalUserId: owner.externalUserId }, 99), { moved: true });
    const stranger = await host.user('stranger');
    await host.refused(404, 'not_found', 'POST', `/chats/${chatId}/read`, { userId: stranger.id, seq: 1 });
    await host.refused(404, 'not_found', 'POST', '/chats/external:none/read', { userId: owner.id, seq: 1 });
    await host.refused(400, 'invalid', 'POST', `/chats/${chatId}/read`, { userId: owner.id, seq: -1 });
  });

  test('applies for access for a guest, with a message that is stored once', async (t) => {
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const event = await host.event(owner);
    const me = await entered(connectWebSocket(t, server, owner));
    const application = { userId: guest.id, message: 'May I come?', client_id: 'one' };
    for (let time = 0; time < 2; time++) {
      const chat = await host.ok(200, 'POST', `/events/${event.id}/applications`, application);
      assert.deepEqual([chat.isRequestSended, chat.isAccessGranted, chat.ownerUnreadCount], [true, false, 1]);
    }
    const written = ({ event: name, data }) => name === 'chat_updates' && data.messages.length > 0;
    const { data } = await me.first(written, 'the application');
    assert.deepEqual([data.isRequestSended, data.messages[0].text], [true, 'May I come?']);
    await host.ok(200, 'POST', `/events/${event.id}/applications`, { userId: guest.id });
    await host.refused(403, 'forbidden', 'POST', `/events/${event.id}/applications`, { userId: owner.id });
    await host.refused(404, 'not_found', 'POST', '/events/4000000000/applications', { userId: guest.id });
  });

  test('catches up with many chats, by every name', async (t) => {
    const anna = await connectUser(t, server, 'anna');
    const externalChatId = uniqueName('team');
    const chat = await host.ok(201, 'POST', '/chats', { users: [anna.id], externalChatId });
    for (const text of ['one', 'two', 'three']) await sendMessage(anna, chat, text);
    const sync = async (chats) => (await host.ok(200, 'POST', '/sync', { chats })).chats;
    for (const name of [chat.id, `${chat.pk}`, `external:${externalChatId}`]) {
      const found = await sync({ [name]: 1, 'external:none': 0 });
      assert.deepEqual(found[name].messages.map(({ msg }) => msg), ['two', 'three']);
      assert.deepEqual([found[name].head, found[name].has_more], [3, false]);
      assert.equal(found['external:none'].error.code, 'not_found');
    }
    const ahead = await sync({ [chat.id]: { seq: 9 } });
    assert.deepEqual([ahead[chat.id].reset, ahead[chat.id].messages.length], [true, 3]);
    await host.refused(400, 'invalid', 'POST', '/sync', { chats: { [chat.id]: 'x' } });
    await host.refused(400, 'invalid', 'POST', '/sync', {});
  });

  test('ends the connections of a user, which may connect again', async (t) => {
    const name = uniqueName('anna');
    const raw = await dial(t, server, PATH.type, { token: name });
    const socket = await connect(t, server.url, { auth: { token: name } });
    const other = await connectUser(t, server, 'boris');
    const ended = new Promise((resolve) => { socket.once('disconnect', resolve); });
    await host.ok(204, 'DELETE', `/users/external:${name}/connections`);
    assert.deepEqual(await raw.end(), { code: 1008, reason: 'disconnected' });
    await within(ended, () => 'the end of the Socket.IO connection');
    await ask(other.socket, 'list-chats', {});
    const again = await connect(t, server.url, { auth: { token: name } });
    await ask(again, 'list-chats', {});
    await host.refused(404, 'not_found', 'DELETE', '/users/external:nobody-at-all/connections');
    const { records } = await host.get('/audit?limit=1000');
    assert.ok(records.some(({ act }) => act === 'disconnect'));
  });
});
