// @ts-check
// Owns the promises about finding users: by the id in the host application wherever an id is taken, `get-user`, and
// `whoami` in every dialect.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction } from '../clients/action.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { connectWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, refusal } from '../clients/socketio.mjs';
import { connectType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';

const scope = useScope();
let open;
let strict;
let host;
before(async () => {
  open = await startServer(scope);
  strict = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(strict, await token({ sub: 'backend', role: 'service' }));
});

const external = (externalUserId) => ({ externalUserId });

/** A user with a token, and a connection. */
async function someone(t, base, claims = {}) {
  const sub = uniqueName(base);
  const own = await token({ sub, ...claims });
  const socket = await connect(t, strict.url, { auth: { token: own } });
  return { socket, token: own, ...(await ask(socket, 'whoami', {})).user };
}

describe('with a user\'s token', () => {
  test('a browser writes to somebody whose external id it knows', async (t) => {
    const [anna, boris] = [await someone(t, 'anna'), await someone(t, 'boris')];
    const { user } = await ask(anna.socket, 'get-user', { user: external(boris.externalUserId) });
    assert.deepEqual([user.id, user.pk, user.externalUserId], [boris.id, boris.pk, boris.externalUserId]);
    const { chat } = await ask(anna.socket, 'create-chat', { users: [external(boris.externalUserId)] });
    assert.deepEqual(chat.users, [boris.id, anna.id]);
    const sent = await ask(anna.socket, 'new-message', { room: chat.id, msg: 'hello', user: external(anna.externalUserId) });
    assert.equal(sent.user_id, anna.id);
    const foreign = { room: chat.id, msg: 'hello', user: external(boris.externalUserId) };
    assert.equal((await refusal(anna.socket, 'new-message', foreign)).code, 'forbidden');
  });

  test('an unknown user is not found, and nothing is created', async (t) => {
    const anna = await someone(t, 'anna');
    const unknown = external(uniqueName('eve'));
    for (const [event, body] of [['create-chat', { users: [anna.id, unknown] }], ['get-user', { user: unknown }]]) {
      const error = await refusal(anna.socket, event, body);
      assert.equal(error.code, 'not_found');
      assert.ok(error.message.includes(unknown.externalUserId), error.message);
    }
    assert.deepEqual((await ask(anna.socket, 'list-chats', {})).chats, []);
    await host.refused(404, 'not_found', 'GET', `/users/external:${unknown.externalUserId}`);
  });

  test('a user is seen by others as members of a chat see it', async (t) => {
    const profile = { name: 'Boris B.', avatar: '/b.jpg', github: 'bob', imageUUID: 'image' };
    const [anna, boris] = [await someone(t, 'anna'), await someone(t, 'boris', profile)];
    const expected = {
      id: boris.id, pk: boris.pk, externalUserId: boris.externalUserId, username: boris.username, ...profile,
    };
    for (const name of [{ id: boris.id }, { pk: boris.pk }, { pk: `${boris.pk}` }, external(boris.externalUserId)]) {
      assert.deepEqual(await ask(anna.socket, 'get-user', { user: name }), { user: expected });
    }
    for (const name of [{ id: NEVER_GIVEN_OUT }, { id: 'boris' }, { pk: 2 ** 40 }]) {
      assert.equal((await refusal(anna.socket, 'get-user', { user: name })).code, 'not_found');
    }
    assert.equal((await refusal(anna.socket, 'get-user', {})).code, 'invalid');
    // The own one, as ever.
    const own = await ask(anna.socket, 'create-user', { user: { pk: anna.pk } });
    assert.deepEqual(own, await ask(anna.socket, 'whoami', {}));
    assert.equal((await refusal(anna.socket, 'create-user', { user: { pk: boris.pk } })).code, 'forbidden');
  });

  test('roles, mutes and bans find their user', async (t) => {
    const [anna, boris] = [await someone(t, 'anna'), await someone(t, 'boris')];
    const { chat } = await ask(anna.socket, 'create-chat', { users: [external(boris.externalUserId)] });
    const of = (user, more) => ({ room: chat.id, user, ...more });
    const name = external(boris.externalUserId);
    assert.equal((await ask(anna.socket, 'set-role', of(name, { role: 'reader' }))).user_id, boris.id);
    assert.equal((await ask(anna.socket, 'mute-user', of({ pk: boris.pk }))).user_id, boris.id);
    const unknown = of(external(uniqueName('eve')));
    for (const event of ['mute-user', 'ban-user']) {
      assert.equal((await refusal(anna.socket, event, unknown)).code, 'not_found');
    }
    assert.equal((await ask(anna.socket, 'ban-user', of(name))).user_id, boris.id);
  });
});

test('a service and a client in open mode create the members that are unknown, each once', async (t) => {
  const service = await connect(t, strict.url, { auth: { token: await token({ sub: 'backend', role: 'service' }) } });
  for (const socket of [service, await connect(t, open.url)]) {
    const [anna, boris] = [uniqueName('anna'), uniqueName('boris')];
    const { user } = await ask(socket, 'create-user', { user: external(anna) });
    const users = [external(anna), external(boris), { pk: user.pk }, user, external(boris), user.id];
    const { chat } = await ask(socket, 'create-chat', { users });
    const known = await ask(socket, 'get-user', { user: external(boris) });
    assert.deepEqual(chat.users, [user.id, known.user.id]);
    assert.deepEqual([known.user.username, known.user.name], [boris, boris]);
    const { chats } = await ask(socket, 'list-chats', { user: external(boris) });
    assert.deepEqual(chats.map(({ id }) => id), [chat.id]);
    const unknown = { user: external(uniqueName('eve')) };
    assert.equal((await refusal(socket, 'list-chats', unknown)).code, 'not_found');
    // A refused request creates nobody.
    const refused = external(uniqueName('eve'));
    assert.equal((await refusal(socket, 'create-chat', { users: [refused, NEVER_GIVEN_OUT] })).code, 'not_found');
    assert.equal((await refusal(socket, 'get-user', { user: refused })).code, 'not_found');
  }
});

test('REST takes external ids in bodies and in addresses', async () => {
  const anna = await host.user('anna');
  const [boris, carla] = [uniqueName('boris'), uniqueName('carla/é')];
  const chat = await host.ok(201, 'POST', '/chats', { users: [external(anna.externalUserId), external(boris)] });
  assert.equal(chat.users.length, 2);
  const added = await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [`external:${carla}`, { pk: anna.pk }] });
  assert.equal(added.users.length, 3);
  const found = await host.get(`/users/external:${encodeURIComponent(carla)}`);
  assert.deepEqual([found.externalUserId, found.id], [carla, added.users[2]]);
  const sent = await host.ok(201, 'POST', `/chats/${chat.id}/messages`, { userId: external(boris), text: 'hello' });
  assert.equal(sent.user_id, chat.users[1]);
  await host.ok(200, 'PUT', `/chats/${chat.id}/members/external:${boris}/role`, { role: 'reader' });
  const eve = external(uniqueName('eve'));
  await host.refused(404, 'not_found', 'POST', `/chats/${chat.id}/messages`, { userId: eve, text: 'hello' });
  await host.refused(404, 'not_found', 'GET', `/users/external:${eve.externalUserId}`);
  await host.refused(400, 'invalid', 'POST', '/chats', { users: [{ name: 'anna' }] });
});

