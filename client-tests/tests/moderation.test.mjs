// @ts-check
// Owns moderation, as clients and the host application see it: roles, mutes that end, bans from open rooms, revoked tokens,
// and the audit log of all that.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { before, test } from 'node:test';
import { connectAction } from '../clients/action.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { TRANSPORT_LOST, ask, connect, connectRefused, nextEvent, refusal } from '../clients/socketio.mjs';
import { dial, refusedWith } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
});

/** A user that is connected by Socket.IO. */
async function someone(t, base) {
  const user = await host.user(base);
  const socket = await connect(t, server.url, { auth: { token: await token({ sub: user.externalUserId }) } });
  return { ...user, socket };
}

/** A chat of these connected users, the first of whom is an owner; its creator is the backend, which is no member. */
async function chatOf(owner, ...others) {
  const chat = await host.chat(owner, ...others);
  const notices = [owner, ...others].map(({ socket }) => nextEvent(socket, 'set-role'));
  await host.ok(200, 'PUT', `/chats/${chat.id}/members/${owner.id}/role`, { role: 'owner' });
  // The backend's answer and the users' notices are on connections of their own: either may come first.
  await Promise.all(notices);
  return chat;
}

/** The role of each member, by REST. */
async function rolesIn(chat) {
  const { members } = await host.get(`/chats/${chat.id}/members`);
  return Object.fromEntries(members.map(({ id, role }) => [id, role]));
}

test('an owner makes a moderator, who moderates those below', async (t) => {
  const [owner, anna, boris] = [await someone(t, 'owner'), await someone(t, 'anna'), await someone(t, 'boris')];
  const chat = await chatOf(owner, anna, boris);
  const of = (user, more) => ({ room: chat.id, user: { id: user.id }, ...more });
  assert.equal((await refusal(anna.socket, 'set-role', of(boris, { role: 'reader' }))).code, 'forbidden');

  const notices = [anna, boris].map(({ socket }) => nextEvent(socket, 'set-role'));
  const set = { room: chat.id, user_id: anna.id, role: 'moderator' };
  assert.deepEqual(await ask(owner.socket, 'set-role', of(anna, { role: 'moderator' })), set);
  for (const event of notices) assert.deepEqual(await event, set);

  await ask(anna.socket, 'set-role', of(boris, { role: 'reader' }));
  const reader = await refusal(boris.socket, 'new-message', { room: chat.id, msg: 'x' });
  assert.deepEqual([reader.code, reader.retry_after_ms], ['forbidden', undefined]);
  assert.equal((await refusal(anna.socket, 'set-role', of(boris, { role: 'moderator' }))).code, 'forbidden');
  assert.equal((await refusal(anna.socket, 'mute-user', of(owner))).code, 'forbidden');
  assert.deepEqual(await rolesIn(chat), { [owner.id]: 'owner', [anna.id]: 'moderator', [boris.id]: 'reader' });

  await host.ok(200, 'PUT', `/chats/${chat.id}/members/${boris.pk}/role`, { role: 'member' });
  await ask(boris.socket, 'new-message', { room: chat.id, msg: 'x' });
});

test('a mute ends at its time', async (t) => {
  const [owner, anna] = [await someone(t, 'owner'), await someone(t, 'anna')];
  const chat = await chatOf(owner, anna);
  const notices = nextEvent(anna.socket, 'mute-user');
  const muted = await ask(owner.socket, 'mute-user', { chat: { id: chat.id }, user: { id: anna.id }, seconds: 2 });
  assert.deepEqual(await notices, muted);
  assert.deepEqual({ ...muted, until: 0 }, { room: chat.id, user_id: anna.id, muted: true, until: 0 });
  const { members } = await host.get(`/chats/${chat.id}/members`);
  const { muted: is, muted_until: until } = members.find(({ id }) => id === anna.id);
  assert.deepEqual([is, until], [true, muted.until]);

  const { code, retry_after_ms: wait } = await refusal(anna.socket, 'new-message', { room: chat.id, msg: 'x' });
  assert.equal(code, 'forbidden');
  assert.ok(wait > 0 && wait <= 2000, `${wait}`);
  const delivered = nextEvent(anna.socket, 'new-message');
  await ask(owner.socket, 'new-message', { room: chat.id, msg: 'a muted member receives' });
  await delivered;
  await sleep(wait);
  await ask(anna.socket, 'new-message', { room: chat.id, msg: 'x' });
});

