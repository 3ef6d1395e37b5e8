// @ts-check
// Owns the audit log of what the host application does to users, and of what users do to each other outside of moderation.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
});

/** The records about a user, the oldest first. */
async function recordsOf(user) {
  const { records } = await host.get(`/audit?user=${user.id}`);
  return records.map(({ actor, act, chat, detail }) => ({ actor, act, chat, ...detail }));
}

/** Repeats a request, which changes nothing any more: the first answer. */
async function twice(status, method, path, body, headers) {
  const first = await host.ok(status, method, path, body, headers);
  await host.ok(status, method, path, body, headers);
  return first;
}

const byHost = (act, more) => ({ actor: null, act, chat: null, ...more });

test('users and their tokens', async () => {
  const externalUserId = uniqueName('anna');
  const anna = await twice(200, 'POST', '/users', { externalUserId, name: 'Anna' });
  await twice(200, 'PATCH', `/users/${anna.pk}`, { name: 'Anna B.', imageUUID: 'image-1' });
  await twice(200, 'POST', '/users', { externalUserId, github: 'anna' });
  const { expires_at: first } = await host.ok(201, 'POST', '/tokens', { userId: anna.id });
  const { expires_at: second } = await host.ok(201, 'POST', '/tokens', { externalUserId, ttl_s: 60 });
  assert.deepEqual(await recordsOf(anna), [
    byHost('create-user', { fields: ['name'] }),
    byHost('change-user', { fields: ['name', 'imageUUID'] }),
    byHost('change-user', { fields: ['github'] }),
    byHost('create-token', { externalUserId, expires_at: first }),
    byHost('create-token', { externalUserId, expires_at: second }),
  ]);
  const unknown = uniqueName('nobody');
  await host.ok(201, 'POST', '/tokens', { externalUserId: unknown });
  const all = (await host.all('/audit', 'records', 100)).flat();
  assert.equal(all.filter(({ user, detail }) => user === null && detail.externalUserId === unknown).length, 1);
  await host.refused(404, 'not_found', 'POST', '/tokens', { userId: 9_999_999 });
});

test('new chats with members', async (t) => {
  const [anna, boris] = [await host.user('anna'), await host.user('boris')];
  const body = { users: [anna.id, boris.id] };
  const chat = await twice(201, 'POST', '/chats', body, { 'idempotency-key': uniqueName('key') });
  const placed = { act: 'add-member', created: true };
  const socket = await connect(t, server.url, { auth: { token: await token({ sub: anna.externalUserId }) } });
  const { chat: { id } } = await ask(socket, 'create-chat', { chat: {}, users: [boris.id] });
  assert.deepEqual((await recordsOf(anna)).slice(1), [{ ...placed, actor: null, chat: chat.id }]);
  assert.deepEqual((await recordsOf(boris)).slice(1), [
    { ...placed, actor: null, chat: chat.id },
    { ...placed, actor: anna.id, chat: id },
  ]);
});

test('events and their chats', async () => {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const details = { eventOwnerId: owner.pk, name: 'Picnic', dateFromS: 1_957_817_098, dateToS: 2_514_131_321 };
  const event = await twice(201, 'POST', '/events', details, { 'idempotency-key': uniqueName('key') });
  await twice(200, 'PATCH', `/events/${event.id}`, { name: 'Dinner', location: 'ONLINE' });
  const { chatId } = await host.eventChat(event, guest);
  await host.eventChat(event, guest);
  assert.deepEqual((await recordsOf(owner)).slice(1), [
    byHost('create-event', { event: event.id }),
    byHost('change-event', { event: event.id, fields: ['name', 'location'] }),
  ]);
  assert.deepEqual((await recordsOf(guest)).slice(1), [
    { ...byHost('open-event-chat', { event: event.id }), chat: chatId },
  ]);
});