describe('whoami', () => {
  test('of event-name is the user as create-user has it', async (t) => {
    const name = uniqueName('anna');
    const socket = await connect(t, open.url, { auth: { token: name } });
    const own = await ask(socket, 'create-user', { user: external(name) });
    assert.deepEqual(await ask(socket, 'whoami', {}), own);
    await ask(socket, 'create-user', { user: external(uniqueName('boris')) });
    assert.deepEqual(await ask(socket, 'whoami'), own);
    const nobody = await connect(t, open.url);
    await ask(nobody, 'get-user', { user: external(name) });
    const waiting = ask(nobody, 'whoami', {});
    const { user } = await ask(nobody, 'create-user', { user: external(uniqueName('carla')) });
    assert.deepEqual(await waiting, { user });
  });

  test('of action is a reply with the user', async (t) => {
    const { wire, name } = await connectAction(t, open, 'anna');
    const { data, ...reply } = await wire.ask({ action: 'whoami' });
    assert.deepEqual([reply.response_status, reply.errors, reply.action], [200, [], 'whoami']);
    const { id, ...user } = data;
    assert.ok(Number.isSafeInteger(id));
    const avatar = '/media/default/default.jpg';
    assert.deepEqual(user, { username: name, avatar, github: '', externalUserId: name });
  });

  test('of type is me', async (t) => {
    const { wire, name } = await connectType(t, open, 'anna');
    for (const more of [{}, { data: {} }, { data: null }]) {
      const { type, data } = await wire.ask({ type: 'whoAmI', ...more });
      assert.deepEqual([type, data], ['me', { id: data.id, username: name, externalUserId: name }]);
      assert.ok(Number.isSafeInteger(data.id));
    }
  });

  test('of the marketplace is me, on either transport', async (t) => {
    const externalUserId = uniqueName('olga');
    const { user } = await ask(await connect(t, open.url), 'create-user', { user: external(externalUserId) });
    const expected = { id: user.pk, name: externalUserId, imageUUID: null, externalUserId };
    const overSocketIo = await connect(t, `${open.url}/events`, { auth: { token: externalUserId } });
    assert.deepEqual(await ask(overSocketIo, 'whoami', {}), expected);
    const raw = await connectWebSocket(t, open, user);
    raw.send('whoami', {});
    const frame = await raw.first(({ event }) => event === 'me', 'me');
    assert.deepEqual(frame.data, expected);
  });
});
