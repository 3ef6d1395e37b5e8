// @ts-check
// Owns the promise that the npm package dcrf-client 0.3.0, unmodified, is served as if by its own server.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import dcrf from 'dcrf-client';
import { WebSocket } from 'ws';
import {
  connectAction, enter, isMessage, isReply, isRoom, listWindowEnds, listed, memberEvents, newRoom, sendAndFlush,
} from '../clients/action.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { PATH } from '../clients/websocket.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, startServer, storeFile } from '../harness/server.mjs';
import { Changes, within } from '../harness/wait.mjs';

const NEVER_GIVEN_OUT = 4_000_000_000;
const STREAM = 'room';

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

const QUICK = { minReconnectionDelay: 50, maxReconnectionDelay: 200, minUptime: 0 };

/** A client, which connects itself; it ends with its owner. */
function dcrfClient(owner, { url }, token) {
  const address = `${url.replace('http', 'ws')}${PATH.action}?token=${encodeURIComponent(token)}`;
  const client = dcrf.default.connect(address, { websocket: { WebSocket, ...QUICK } });
  owner.after(() => client.close());
  return client;
}

/** The rejection of a promise of this client: the whole reply. */
async function rejectionOf(promise) {
  let value;
  try { value = await promise; } catch (reply) { return reply; }
  throw new Error(`was not rejected: ${JSON.stringify(value)}`);
}

/** The promise's value; the client itself would wait for an answer for ever. */
const settled = (promise) => within(promise, () => 'an answer to dcrf-client');
const refused = (promise) => settled(rejectionOf(promise));

/** The arguments of a subscription's callbacks, as a growing list. */
function callbacks() {
  const calls = [];
  const changes = new Changes();
  const callback = (data, action) => {
    calls.push({ data, action });
    changes.happened();
  };
  const until = (count) => changes.until(() => calls.length >= count, () => `call ${count} (so far ${calls.length})`);
  return { calls, callback, until };
}

test('list, create, retrieve, update, patch and delete resolve with the data', async (t) => {
  const client = dcrfClient(t, server, uniqueName('alice'));
  assert.ok(Array.isArray(await settled(client.list(STREAM))));
  const made = isRoom(await settled(client.create(STREAM, { name: 'Tea' })));
  assert.equal(made.name, 'Tea');
  const { pk } = made;
  assert.deepEqual(await settled(client.retrieve(STREAM, pk)), made);
  assert.deepEqual((await settled(client.list(STREAM))).find((room) => room.pk === pk), made);

  await settled(client.request(STREAM, { action: 'join_room', pk }));
  const updated = await settled(client.update(STREAM, pk, { name: 'Coffee', team: 2 }));
  assert.deepEqual([updated.name, updated.team], ['Coffee', 2]);
  assert.equal((await settled(client.patch(STREAM, pk, { name: 'Water' }))).name, 'Water');
  const { name, team, member } = isRoom(await settled(client.retrieve(STREAM, /** @type {any} */ (`${pk}`))));
  assert.deepEqual([name, team, member.length], ['Water', 2, 1]);
  assert.equal(await settled(client.delete(STREAM, pk)), null);
  assert.ok(!(await settled(client.list(STREAM))).some((room) => room.pk === pk));
});

test('what fails rejects with the whole reply', async (t) => {
  const client = dcrfClient(t, server, uniqueName('alice'));
  const missing = isReply(await refused(client.retrieve(STREAM, NEVER_GIVEN_OUT)), 'retrieve', 404);
  assert.deepEqual([missing.errors, missing.data], [['Not found'], null]);
  const empty = isReply(await refused(client.create(STREAM, {})), 'create', 400);
  assert.deepEqual(empty.errors, [{ name: ['This field is required.'] }]);
  const unknown = isReply(await refused(client.request(STREAM, { action: 'foo' })), 'foo', 405);
  assert.deepEqual(unknown.errors, ['Method "foo" not allowed.']);
  isReply(await refused(client.request(STREAM, { action: 'create_message', message: 'early' })), 'create_message', 400);
});

