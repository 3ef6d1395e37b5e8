// @ts-check
// Owns the promises about who uses a MongoDB at the same time: servers do with each other, commands and migrations alone. A
// killed server is found out, one that was stopped too long acknowledges nothing that it should not, and versions that know
// no other server are respected.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { Binary, Long, MongoClient, UUID } from 'mongodb';
import { chatOf, connectUser, connectUsers, fullHistory, sendMessage, sendMany } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { probe } from '../harness/http.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { useScope } from '../harness/scope.mjs';
import { BINARY, runToEnd, startCommand, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

/** A killed server's lease ends within this time; that of one that ended in order at once. */
const LAPSED_MS = 10_000;
const AT_ONCE_MS = 4000;
const PATIENCE_MS = 60_000;
const MESSAGES = 5000;
const MANY = 10;

/** The document of the schema's version. */
const VERSION = { _id: /** @type {any} */ ('version') };

const scope = useScope();
let mongod;
before(async () => { mongod = await startMongod(scope); });

let made = 0;
const database = () => `mongodb://127.0.0.1:${mongod.port}/lease-${++made}?replicaSet=rs0`;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const serve = (t, store, more = []) => startServer(t, ['--store', store, ...more]);
const servers = (t, store, count) => Promise.all(Array.from({ length: count }, () => serve(t, store)));
const count = (server, text) => server.logs().split(text).length - 1;
const waits = (server) => count(server, 'waiting for the lease');
const signal = ({ pid }, name) => process.kill(pid, name);
const copy = (from, to) => runToEnd(['copy', '--from', from, '--to', to]);
const isReady = async ({ url }) => (await probe(`${url}/readyz`)).status === 200;

async function timed(work) {
  const begun = Date.now();
  const result = await work();
  return { result, ms: Date.now() - begun };
}

/** A collection of a store, as another program sees it. */
function collection(t, store, name) {
  const client = new MongoClient(store);
  t.after(() => client.close());
  return client.db().collection(name);
}

/** A document, whatever its fields are. */
const document = async (of, filter = {}) => /** @type {any} */ (await of.findOne(filter)) ?? {};

/** The holders of a lease by their process, with their mode. */
async function holders(leases) {
  const { holders: found = [] } = await document(leases);
  return found.map(({ mode, pid }) => `${mode} ${pid}`).sort();
}

const areNodes = (leases, nodes) => eventually(async () => {
  const expected = nodes.map(({ pid }) => `node ${pid}`).sort();
  return (await holders(leases)).join() === expected.join();
}, `the nodes ${nodes.map(({ pid }) => pid)} hold the lease`, PATIENCE_MS);

/** It ends with one sentence that matches. */
async function assertRefused(running, why) {
  const { code, stdout, stderr } = await running;
  assert.equal(code, 1, `${stdout}${stderr}`);
  const lines = stderr.split('\n').filter((line) => line.trim());
  assert.equal(lines.length, 1, `one sentence expected:\n${stderr}`);
  assert.match(lines[0], why);
  assert.doesNotMatch(stdout, /listening on/);
}

/** The sentence about a process that is in the way. */
const sentence = (why, command, pid, rest) => new RegExp(
  `the store mongodb://127\\.0\\.0\\.1:${mongod.port}/lease-\\d+ cannot be used: ${why} `
  + `\\(polychat ${command} on \\S+, process ${pid}, version \\d+\\.\\d+\\.\\d+, since 20\\S+Z\\)${rest}$`,
);
const used = (command, { pid }) => sentence(
  'another polychat is using it', 'serve', pid, `, and polychat ${command} needs it alone: stop every server on it first`,
);
const usedAlone = (command, { pid }) => sentence(
  'another polychat is using it alone', command, pid, ', and no server can start before that has ended',
);

describe('several servers', () => {
  test('start side by side, and serve', async (t) => {
    const store = database();
    const first = await serve(t, store);
    const { result: second, ms } = await timed(() => serve(t, store));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
    assert.equal(waits(second), 0, second.logs());
    const leases = collection(t, store, 'leases');
    await areNodes(leases, [first, second]);
    for (const [index, server] of [first, second].entries()) {
      const [anna, boris] = await connectUsers(t, server, `anna-${index}`, `boris-${index}`);
      await sendMessage(anna, await chatOf(anna, boris), 'here');
      assert.ok(await isReady(server));
    }
    assert.deepEqual(await second.stop(), { code: 0, signal: null });
    await areNodes(leases, [first]);
    assert.ok(await isReady(first));
  });

  test('all come up that start at once on an empty database, and one migrates it', async (t) => {
    const store = database();
    const nodes = await servers(t, store, MANY);
    const leases = collection(t, store, 'leases');
    await areNodes(leases, nodes);
    for (const node of nodes) assert.ok(await isReady(node));
    const { version } = await document(collection(t, store, 'schema'), VERSION);
    assert.ok(version > 0, `${version}`);
    await Promise.all(nodes.map((node) => node.stop()));
    assert.deepEqual(await holders(leases), []);
  });

  test('find out that one was killed, one of them for all, and another one starts at once', async (t) => {
    const store = database();
    const [killed, ...others] = await servers(t, store, 3);
    await killed.kill();
    const { result: next, ms } = await timed(() => serve(t, store));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
    assert.equal(waits(next), 0, next.logs());
    const living = [...others, next];
    const { ms: took } = await timed(() => areNodes(collection(t, store, 'leases'), living));
    assert.ok(took < LAPSED_MS, `${took} ms`);
    // It may also have been waited for, while it migrated.
    const isLapse = (line) => line.includes(`process ${killed.pid},`) && line.endsWith('has lapsed');
    const lapsed = () => living.flatMap((node) => node.logs().split('\n')).filter(isLapse).length;
    await eventually(async () => lapsed() > 0, 'the log has it', PATIENCE_MS);
    await sleep(2000);
    assert.equal(lapsed(), 1);
  });

  test('do not migrate a store that another one serves', async (t) => {
    const store = database();
    const first = await serve(t, store);
    const schema = collection(t, store, 'schema');
    const { version: newest } = await document(schema, VERSION);
    await schema.updateOne(VERSION, { $set: { version: Long.fromNumber(newest - 1) } });
    await assertRefused(runToEnd(['--listen', '127.0.0.1:0', '--store', store]), new RegExp(
      `its schema has to be migrated, and another polychat is using it \\(polychat serve on .*process ${first.pid},.*`
      + '\\): stop every server on it first$',
    ));
    assert.equal((await document(schema, VERSION)).version, newest - 1);
    await first.stop();
    await serve(t, store);
    assert.equal((await document(schema, VERSION)).version, newest);
  });

  test('start at once after one that ended in order', async (t) => {
    const store = database();
    for (let starts = 0; starts < 3; starts++) {
      const { result: server, ms } = await timed(() => serve(t, store));
      assert.equal(waits(server), 0, server.logs());
      assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
      assert.deepEqual(await server.stop(), { code: 0, signal: null });
    }
  });
});

describe('a server that was stopped for longer than its lease', () => {
  test('is let in again beside the others, and knows that it was gone', async (t) => {
    const store = database();
    const [first, second] = await servers(t, store, 2);
    const [anna, boris] = await connectUsers(t, first, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    const leases = collection(t, store, 'leases');
    signal(first, 'SIGSTOP');
    await areNodes(leases, [second]);
    signal(first, 'SIGCONT');
    await areNodes(leases, [first, second]);
    await eventually(() => isReady(first), 'it is ready again', PATIENCE_MS);
    await sendMessage(anna, chat, 'after');
    assert.match(first.logs(), /the lease on the store had lapsed, and is taken again/);
    assert.match(second.logs(), new RegExp(`the lease of polychat serve on .*process ${first.pid},.* has lapsed`));
    assert.deepEqual((await fullHistory(boris, chat)).map(({ msg }) => msg), ['after']);
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
  });

  test('acknowledges nothing more once a command had its store alone, and ends with a sentence', async (t) => {
    const store = database();
    const first = await serve(t, store);
    const [anna, boris] = [await connectUser(t, first, 'anna'), await connectUser(t, first, 'boris')];
    const chat = await chatOf(anna, boris);
    await sendMessage(anna, chat, 'before');
    signal(first, 'SIGSTOP');
    const { result: copied, ms } = await timed(() => copy(store, database()));
    assert.equal(copied.code, 0, copied.stderr);
    assert.ok(ms < LAPSED_MS, `${ms} ms`);
    const second = await serve(t, store);
    const host = new Backend(second);
    await host.ok(200, 'DELETE', `/chats/${chat.id}/members/${boris.id}`);

    // These wait for the first one: none of them may find out that it was ever gone.
    const answers = [];
    const emit = ({ socket }, event, body) => socket.emit(event, body, (answer) => answers.push(answer));
    for (const who of [anna, boris]) {
      emit(who, 'new-message', { room: chat.id, msg: 'after' });
      emit(who, 'list-messages', { chat: { id: chat.id } });
    }
    const call = new Backend(first).call('POST', '/users', { externalUserId: 'vera' }).catch(() => undefined);
    const lost = Promise.all([anna, boris].map(({ socket }) => new Promise((resolve) => {
      socket.once('disconnect', resolve);
    })));
    await sleep(200);
    const { code } = await first.stop('SIGCONT');
    assert.equal(code, 1);
    await within(lost, () => 'the end of both connections');
    for (const { error } of answers) assert.equal(error?.code, 'unavailable', JSON.stringify(answers));
    const answer = await call;
    assert.ok(!answer || answer.status === 503, JSON.stringify(answer));
    const said = /polychat: the lease on the store \S+ was not renewed in time, and another polychat has taken it \(polychat copy on .+\)$/m;
    assert.match(first.logs(), said);
    assert.match(first.logs(), /ERROR.*another polychat has taken it/);

    const stored = await host.get(`/chats/${chat.id}/messages`);
    assert.deepEqual(stored.messages.map(({ msg }) => msg), ['before']);
    assert.ok(await isReady(second));
  });
});

test('without its store a server reports why it is not ready, and continues when nobody took it', async (t) => {
  const server = await serve(t, database());
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  await sendMessage(anna, chat, 'before');
  mongod.signal('SIGSTOP');
  try {
    await eventually(async () => {
      const { status, body } = await probe(`${server.url}/readyz`);
      return status === 503 && /its lease was not renewed for 5 seconds/.test(body);
    }, 'the reason is the lease', PATIENCE_MS);
  } finally {
    mongod.signal('SIGCONT');
  }
  await eventually(async () => (await probe(`${server.url}/readyz`)).status === 200, 'it is ready again', PATIENCE_MS);
  await sendMessage(boris, chat, 'after');
  assert.deepEqual((await fullHistory(anna, chat)).map(({ msg }) => msg), ['before', 'after']);
});

describe('polychat check', () => {
  test('works beside servers, without migrations, and after them with them', async (t) => {
    const store = database();
    const [server, other] = await servers(t, store, 2);
    const beside = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(beside.code, 0, beside.stderr);
    for (const { pid } of [server, other]) {
      assert.match(beside.stdout, new RegExp(`^schema +not migrated: in use by polychat serve on .*process ${pid},`, 'm'));
    }
    assert.match(beside.stdout, /^indexes +ok$/m);
    assert.equal((await runToEnd(['health', '--listen', `127.0.0.1:${server.port}`])).code, 0);
    await server.stop();
    await other.stop();
    const after = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(after.code, 0, after.stderr);
    assert.doesNotMatch(after.stdout, /schema/);
    const { ms } = await timed(() => serve(t, store));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms: it has released the lease`);
  });
});

describe('a version that knows no other server', () => {
  /** Its document, as it takes and renews it. */
  const lease = {
    holder: new UUID(), command: 'serve', host: 'earlier', pid: Long.fromNumber(7), version: '0.0.1', since: new Date(),
  };
  const renew = (leases) => leases.updateOne({ _id: 'store' }, [{ $replaceWith: {
    _id: 'store', ...lease, until: { $add: ['$$NOW', 6000] },
  } }], { upsert: true });

  test('is in the way while it runs, and replaced after it was killed', async (t) => {
    const store = database();
    await (await serve(t, store)).stop();
    const leases = collection(t, store, 'leases');
    await renew(leases);
    const beats = setInterval(() => { renew(leases).catch(() => {}); }, 500);
    t.after(() => clearInterval(beats));
    const start = runToEnd(['--listen', '127.0.0.1:0', '--store', store]);
    await assertRefused(start, sentence('another polychat is using it alone', 'serve', 7, ', and no .*'));
    clearInterval(beats);
    await renew(leases);
    const { result: server, ms } = await timed(() => serve(t, store));
    assert.ok(waits(server) === 1 && ms < LAPSED_MS, server.logs());
    await areNodes(leases, [server]);
  });

  test('finds the fields of one holder that lives, which is in its way', async (t) => {
    const store = database();
    const nodes = await servers(t, store, 2);
    const leases = collection(t, store, 'leases');
    for (const _ of nodes) {
      const { holder, command, host, pid, version, since, until } = await document(leases);
      assert.ok(holder instanceof Binary && since instanceof Date, JSON.stringify({ holder, since }));
      assert.ok(nodes.some((node) => node.pid === Number(pid)), `${pid}`);
      assert.deepEqual([command, typeof host, typeof version], ['serve', 'string', 'string']);
      assert.ok(until > new Date(), `${until}`);
      await sleep(1000);
    }
  });
});

describe('commands', () => {
  test('are refused while a server uses the store', async (t) => {
    const [store, free] = [database(), database()];
    const server = await serve(t, store);
    await chatOf(...await connectUsers(t, server, 'anna', 'boris'));
    await assertRefused(copy(store, free), used('copy', server));
    const { store: other } = await storeFile(t);
    const source = await serve(t, other);
    await chatOf(...await connectUsers(t, source, 'anna', 'boris'));
    await source.stop();
    await assertRefused(copy(other, store), used('copy', server));
    const file = `${await tempDir(t)}/export.jsonl`;
    const exporting = () => runToEnd(['export', '--store', store, '--output', file]);
    await assertRefused(exporting(), used('export', server));
    await server.stop();
    const exported = await exporting();
    assert.equal(exported.code, 0, exported.stderr);
    const copied = await copy(store, free);
    assert.equal(copied.code, 0, copied.stderr);
    const { result: next, ms } = await timed(() => serve(t, free));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms: it has released the lease`);
    await assertRefused(runToEnd(['import', file, '--store', free]), used('import', next));
  });

  test('keep servers out while they run', async (t) => {
    const [from, to] = [database(), database()];
    const source = await serve(t, from);
    await chatOf(...await connectUsers(t, source, 'anna', 'boris'));
    await source.stop();
    await (await serve(t, to)).kill();
    // It holds the lease of one side while it waits for that of the other.
    const leases = collection(t, from, 'leases');
    const copying = startCommand(['copy', '--from', from, '--to', to]);
    await eventually(async () => (await holders(leases)).join() === `exclusive ${copying.pid}`, 'the copy holds the lease');
    const start = runToEnd(['--listen', '127.0.0.1:0', '--store', from]);
    await assertRefused(start, usedAlone('copy', copying));
    const { code, stderr } = await copying.ended;
    assert.equal(code, 0, stderr);
    assert.equal(waits(await serve(t, from)), 0);
  });

  test('holds the lease while it runs, and ends where it has lost it', async (t) => {
    const { store } = await storeFile(t);
    const source = await serve(t, store);
    const [anna, boris] = await connectUsers(t, source, 'anna', 'boris');
    await sendMany(anna, await chatOf(anna, boris), MESSAGES, (index) => `number ${index}`);
    await source.stop();

    const target = database();
    const leases = collection(t, target, 'leases');
    const child = spawn(BINARY, ['copy', '--from', store, '--to', target], { stdio: ['ignore', 'ignore', 'pipe'] });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { said += text; });
    const ended = new Promise((resolve) => { child.once('close', resolve); });
    await eventually(async () => (await leases.findOne())?.command === 'copy', 'the copy holds the lease');
    child.kill('SIGSTOP');
    const { result: server, ms } = await timed(() => serve(t, target));
    assert.ok(waits(server) === 1 && ms < LAPSED_MS, server.logs());
    assert.match(server.logs(), new RegExp(`waiting for the lease on \\S+ of polychat copy on .*process ${child.pid},`));
    child.kill('SIGCONT');
    assert.equal(await within(ended, () => 'the end of the copy'), 1);
    assert.match(said, /lease/);
  });
});
