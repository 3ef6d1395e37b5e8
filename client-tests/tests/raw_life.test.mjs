// @ts-check
// Owns the life of a raw connection: pings, each way to end, and the state after a restart.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WebSocket } from 'ws';
import * as action from '../clients/action.mjs';
import * as type from '../clients/type-data.mjs';
import { PATH, Wire, dial } from '../clients/websocket.mjs';
import { unpair } from '../data/normalize.mjs';
import { scrape } from '../harness/metrics.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { SECRET, SHORT_LIFE_S, now, token } from '../harness/tokens.mjs';
import { within } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;
const PING_MS = 40_000;
const DEAD_MS = 90_000;

/** A connection that notes the server's pings, and answers them or not. */
async function pinged(t, { url }, autoPong) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}${PATH.type}?token=alice`, { autoPong });
  t.after(() => socket.terminate());
  const ping = new Promise((resolve) => { socket.once('ping', resolve); });
  const wire = new Wire(socket);
  await within(new Promise((resolve) => { socket.once('open', resolve); }), () => 'a connection');
  return { wire, ping, socket };
}

test('a client\'s own ping is answered', async (t) => {
  const { socket } = await pinged(t, await startServer(t), true);
  const pong = new Promise((resolve) => { socket.once('pong', resolve); });
  socket.ping('are you there?');
  assert.equal((await within(pong, () => 'a pong')).toString(), 'are you there?');
});

test('silent connections are pinged; who answers stays, who does not is let go', async (t) => {
  const server = await startServer(t);
  const dead = await pinged(t, server, false);
  const alive = await pinged(t, server, true);
  const busy = await type.connectType(t, server, 'busy');
  await Promise.all([dead, alive].map(({ ping }) => within(ping, () => 'a ping', PING_MS)));
  await dead.wire.end(DEAD_MS);
  for (const { wire } of [alive, busy]) {
    assert.ok(wire.isOpen);
    assert.equal((await wire.ask({ type: 'getChats' })).type, 'chatsList');
  }
});

test('answers wait for a client that requests much and reads late: all are received, in order, once it reads', async (t) => {
  const count = 60;
  const server = await startServer(t, ['--max-outbox-bytes', '300000']);
  const alice = await type.connectType(t, server, 'alice');
  const chat = await type.chatOf(alice);
  for (let index = 0; index < 25; index++) await type.sendMessage(alice, chat, `${index}`.padEnd(16_000, 'x'));
  const late = await type.connectType(t, server, 'late');
  late.wire.pause();
  const ask = { type: 'getChatMessages', data: { chatId: chat } };
  for (let index = 0; index < count; index++) late.wire.send({ ...ask, request_id: index });
  for (let others = 0; others < 20; others++) await type.messages(alice, chat); // the server is at it meanwhile
  late.wire.resume();
  for (let index = 0; index < count; index++) {
    const { request_id, data } = await late.wire.take();
    assert.deepEqual([request_id, data.length], [index, 25]);
  }
});

test('messages wait for a client that is merely busy for a while: it receives all of them once it reads', async (t) => {
  const server = await startServer(t, ['--max-outbox-bytes', '64000000']);
  const alice = await type.connectType(t, server, 'alice');
  const busy = await type.connectType(t, server, 'busy', { push: true });
  const chat = await type.chatOf(alice, busy);
  let sent = 0;
  for (const count of [10, 100, 600, 1000]) {
    busy.wire.pause();
    for (let index = 0; index < count; index++) {
      await type.sendMessage(alice, chat, `${sent++}`.padEnd(16_000, 'x'));
    }
    busy.wire.resume();
    await busy.wire.untilMany((frame) => frame.type === 'messageCreated', sent, 'messages');
  }
  const seqs = type.pushed(busy, 'messageCreated').map(({ id }) => unpair(id).seq);
  assert.deepEqual(seqs, Array.from({ length: sent }, (_, index) => index + 1));
});

describe('a connection ends', () => {
  test('with the close code of its client', async (t) => {
    const server = await startServer(t);
    for (const { path, code } of [{ path: PATH.type, code: 1000 }, { path: PATH.action, code: 1001 }, { path: '/ws', code: 4321 }]) {
      const wire = await dial(t, server, path, { token: 'alice' });
      await wire.ask(path === PATH.action ? { action: 'list' } : { type: 'getChats' });
      assert.equal((await wire.close(code)).code, code, path);
    }
  });

  test('with 1008 when its token does', async (t) => {
    const strict = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
    await Promise.all([PATH.type, PATH.action, '/ws'].map(async (path) => {
      const wire = await dial(t, strict, path, { token: await token({ sub: 'alice', exp: now() + SHORT_LIFE_S }) });
      await wire.ask({});
      assert.equal((await wire.end()).code, 1008);
    }));
  });

  test('with 1013 and "lagging" when it does not keep up, and the others lose nothing', async (t) => {
    const count = 1000;
    const there = await startServer(t, ['--max-outbox-bytes', '1000000']);
    const alice = await type.connectType(t, there, 'alice');
    const bob = await type.connectType(t, there, 'bob', { push: true });
    const carol = await action.connectAction(t, there, 'carol');
    const slow = await type.connectType(t, there, 'slow', { push: true });
    const chat = await type.chatOf(alice, bob, slow);
    await action.enter(carol, chat);
    slow.wire.pause();
    const upTo = (last) => Array.from({ length: last }, (_, index) => index + 1);
    const isMessage = (frame) => frame.type === 'messageCreated' || frame.action === 'create';
    for (let next = 0; next < count; next += 20) {
      await Promise.all(upTo(20).map((index) => type.sendMessage(alice, chat, `${next + index} `.padEnd(16_000, 'x'))));
      for (const { wire } of [bob, carol]) await wire.untilMany(isMessage, next + 20, 'messages', PATIENCE_MS);
      // Reads again as soon as it is closed: the server waits for that for a few seconds only.
      const closed = (await scrape(there)).of('polychat_slow_clients_cut_total');
      if (closed > 0) slow.wire.resume();
    }
    slow.wire.resume();
    assert.deepEqual(await slow.wire.end(PATIENCE_MS), { code: 1013, reason: 'lagging' });
    const seqs = (who) => type.pushed(who, 'messageCreated').map(({ id }) => unpair(id).seq);
    const received = seqs(slow);
    assert.ok(received.length < count, 'the slow connection received everything');
    assert.deepEqual(received, upTo(received.length), 'nothing is missing before the end');
    assert.deepEqual(seqs(bob), upTo(count));
    assert.deepEqual(action.received(carol).map(({ id }) => unpair(id).seq), upTo(count));
  });

  test('with 1012 when the server stops; what it has stored by then it has acknowledged', async (t) => {
    const { store } = await storeFile(t);
    const there = await startServer(t, ['--store', store]);
    const alice = await type.connectType(t, there, 'alice');
    const watcher = await action.connectAction(t, there, 'watcher');
    const chat = await type.chatOf(alice);
    alice.wire.takeRest();
    for (let index = 0; index < 200; index++) alice.wire.send({ type: 'newMessage', data: { chat, text: `${index}` } });
    await alice.wire.take();
    const stopped = there.stop();
    for (const { wire } of [alice, watcher]) assert.equal((await wire.end()).code, 1012);
    assert.deepEqual(await stopped, { code: 0, signal: null });
    const created = alice.wire.frames.filter((frame) => frame.type === 'messageCreated');
    const acknowledged = created.map(({ data }) => data.id);

    const again = await startServer(t, ['--store', store]);
    const reader = await type.connectType(t, again, 'alice', { token: alice.token });
    assert.deepEqual((await type.messages(reader, chat)).map(({ id }) => id), acknowledged);
  });
});

test('a restart keeps rooms, their owners, teams and members, what was said, and who has read what', async (t) => {
  const { store } = await storeFile(t);
  const views = [];
  for (let starts = 0; starts < 2; starts++) {
    const server = await startServer(t, ['--store', store]);
    const alice = await action.connectAction(t, server, 'alice', { token: 'alice', acks: true });
    const bob = await type.connectType(t, server, 'bob', { token: 'bob' });
    if (starts === 0) {
      const { pk } = await action.ask(alice, 'create', { data: { name: 'Tea', team: 7 } }, 201);
      await action.ask(alice, 'join_room', { pk });
      const { id } = await action.ask(alice, 'create_message', { message: 'one', client_id: 'c-1' });
      await action.ask(alice, 'create_message', { message: 'two' });
      await type.join(bob, pk, { last_read_message: id });
    }
    const [{ pk }] = await action.ask(alice, 'list', {});
    await action.ask(alice, 'create_message', { pk, message: 'one again', client_id: 'c-1' });
    views.push([await action.room(alice, pk), await type.chats(bob), await type.messages(bob, pk)]);
    await server.kill();
  }
  assert.deepEqual(views[1], views[0]);
  const [{ name, team, member }, [{ participants }], messages] = views[1];
  assert.deepEqual([name, team, member.length, participants.length], ['Tea', 7, 2, 2]);
  assert.deepEqual(messages.map(({ text, is_read }) => [text, is_read]), [['one', true], ['two', false]]);
});
