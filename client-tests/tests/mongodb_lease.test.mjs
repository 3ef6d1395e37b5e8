// @ts-check
// Owns the promise that one process at a time uses a MongoDB: a second server is refused in a sentence, a killed one is
// replaced within ten seconds, one that was stopped too long acknowledges nothing more, and copies and checks respect it.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { before, describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { chatOf, connectUser, connectUsers, fullHistory, sendMessage, sendMany } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { probe } from '../harness/http.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { useScope } from '../harness/scope.mjs';
import { BINARY, freePort, runToEnd, startServer, storeFile } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

/** A killed server's lease ends within this time; that of one that ended in order at once. */
const LAPSED_MS = 10_000;
const AT_ONCE_MS = 4000;
const PATIENCE_MS = 60_000;
const MESSAGES = 5000;

const scope = useScope();
let mongod;
before(async () => { mongod = await startMongod(scope); });

let made = 0;
const database = () => `mongodb://127.0.0.1:${mongod.port}/lease-${++made}?replicaSet=rs0`;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const serve = (t, store, more = []) => startServer(t, ['--store', store, ...more]);
const waits = (server) => server.logs().split('waiting for the lease').length - 1;
const signal = ({ pid }, name) => process.kill(pid, name);

async function timed(work) {
  const begun = Date.now();
  const result = await work();
  return { result, ms: Date.now() - begun };
}

/** It ends with one sentence that matches. */
async function assertRefused(running, why) {
  const { code, stdout, stderr } = await running;
  assert.equal(code, 1, `${stdout}${stderr}`);
  const lines = stderr.split('\n').filter((line) => line.trim());
  assert.equal(lines.length, 1, `one sentence expected:\n${stderr}`);
  assert.match(lines[0], why);
  assert.doesNotMatch(stdout, /listening on/);
}

/** The sentence that names the server that holds the lease. */
const inUse = ({ pid }) => new RegExp(
  `the store mongodb://127\\.0\\.0\\.1:${mongod.port}/lease-\\d+ cannot be used: another polychat is using it `
  + `\\(polychat serve on \\S+, process ${pid}, version \\d+\\.\\d+\\.\\d+, since 20\\S+Z\\), and several servers on one store `
  + 'are not supported yet$',
);

describe('a second server', () => {
  test('is refused while the first one runs, in a sentence with the reason, and the first one continues', async (t) => {
    const store = database();
    const first = await serve(t, store);
    const { ms } = await timed(() => assertRefused(
      runToEnd(['--listen', '127.0.0.1:0', '--store', store]), inUse(first),
    ));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms`);
    assert.equal((await probe(`${first.url}/readyz`)).status, 200);
    await chatOf(...await connectUsers(t, first, 'anna', 'boris'));
  });

  test('of two that start at once one serves', async (t) => {
    const store = database();
    const started = await Promise.allSettled([serve(t, store), serve(t, store)]);
    assert.deepEqual(started.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  });

  test('starts within ten seconds after the first one was killed, and does not listen before', async (t) => {
    const store = database();
    const first = await serve(t, store);
    await first.kill();
    const port = await freePort();
    const starting = timed(() => serve(t, store, ['--listen', `127.0.0.1:${port}`]));
    await sleep(500);
    await assert.rejects(probe(`http://127.0.0.1:${port}/readyz`), /ECONNREFUSED/);
    const { result: second, ms } = await starting;
    assert.ok(ms < LAPSED_MS, `${ms} ms`);
    assert.equal(waits(second), 1, second.logs());
    assert.match(second.logs(), new RegExp(`waiting for the lease on mongodb://\\S+ of polychat serve on .*process ${first.pid},`));
  });

  test('starts at once after the first one ended in order', async (t) => {
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
  test('acknowledges nothing more once another one serves, and ends with a sentence', async (t) => {
    const store = database();
    const first = await serve(t, store);
    const [anna, boris] = [await connectUser(t, first, 'anna'), await connectUser(t, first, 'boris')];
    const chat = await chatOf(anna, boris);
    await sendMessage(anna, chat, 'before');
    signal(first, 'SIGSTOP');
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
    const said = /polychat: the lease on the store \S+ was not renewed in time, and another polychat has taken it \(polychat serve on .+\)$/m;
    assert.match(first.logs(), said);
    assert.match(first.logs(), /ERROR.*another polychat has taken it/);

    const stored = await host.get(`/chats/${chat.id}/messages`);
    assert.deepEqual(stored.messages.map(({ msg }) => msg), ['before']);
    assert.equal((await probe(`${second.url}/readyz`)).status, 200);
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
  test('works beside a server, without migrations, and after it with them', async (t) => {
    const store = database();
    const server = await serve(t, store);
    const beside = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(beside.code, 0, beside.stderr);
    assert.match(beside.stdout, new RegExp(`^schema +not migrated: in use by polychat serve on .*process ${server.pid},`, 'm'));
    assert.match(beside.stdout, /^indexes +ok$/m);
    assert.equal((await runToEnd(['health', '--listen', `127.0.0.1:${server.port}`])).code, 0);
    await server.stop();
    const after = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store]);
    assert.equal(after.code, 0, after.stderr);
    assert.doesNotMatch(after.stdout, /schema/);
    const { ms } = await timed(() => serve(t, store));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms: it has released the lease`);
  });
});

describe('polychat copy', () => {
  const copy = (from, to) => runToEnd(['copy', '--from', from, '--to', to]);

  test('is refused while a server uses the source or the target', async (t) => {
    const [used, free] = [database(), database()];
    const server = await serve(t, used);
    await chatOf(...await connectUsers(t, server, 'anna', 'boris'));
    await assertRefused(copy(used, free), /--from: .*another polychat is using it/);
    const { store } = await storeFile(t);
    const other = await serve(t, store);
    await chatOf(...await connectUsers(t, other, 'anna', 'boris'));
    await other.stop();
    await assertRefused(copy(store, used), /--to: .*another polychat is using it/);
    await server.stop();
    const copied = await timed(() => copy(used, free));
    assert.equal(copied.result.code, 0, copied.result.stderr);
    const { ms } = await timed(() => serve(t, free));
    assert.ok(ms < AT_ONCE_MS, `${ms} ms: it has released the lease`);
  });

  test('holds the lease while it runs, and ends where it has lost it', async (t) => {
    const { store } = await storeFile(t);
    const source = await serve(t, store);
    const [anna, boris] = await connectUsers(t, source, 'anna', 'boris');
    await sendMany(anna, await chatOf(anna, boris), MESSAGES, (index) => `number ${index}`);
    await source.stop();

    const target = database();
    const client = new MongoClient(target);
    t.after(() => client.close());
    const leases = client.db().collection('leases');
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