test('who leaves and comes back is still muted, and writes to nobody by a name', async (t) => {
  const [owner, boris] = [await someone(t, 'owner'), await someone(t, 'boris')];
  const wires = await Promise.all([owner, boris].map(async ({ externalUserId }) => (
    (await connectAction(t, server, 'x', { token: await token({ sub: externalUserId }), acks: true })).wire
  )));
  const { data: { pk } } = await wires[0].ask({ action: 'create', data: { name: uniqueName('room') } });
  const answer = (wire, action, more) => wire.ask({ action, pk, ...more });
  const status = async (wire, action, more) => (await answer(wire, action, more)).response_status;
  for (const wire of wires) assert.equal(await status(wire, 'join_room'), 200);
  const { id } = await host.get(`/chats/${pk}`);
  await ask(owner.socket, 'mute-user', { room: id, user: { id: boris.id }, seconds: 3600 });
  await host.ok(200, 'PUT', `/chats/${pk}/members/${boris.id}/role`, { role: 'reader' });
  await host.ok(200, 'PUT', `/chats/${pk}/members/${boris.id}/role`, { role: 'member' });
  for (const [out, back] of [
    [() => status(wires[1], 'leave_room'), () => status(wires[1], 'join_room')],
    [() => host.ok(200, 'DELETE', `/chats/${pk}/members/${boris.id}`), () => host.ok(200, 'POST', `/chats/${pk}/members`, { users: [boris.id] })],
    [() => host.ok(200, 'PUT', `/chats/${pk}/bans/${boris.id}`, {}), async () => {
      await host.ok(204, 'DELETE', `/chats/${pk}/bans/${boris.id}`);
      assert.equal(await status(wires[1], 'join_room'), 200);
    }],
  ]) {
    await out();
    await back();
    for (const { action, ...more } of [{ action: 'create_message', message: 'x' }, { action: 'patch', data: { name: 'x' } }]) {
      const { response_status: code, errors } = await answer(wires[1], action, more);
      assert.equal(code, 403, action);
      assert.match(JSON.stringify(errors), /retry_after_ms/, action);
    }
  }
  assert.equal(await status(wires[1], 'leave_room'), 200);
  await host.ok(204, 'DELETE', `/chats/${pk}/mutes/${boris.id}`);
  await host.ok(200, 'PUT', `/chats/${pk}/members/${boris.id}/role`, { role: 'reader' });
  assert.equal(await status(wires[1], 'join_room'), 200);
  assert.equal((await rolesIn({ id }))[boris.id], 'reader');
});

test('a user that is banned from an open room does not come back', async (t) => {
  const [owner, boris] = [await someone(t, 'owner'), await someone(t, 'boris')];
  const wires = await Promise.all([owner, boris].map(async ({ externalUserId }) => (
    (await connectAction(t, server, 'x', { token: await token({ sub: externalUserId }), acks: true })).wire
  )));
  const { data: { pk } } = await wires[0].ask({ action: 'create', data: { name: uniqueName('room') } });
  const status = async (wire, action, more) => (await wire.ask({ action, pk, ...more })).response_status;
  for (const wire of wires) assert.equal(await status(wire, 'join_room'), 200);
  assert.equal(await status(wires[1], 'subscribe_instance'), 201);
  assert.equal(await status(wires[1], 'subscribe_to_messages_in_room'), 200);
  const { id } = await host.get(`/chats/${pk}`);

  const notices = nextEvent(boris.socket, 'ban-user');
  const banned = await ask(owner.socket, 'ban-user', { room: id, user: { id: boris.id }, seconds: 3600 });
  assert.deepEqual(await notices, banned);
  assert.equal(banned.banned, true);
  await wires[1].ask({ action: 'list' }); // a list of members from before may be on its way
  const seen = wires[1].frames.length;
  for (const action of ['retrieve', 'join_room', 'leave_room', 'subscribe_instance']) {
    assert.equal(await status(wires[1], action), 403, action);
  }
  const hidden = await refusal(boris.socket, 'list-messages', { chat: { id } });
  assert.equal(hidden.code, 'forbidden');
  assert.ok(hidden.retry_after_ms > 3_500_000, `${hidden.retry_after_ms}`);
  const problem = await host.refused(403, 'forbidden', 'POST', `/chats/${pk}/members`, { users: [boris.id] });
  assert.ok(problem.retry_after_ms > 3_500_000);
  const { bans } = await host.get(`/chats/${pk}/bans`);
  assert.deepEqual(bans, [{ user: boris.id, until: banned.until }]);
  assert.equal(await status(wires[0], 'create_message', { message: 'without Boris' }), 200);
  assert.equal(await status(wires[0], 'patch', { data: { name: uniqueName('new') } }), 200);
  await ask(boris.socket, 'list-chats', {});
  const answers = wires[1].frames.slice(seen).filter((frame) => frame.request_id === undefined);
  assert.deepEqual(answers, [], 'nothing of the room is delivered');

  await host.ok(204, 'DELETE', `/chats/${pk}/bans/${boris.id}`);
  assert.equal(await status(wires[1], 'join_room'), 200);
  assert.equal(await status(wires[1], 'create_message', { message: 'back' }), 200);
});

