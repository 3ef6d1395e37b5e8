// @ts-check
// Owns the promise of a drain: after the signal nobody new gets in, clients are served until their connection is closed,
// the connections are closed one after the other, and whatever was acknowledged is stored.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { chatOf, connectAgain, connectUser, fullHistory, sendMessage } from '../clients/fixtures.mjs';
import { TRANSPORT_LOST, ask, connectRefused } from '../clients/socketio.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { runToEnd, startServer, storeFile } from '../harness/server.mjs';
import { Changes, eventually } from '../harness/wait.mjs';

/** By which clients the drain is seen: Socket.IO of each kind, in turn. */
const KINDS = [{}, { transports: ['polling'] }, { client: 2 }, { client: 2, transports: ['polling'] }, { namespace: '/' }];
const SOCKETS = 60;
const WIRES = 12;

const status = async (server, path) => (await fetch(`${server.url}${path}`)).status;

const notReady = (server) => eventually(async () => await status(server, '/readyz') === 503, 'it is not ready');

/** Nobody new gets in, by whatever address, while the process lives and REST is served. */
async function assertRefusesNewcomers(t, server) {
  assert.equal(await status(server, '/readyz'), 503);
  assert.equal(await status(server, '/healthz/'), 503);
  assert.equal(await status(server, '/livez'), 200);
  for (const path of [
    '/socket.io/?EIO=4&transport=polling', '/socket.io/?EIO=3&transport=polling&sid=', '/ws/chats/?token=a', '/ws?sid=1&token=a',
  ]) assert.equal(await status(server, path), 503, path);
  await connectRefused(t, server.url);
  await connectRefused(t, server.url, { transports: ['polling'] });
  await assert.rejects(dial(t, server, PATH.type, { token: 'late' }));
}

describe('SIGTERM with --drain', () => {
  /** The ends of clients and the acknowledgements, in the order in which they were seen. */
  class Record {
    changes = new Changes();
    /** @type {('end' | 'message')[]} */
    events = [];
    reasons = [];
    add(event) {
      this.events.push(event);
      this.changes.happened();
    }

    end(reason) {
      this.reasons.push(reason);
      this.add('end');
    }

    count(event) { return this.events.filter((it) => it === event).length; }
  }

  async function population(t, server, record) {
    const ofKind = (index) => connectUser(t, server, 'user', KINDS[index % KINDS.length]);
    const members = [];
    for (let index = 0; index < SOCKETS; index++) members.push(await ofKind(index));
    for (const { socket } of members) socket.once('disconnect', (reason) => record.end(reason));
    const wires = [];
    for (let index = 0; index < WIRES; index++) {
      const path = [PATH.action, PATH.type][index % 2];
      wires.push(await dial(t, server, path, { token: `raw-${index}` }));
    }
    for (const wire of wires) wire.closed.then(({ code, reason }) => record.end(`${code} ${reason}`));
    return { members, wires };
  }

  /** Sends messages of the members that are still connected, one after the other, until none is: those acknowledged. */
  async function sendOn(members, chat, record) {
    const acknowledged = [];
    for (let turn = 0; members.some(({ socket }) => socket.connected); turn++) {
      const { socket } = members[turn % members.length];
      if (!socket.connected) continue;
      const text = `message ${turn}`;
      const answered = new Promise((resolve) => {
        socket.once('disconnect', resolve);
        socket.emit('new-message', { room: chat.id, msg: text }, ({ error }) => {
          if (!error) {
            acknowledged.push(text);
            record.add('message');
          }
          resolve(error);
        });
      });
      await answered;
    }
    return acknowledged;
  }

  test('closes connections one after the other, serves the others, and loses nothing', async (t) => {
    const { store } = await storeFile(t);
    const server = await startServer(t, ['--store', store, '--drain', '2s']);
    const record = new Record();
    const { members, wires } = await population(t, server, record);
    const chat = await chatOf(...members);
    const ended = server.stop();
    await record.changes.until(() => record.count('end') > 0, () => 'the first end');
    const sending = sendOn(members, chat, record);
    await assertRefusesNewcomers(t, server);
    assert.ok(wires.some((wire) => wire.isOpen), 'all were closed at once');
    const acknowledged = await sending;
    assert.deepEqual(await ended, { code: 0, signal: null });

    await record.changes.until(() => record.count('end') === SOCKETS + WIRES, () => 'the end of each connection');
    for (const reason of record.reasons) assert.match(reason, /^(1012 restarting|transport close|transport error)$/);
    const moments = record.events.filter((event, index) => event === 'end' && record.events[index - 1] === 'message').length;
    assert.ok(moments >= 5, `the connections ended at ${moments} moments: ${record.events.join(' ')}`);

    const again = await startServer(t, ['--store', store]);
    const stored = await fullHistory(await connectAgain(t, again, members[0]), chat);
    const texts = new Set(stored.map(({ msg }) => msg));
    assert.deepEqual(acknowledged.filter((text) => !texts.has(text)), []);
  });

  test('goes on at once when no connection is left', async (t) => {
    const server = await startServer(t, ['--drain', '1h', '--shutdown-timeout', '2h']);
    const members = [];
    for (const kind of KINDS) members.push(await connectUser(t, server, 'user', kind));
    const ended = server.stop();
    await notReady(server);
    for (const { socket } of members) socket.close();
    assert.deepEqual(await ended, { code: 0, signal: null });
  });
});

