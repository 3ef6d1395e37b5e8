// @ts-check
// Owns the promise of the commands beside the server: a copy is the same server elsewhere, a check finds errors before
// a start does, and health reports readiness to a container.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { chatOf, connectUsers, fullHistory, sendMessage } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { freePort, runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { SECRET } from '../harness/tokens.mjs';

/** Everything in a SQLite file, as SQL, but for SQLite's own counts of rows, which the server does not read. */
function dump(path) {
  const program = 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).iterdump(), sep="\\n")';
  const lines = execFileSync('python3', ['-c', program, path], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => !line.includes('"sqlite_sequence"')).join('\n');
}

/** Changes a SQLite file that no server uses. */
const sql = (path, statement) => execFileSync('python3', [
  '-c', 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()', path, statement,
]);

/** On a free port: the default one may be another program's. */
const check = (args) => runToEnd(['check', ...(args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0']), ...args]);

const copy = (from, to, ...more) => runToEnd(['copy', '--from', from, '--to', to, ...more]);

/** A store with a chat of two users and its messages. */
async function filledStore(t, count = 3) {
  const { path, store } = await storeFile(t);
  const server = await startServer(t, ['--store', store]);
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  const sent = Array.from({ length: count }, (_, index) => sendMessage([anna, boris][index % 2], chat, `number ${index}`));
  await Promise.all(sent);
  const stored = await fullHistory(anna, chat);
  await server.stop();
  return { path, store, chat, stored, user: anna.user };
}

async function assertRefused(result, why) {
  const { code, stderr } = await result;
  assert.notEqual(code, 0, 'it ended well');
  const lines = stderr.split('\n').filter((line) => line.trim());
  assert.equal(lines.length, 1, `one sentence expected:\n${stderr}`);
  assert.match(lines[0], why);
  assert.doesNotMatch(stderr, /panicked|backtrace/i);
}

describe('polychat copy', () => {
  test('makes the same server elsewhere: users, chats, messages, and the numbers go on', async (t) => {
    const from = await filledStore(t, 2500);
    const to = await storeFile(t);
    const { code, stdout, stderr } = await copy(from.store, to.store);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /2 users, 0 events, 1 chats, 2500 messages/);
    const server = await startServer(t, ['--store', to.store]);
    const socket = await connect(t, server.url);
    const { externalUserId } = from.user;
    const { user } = await ask(socket, 'create-user', { user: { externalUserId } });
    assert.deepEqual(user, from.user);
    const { chats } = await ask(socket, 'list-chats', {});
    assert.deepEqual(chats.map(({ id }) => id), [from.chat.id]);
    assert.deepEqual(await fullHistory({ socket }, from.chat), from.stored);
    const next = await sendMessage({ socket }, from.chat, 'one more');
    assert.equal(next.seq, from.stored.length + 1);
    const fresh = await ask(socket, 'create-chat', { chat: {}, users: [user.id] });
    assert.equal(fresh.chat.pk, from.chat.pk + 1);
  });

  test('to MongoDB and back is the same to the byte, events and all', async (t) => {
    const mongod = await startMongod(t);
    const from = await filledStore(t, 50);
    const server = await startServer(t, ['--store', from.store]);
    const host = new Backend(server);
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const event = await host.event(owner);
    await host.eventChat(event, guest);
    await server.stop();
    const database = `mongodb://127.0.0.1:${mongod.port}/copy?replicaSet=rs0`;
    const there = await copy(from.store, database);
    assert.equal(there.code, 0, there.stderr);
    const back = await storeFile(t);
    const again = await copy(database, back.store);
    assert.equal(again.code, 0, again.stderr);
    assert.equal(again.stdout, there.stdout);
    assert.equal(dump(back.path), dump(from.path));
    await assertRefused(copy(from.store, database), /not empty/);
    const { code, stdout } = await check(['--store', database]);
    assert.equal(code, 0);
    assert.match(stdout, /^indexes +ok/m);
  });

  test('refuses a target that is not empty, and continues where it was with --resume', async (t) => {
    const from = await filledStore(t);
    const to = await storeFile(t);
    assert.equal((await copy(from.store, to.store)).code, 0);
    await assertRefused(copy(from.store, to.store), /not empty.*--resume/);
    const again = await copy(from.store, to.store, '--resume');
    assert.equal(again.code, 0, again.stderr);
    const other = await filledStore(t);
    await assertRefused(copy(other.store, to.store, '--resume'), /differs/);
  });

  test('marks its target until it is complete: no server starts on a part', async (t) => {
    const [from, to] = [await filledStore(t), await storeFile(t)];
    assert.equal((await copy(from.store, to.store)).code, 0);
    // As it is while the copy runs, and when it was killed.
    sql(to.path, 'INSERT INTO unfinished_copy VALUES (1)');
    const refused = /not finished.*polychat copy --resume/;
    const { code, stderr } = await runToEnd(['--listen', '127.0.0.1:0', '--store', to.store]);
    assert.notEqual(code, 0);
    assert.match(stderr, refused);
    await assertRefused(check(['--store', to.store]), refused);
    const next = await storeFile(t);
    await assertRefused(copy(to.store, next.store), refused);
    await assertRefused(copy(from.store, to.store), /not empty.*--resume/);
    const resumed = await copy(from.store, to.store, '--resume');
    assert.equal(resumed.code, 0, resumed.stderr);
    await (await startServer(t, ['--store', to.store])).stop();
    assert.equal(dump(to.path), dump(from.path));
  });

  test('refuses a source that holds nothing, that a server uses, or that is the target', async (t) => {
    const [empty, to] = [await storeFile(t), await storeFile(t)];
    await assertRefused(copy(empty.store, to.store), /--from.*no such file/);
    assert.ok(!existsSync(empty.path) && !existsSync(to.path));
    const server = await startServer(t, ['--store', empty.store]);
    await assertRefused(copy(empty.store, to.store), new RegExp(`another polychat is using it \\(process ${server.pid}\\)`));
    await server.stop();
    await assertRefused(copy(empty.store, to.store), /holds nothing/);
    await assertRefused(copy(empty.store, empty.store), /same store/);
    await assertRefused(copy('redis://x', to.store), /--from.*no known kind/);
  });
});

describe('polychat check', () => {
  test('prints a line for each thing that is right', async (t) => {
    const { store } = await filledStore(t);
    const { code, stdout, stderr } = await check(['--store', store]);
    assert.equal(code, 0, stderr);
    const lines = stdout.trim().split('\n');
    assert.deepEqual(lines.map((line) => line.split(/\s+/)[0]), [
      'options', 'keys', 'origins', 'hosts', 'store', 'content', 'indexes', 'bus', 'listen',
    ]);
    for (const line of lines) {
      assert.match(line, /^(\w+ +ok|content +2 users, 1 chats, 3 messages$|keys +none: |origins +any$|hosts +loopback names$|bus +local$)/);
    }
  });

  test('works beside a server, which it names, and changes nothing there', async (t) => {
    const { store } = await filledStore(t);
    const server = await startServer(t, ['--store', store]);
    const { code, stdout, stderr } = await check(['--store', store]);
    assert.equal(code, 0, stderr);
    const named = new RegExp(`^schema +not migrated: in use by another polychat \\(process ${server.pid}\\)$`, 'm');
    assert.match(stdout, named);
    assert.match(stdout, /^content +2 users, 1 chats, 3 messages$/m);
    assert.match(stdout, /^indexes +ok$/m);
    await server.stop();
  });

  test('prints which keys, origins and names count, but no key', async (t) => {
    const dir = await tempDir(t);
    const [secret, keys] = [join(dir, 'secret'), join(dir, 'keys.pem')];
    writeFileSync(secret, SECRET);
    const pem = () => generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' });
    writeFileSync(keys, `${pem()}${pem()}`);
    const args = ['--store', 'sqlite::memory:', '--auth', 'jwt', '--allowed-origins', 'https://a.example', '--allowed-hosts', 'a.example'];
    for (const [options, line] of /** @type {[string[], string][]} */ ([
      [['--jwt-secret', SECRET], 'the shared secret'],
      [['--jwt-secret-file', secret, '--jwt-keys', keys], 'the shared secret, 2 public keys in 1 file'],
      [['--jwt-keys', keys], '2 public keys in 1 file'],
    ])) {
      const { code, stdout, stderr } = await check([...args, ...options]);
      assert.equal(code, 0, stderr);
      assert.ok(stdout.includes(`\nkeys     ok: ${line}\n`), stdout);
      assert.ok(stdout.includes("\norigins  the server's own, https://a.example\n"), stdout);
      assert.ok(stdout.includes('\nhosts    loopback names, a.example\n'), stdout);
      assert.ok(!stdout.includes(SECRET) && !stdout.includes('BEGIN'));
    }
  });

  test('finds an address that is occupied, and whether by a polychat, of the same options or not', async (t) => {
    const [{ store }, other] = [await storeFile(t), await storeFile(t)];
    const metrics = ['--metrics-listen', `127.0.0.1:${await freePort()}`];
    const server = await startServer(t, ['--store', store, '--allowed-hosts', 'chat.example', ...metrics]);
    const listen = ['--listen', `127.0.0.1:${server.port}`];
    const { code, stdout, stderr } = await runToEnd(['check', '--store', store, ...listen, ...metrics]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^listen +127\\.0\\.0\\.1:${server.port} is in use by the running polychat$`, 'm'));
    assert.match(stdout, new RegExp(`^metrics +${metrics[1]} is in use by the running polychat$`, 'm'));

    const polychat = /cannot listen on 127\.0\.0\.1:\d+: a running polychat has it/;
    for (const address of [listen, ['--listen', `0.0.0.0:${server.port}`, '--auth', 'open', '--insecure-open-auth'], metrics]) {
      const { stderr: why, code: failed } = await check(['--store', other.store, ...address]);
      assert.equal(failed, 1);
      assert.match(why, new RegExp(`^polychat: ${address[0]}: cannot listen on ${address[1]}: a running polychat has it[^\n]*\n$`));
    }
    await server.stop();
    const free = await runToEnd(['check', '--store', store, ...listen, ...metrics]);
    assert.match(free.stdout, new RegExp(`^listen +ok: 127\\.0\\.0\\.1:${server.port}\nmetrics +ok: ${metrics[1]}$`, 'm'));

    const foreign = createServer().listen(server.port, '127.0.0.1');
    t.after(() => { foreign.close(); });
    await once(foreign, 'listening');
    foreign.on('connection', (socket) => socket.end('SSH-2.0-OpenSSH\r\n'));
    const refused = await runToEnd(['check', '--store', store, ...listen]);
    await assertRefused(refused, /--listen: cannot listen on .*in use/);
    assert.doesNotMatch(refused.stderr, polychat);
    await assertRefused(runToEnd(['check', '--store', store, '--listen', '127.0.0.1:7', '--metrics-listen', '127.0.0.1:7']), /--metrics-listen.*--listen/);
  });

  test('refuses a file of another program, and leaves it as it is', async (t) => {
    const { path, store } = await storeFile(t);
    execFileSync('python3', ['-c', 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("CREATE TABLE users (name)")', path]);
    const before = readFileSync(path);
    for (const args of [['check', '--listen', '127.0.0.1:0', '--store', store], ['--listen', '127.0.0.1:0', '--store', store]]) {
      await assertRefused(runToEnd(args), /SQLite file of another program/);
    }
    await assertRefused(copy(store, (await storeFile(t)).store), /--from.*SQLite file of another program/);
    assert.deepEqual(readFileSync(path), before);
  });

  test('creates no file, and says that there is none', async (t) => {
    const { path, store } = await storeFile(t);
    const { code, stdout, stderr } = await check(['--store', store]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^store +none yet: there is no such file as sqlite:.*chat\.db/m);
    assert.ok(!existsSync(path));
  });

  test('takes the store from MONGODB_URI if nothing else names one, and never prints a password', async () => {
    const port = await freePort();
    const url = `mongodb://anna:s3cret@127.0.0.1:${port}/chat?replicaSet=rs0&serverSelectionTimeoutMS=500`;
    for (const { args, env } of [{ args: ['check'], env: { MONGODB_URI: url } }, { args: ['check', '--store', url], env: {} }]) {
      const result = await runToEnd(args, { env });
      await assertRefused(result, new RegExp(`127\\.0\\.0\\.1:${port}`));
      assert.doesNotMatch(result.stdout + result.stderr, /s3cret/);
    }
  });

  test('prints in one sentence what is wrong', async (t) => {
    const nowhere = join(await tempDir(t), 'missing', 'chat.db');
    await assertRefused(check(['--store', `sqlite:${nowhere}`]), /missing/);
    assert.ok(!existsSync(nowhere));
    await assertRefused(check(['--store', 'sqlite::memory:', '--auth', 'jwt']), /--jwt-secret/);
    await assertRefused(runToEnd(['check', '--listen', '0.0.0.0:1', '--auth', 'open']), /--insecure-open-auth/);
  });
});

describe('polychat config', () => {
  const lines = async (args, env = {}) => {
    const { code, stdout, stderr } = await runToEnd(['config', ...args], { env });
    assert.equal(code, 0, stderr);
    return stdout.trim().split('\n').map((line) => line.replace(/ +/g, ' '));
  };

  test('prints each option with its value and its source, and no secret', async (t) => {
    const path = join(await tempDir(t), 'polychat.toml');
    writeFileSync(path, 'max-members = 7\nmax-frame-bytes = 70000\nlisten = "localhost:1"\njwt-secret = "in the file"\n');
    const env = {
      POLYCHAT_CONFIG: path, POLYCHAT_MAX_MEMBERS: '8', POLYCHAT_LOG_REQUESTS: 'yes', PORT: '3999', RUST_LOG: 'warn',
      MONGODB_URI: 'mongodb://anna:s3cret@h/chat',
    };
    const printed = await lines(['--rate-limit', '5:6'], env);
    for (const line of [
      `config ${path} variable POLYCHAT_CONFIG`, `listen 127.0.0.1:3999 file ${path}, variable PORT`, 'metrics-listen - default: that of --listen, with a service token unless in open mode',
      'store mongodb://anna:(set)@h/chat variable MONGODB_URI', `jwt-secret (set) file ${path}`, 'max-members 8 variable POLYCHAT_MAX_MEMBERS',
      `max-frame-bytes 70000 file ${path}`, 'rate-limit 5:6 flag --rate-limit', 'log-level warn variable RUST_LOG', 'log-requests yes variable POLYCHAT_LOG_REQUESTS',
      'shutdown-timeout 20s default',
    ]) assert.ok(printed.includes(line), `${line}\n${printed.join('\n')}`);
    assert.doesNotMatch(printed.join('\n'), /s3cret|in the file/);
    const { stdout } = await runToEnd(['--help']);
    const options = [...stdout.matchAll(/^ {6}--([a-z-]+)/gm)].map(([, name]) => name);
    assert.deepEqual(printed.map((line) => line.split(' ')[0]), options);
    const own = await lines(['--listen', ':9', '--store', 'a.db'], env);
    assert.ok(own.includes('listen :9 flag --listen') && own.includes('store sqlite:a.db flag --store'), own.join('\n'));
  });

  test('takes the store of a file before that of the platform', async (t) => {
    const path = join(await tempDir(t), 'polychat.toml');
    writeFileSync(path, 'store = "a.db"\n');
    assert.ok((await lines(['--config', path], { MONGODB_URI: 'mongodb://h/chat' })).includes(`store sqlite:a.db file ${path}`));
  });

  test('--default prints a file that --config takes, as it is and with its options in force', async (t) => {
    const dir = await tempDir(t);
    const { code, stdout } = await runToEnd(['config', '--default'], { env: { POLYCHAT_JWT_SECRET: SECRET } });
    assert.equal(code, 0);
    assert.ok(!stdout.includes(SECRET));
    const uncommented = stdout.replace(/^#(?=\S)/gm, '');
    assert.match(uncommented, /^allowed-origins = \[\]$/m);
    const plain = await lines([]);
    for (const [name, text] of Object.entries({ commented: stdout, uncommented })) {
      const path = join(dir, `${name}.toml`);
      writeFileSync(path, text);
      const values = (printed) => printed.slice(1).map((line) => line.split(' ').slice(0, 2));
      assert.deepEqual(values(await lines(['--config', path])), values(plain));
      const checked = await check(['--config', path, '--store', 'sqlite::memory:']);
      assert.equal(checked.code, 0, checked.stderr);
    }
  });
});

describe('polychat man', () => {
  const isHere = (program) => {
    try { return execFileSync(program, ['--version'], { stdio: 'pipe' }).length > 0; } catch { return false; }
  };

  test('prints a manual page with every option, which is well-formed', async () => {
    const { code, stdout, stderr } = await runToEnd(['man']);
    assert.equal(code, 0, stderr);
    const text = stdout.replaceAll('\\-', '-');
    const help = await runToEnd(['--help']);
    for (const [option] of help.stdout.matchAll(/--[a-z-]+/g)) assert.ok(text.includes(option), option);
    for (const word of ['--resume', '--ttl', 'completions', 'POLYCHAT_STORE']) assert.ok(text.includes(word), word);
    if (!isHere('groff')) return;
    const page = spawnSync('groff', ['-man', '-Tascii', '-ww', '-rLL=100n', '-P-cbou'], { input: stdout, encoding: 'utf8' });
    assert.equal(page.stderr, '');
    assert.match(page.stdout, /OPTIONS OF TOKEN[^]*--ttl/);
  });
});

describe('polychat completions', () => {
  test('are programs that the shell reads', async (t) => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, stdout, stderr } = await runToEnd(['completions', shell]);
      assert.equal(code, 0, stderr);
      for (const word of ['allowed-origins', 'resume']) assert.ok(stdout.includes(word), `${shell}: ${word}`);
    }
    const path = join(await tempDir(t), 'polychat.bash');
    writeFileSync(path, (await runToEnd(['completions', 'bash'])).stdout);
    const complete = 'source "$1"; COMP_WORDS=(polychat --allowed-o); COMP_CWORD=1; _polychat polychat --allowed-o polychat; echo "${COMPREPLY[@]}"';
    assert.equal(execFileSync('bash', ['-c', complete, 'bash', path], { encoding: 'utf8' }).trim(), '--allowed-origins');
    await assertRefused(runToEnd(['completions', 'tcsh']), /tcsh.*bash/);
  });
});

describe('polychat health', () => {
  test('ends well while the server is ready, and not where none is', async (t) => {
    const port = await freePort();
    const listen = ['--listen', `127.0.0.1:${port}`];
    await assertRefused(runToEnd(['health', ...listen]), /nobody answers/);
    const server = await startServer(t, listen);
    const everywhere = ['--listen', `0.0.0.0:${port}`];
    for (const options of [listen, everywhere]) {
      const { code, stderr } = await runToEnd(['health', ...options]);
      assert.equal(code, 0, stderr);
    }
    const { code } = await runToEnd(['health'], { env: { PORT: `${port}` } });
    assert.equal(code, 0);
    await server.stop();
    await assertRefused(runToEnd(['health', ...listen]), /nobody answers/);
  });
});