test('revoked tokens end connections, and open none', async (t) => {
  const user = await host.user('vera');
  const of = (iat) => token({ sub: user.externalUserId, ...(iat && { iat }) });
  const [old, none, later] = [await of(now() - 60), await of(), await of(now())];
  const ended = [];
  const polling = { transports: ['polling'] };
  for (const { jwt, options = {} } of [{ jwt: old }, { jwt: none }, { jwt: old, options: polling }]) {
    const socket = await connect(t, server.url, { auth: { token: jwt }, ...options });
    ended.push(new Promise((resolve) => { socket.once('disconnect', resolve); }));
  }
  const raw = await dial(t, server, '/ws/chats/', { token: old });
  const stays = await connect(t, server.url, { auth: { token: later } });

  const earlier = new Date((now() - 30) * 1000).toISOString();
  const { revoked_before: before } = await host.ok(200, 'POST', `/users/${user.id}/revoke`, { before: earlier });
  assert.equal(before, earlier);
  for (const end of ended) assert.match(await within(end, () => 'the end'), TRANSPORT_LOST);
  assert.deepEqual(await within(raw.closed, () => 'the end'), { code: 1008, reason: 'token expired' });
  for (const jwt of [old, none]) {
    assert.equal((await connectRefused(t, server.url, { auth: { token: jwt } })).message, 'unauthenticated');
    assert.equal(await refusedWith(t, server, '/ws/chats/', { token: jwt }), 401);
  }
  await ask(stays, 'list-chats', {});
  await connect(t, server.url, { auth: { token: later } });
  await host.refused(400, 'invalid', 'POST', `/users/${user.id}/revoke`, { before: '2999-01-01T00:00:00Z' });
  const future = await of(now() + 60);
  assert.equal((await connectRefused(t, server.url, { auth: { token: future } })).message, 'unauthenticated');
  const end = new Promise((resolve) => { stays.once('disconnect', resolve); });
  const { revoked_before: latest } = await host.ok(200, 'POST', `/users/${user.id}/revoke`, {});
  assert.ok(Math.abs(Date.parse(latest) - Date.now()) < 60_000, latest);
  assert.match(await within(end, () => 'the end'), TRANSPORT_LOST);
});

test('the audit log has the acts on others, in their order', async (t) => {
  const [owner, anna, boris] = [await someone(t, 'owner'), await someone(t, 'anna'), await host.user('boris')];
  const chat = await chatOf(owner, anna);
  const of = (user, more) => ({ room: chat.id, user: { id: user.id }, ...more });
  await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [boris.id] });
  await ask(owner.socket, 'set-role', of(anna, { role: 'moderator' }));
  const { until } = await ask(anna.socket, 'mute-user', of(boris, { seconds: 60 }));
  await refusal(anna.socket, 'mute-user', of(owner));
  await ask(owner.socket, 'ban-user', of(boris));
  await host.ok(200, 'PATCH', `/chats/${chat.id}`, { name: 'Dinner' });
  await host.ok(204, 'DELETE', `/chats/${chat.id}`);

  const expected = [
    [null, 'add-member', owner.id, { created: true }],
    [null, 'add-member', anna.id, { created: true }],
    [null, 'set-role', owner.id, { role: 'owner' }],
    [null, 'add-member', boris.id, {}],
    [owner.id, 'set-role', anna.id, { role: 'moderator' }],
    [anna.id, 'mute-user', boris.id, { applies: true, until }],
    [owner.id, 'ban-user', boris.id, { applies: true }],
    [null, 'change-chat', null, { name: 'Dinner' }],
    [null, 'delete-chat', null, { name: 'Dinner' }],
  ];
  const pages = await host.all(`/audit?chat=${chat.id}`, 'records', 2);
  const records = pages.flat();
  assert.deepEqual(records.map(({ actor, act, user, detail }) => [actor, act, user, detail]), expected);
  for (const record of records) assert.equal(record.chat, chat.id);
  const { records: about } = await host.get(`/audit?user=${boris.pk}`);
  assert.deepEqual(about.map(({ act }) => act), ['create-user', 'add-member', 'mute-user', 'ban-user']);
});