describe('--drain-delay', () => {
  const LONG = ['--drain-delay', '1h', '--shutdown-timeout', '2h'];

  test('serves everybody on, while nobody new gets in', async (t) => {
    const { store } = await storeFile(t);
    const server = await startServer(t, ['--store', store, ...LONG]);
    const members = [];
    for (const kind of KINDS) members.push(await connectUser(t, server, 'user', kind));
    const wire = await dial(t, server, PATH.type, { token: 'raw' });
    const chat = await chatOf(...members);
    const ended = server.stop();
    await notReady(server);
    await assertRefusesNewcomers(t, server);
    for (const member of members) await sendMessage(member, chat, 'still here');
    const { code } = await wire.ask({ type: 'getChats', data: {} });
    assert.equal(code, undefined);
    const users = await fetch(`${server.url}/api/v1/chats/${chat.id}/messages`);
    assert.equal(users.status, 200);
    assert.ok(wire.isOpen && members.every(({ socket }) => socket.connected));

    const lost = Promise.all(members.map(({ socket }) => new Promise((resolve) => { socket.once('disconnect', resolve); })));
    assert.equal((await server.stop()).code, 1);
    await ended;
    for (const reason of await lost) assert.match(reason, TRANSPORT_LOST);
    const again = await startServer(t, ['--store', store]);
    assert.equal((await fullHistory(await connectAgain(t, again, members[0]), chat)).length, members.length);
  });

  test('counts at SIGTERM, although nobody is connected: there may be calls of REST', async (t) => {
    const server = await startServer(t, LONG);
    const ended = server.stop();
    await notReady(server);
    const body = JSON.stringify({ externalUserId: 'late' });
    const headers = { 'content-type': 'application/json' };
    const created = await fetch(`${server.url}/api/v1/users`, { method: 'POST', headers, body });
    assert.ok(created.ok, await created.text());
    assert.equal((await server.stop()).code, 1);
    await ended;
  });

  test('does not delay Ctrl-C when nobody is connected, or once nobody is', async (t) => {
    const nobody = await startServer(t, [...LONG, '--drain', '10m']);
    assert.deepEqual(await nobody.stop('SIGINT'), { code: 0, signal: null });

    const somebody = await startServer(t, [...LONG, '--drain', '10m']);
    const { socket } = await connectUser(t, somebody, 'user');
    const ended = somebody.stop('SIGINT');
    await notReady(somebody);
    const { user } = await ask(socket, 'create-user', { user: { externalUserId: 'another' } });
    assert.equal(user.externalUserId, 'another');
    socket.close();
    assert.deepEqual(await ended, { code: 0, signal: null });
  });

  test('is some seconds by default on MongoDB, and none on SQLite and at Ctrl-C', async (t) => {
    /** @type {any} */
    const env = { POLYCHAT_DRAIN_DELAY: undefined, POLYCHAT_DRAIN: undefined };
    for (const signal of ['SIGTERM', 'SIGINT']) {
      const server = await startServer(t, ['--shutdown-timeout', '30s'], { env });
      const member = await connectUser(t, server, 'user');
      const chat = await chatOf(member);
      const ended = server.stop(signal);
      if (process.env.POLYCHAT_TEST_MONGODB && signal === 'SIGTERM') {
        await notReady(server);
        await sendMessage(member, chat, 'still here');
        member.socket.close();
      }
      assert.deepEqual(await ended, { code: 0, signal: null });
    }
  });

  test('and --drain that do not fit into --shutdown-timeout are refused in one sentence', async () => {
    const options = ['--listen', '127.0.0.1:0', '--store', 'sqlite::memory:'];
    for (const times of [
      ['--drain-delay', '10s', '--drain', '9s'], ['--drain', '19s'], ['--drain-delay', '1s', '--shutdown-timeout', '2s'],
    ]) {
      for (const command of [[], ['check']]) {
        const { code, stdout, stderr } = await runToEnd([...command, ...options, ...times]);
        assert.equal(code, 1, stderr);
        assert.equal(stdout, '');
        assert.match(stderr, /^polychat: --drain-delay \w+ and --drain \w+ have to be 2s less than --shutdown-timeout \w+ together\n$/);
      }
    }
    const { code, stderr } = await runToEnd(['check', ...options, '--drain', '18s']);
    assert.equal(code, 0, stderr);
  });
});