test('requests for joining, subscribing, sending and leaving resolve', async (t) => {
  const name = uniqueName('alice');
  const client = dcrfClient(t, server, name);
  const witness = await connectAction(t, server, 'witness');
  const pk = await newRoom(witness);
  await enter(witness, pk);
  await listWindowEnds();
  const request = (action, fields) => settled(client.request(STREAM, { action, ...fields }));
  assert.equal(await request('join_room', { pk }), null);
  assert.equal(await request('subscribe_to_messages_in_room', { pk }), null);
  const message = isMessage(await request('create_message', { message: 'hello' }));
  assert.deepEqual([message.text, message.room, message.user.username], ['hello', pk, name]);
  await listed(witness, witness, { name });
  assert.equal(await request('leave_room', { pk }), null);
  await listed(witness, witness);
  assert.deepEqual(memberEvents(witness), [[witness.name, name], [witness.name]]);
});

test('a subscription calls back for each change of its room, and no more once it is cancelled', async (t) => {
  const client = dcrfClient(t, server, uniqueName('alice'));
  const other = await connectAction(t, server, 'other');
  const pk = await newRoom(other);
  await sendAndFlush(other, 'join_room', { pk });
  const [kept, cancelled] = [callbacks(), callbacks()];
  assert.equal(await settled(client.subscribe(STREAM, pk, kept.callback)), null);
  const subscription = client.subscribe(STREAM, pk, cancelled.callback);
  assert.equal(await settled(subscription), null);

  const change = (data) => other.wire.ask({ action: 'patch', pk, data });
  await change({ name: 'Tea' });
  await Promise.all([kept.until(1), cancelled.until(1)]);
  await subscription.cancel();
  await change({ team: 7 });
  await kept.until(2);
  await other.wire.ask({ action: 'delete', pk });
  await kept.until(3);
  assert.deepEqual(kept.calls.map(({ action }) => action), ['update', 'update', 'delete']);
  assert.equal(isRoom(kept.calls[0].data).name, 'Tea');
  assert.equal(isRoom(kept.calls[1].data).team, 7);
  assert.equal(kept.calls[2].data.pk, pk);
  assert.deepEqual(cancelled.calls.map(({ action }) => action), ['update']);
  const unknown = client.subscribe(STREAM, NEVER_GIVEN_OUT, () => {});
  assert.equal((await refused(unknown)).response_status, 404);
});

test('several clients and streams do not get in each other\'s way', async (t) => {
  const [alice, bob] = ['alice', 'bob'].map((base) => dcrfClient(t, server, uniqueName(base)));
  const { pk } = await settled(alice.create('one', { name: 'Tea' }));
  const [ones, twos] = [callbacks(), callbacks()];
  await settled(alice.subscribe('one', pk, ones.callback));
  await settled(bob.subscribe('two', pk, twos.callback));
  const names = await Promise.all(['one', 'two', 'three'].map((stream) => settled(bob.retrieve(stream, pk))));
  assert.deepEqual(names.map(({ name }) => name), ['Tea', 'Tea', 'Tea']);
  await settled(alice.request('three', { action: 'join_room', pk }));
  await settled(alice.patch('three', pk, { name: 'Coffee' }));
  await Promise.all([ones.until(1), twos.until(1)]);
  assert.deepEqual([ones.calls.length, twos.calls.length], [1, 1]);
});

test('a client reconnects after a restart, and its subscriptions continue', async (t) => {
  const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(t)).store];
  const first = await startServer(t, args);
  const client = dcrfClient(t, first, uniqueName('alice'));
  const { pk } = await settled(client.create(STREAM, { name: 'Tea' }));
  await settled(client.request(STREAM, { action: 'join_room', pk }));
  const { calls, callback, until } = callbacks();
  await settled(client.subscribe(STREAM, pk, callback));
  await first.stop();
  await startServer(t, args);
  assert.equal((await settled(client.retrieve(STREAM, pk))).name, 'Tea');
  await settled(client.patch(STREAM, pk, { name: 'Coffee' }));
  await until(1);
  assert.deepEqual(calls.map(({ data }) => data.name), ['Coffee']);
});
