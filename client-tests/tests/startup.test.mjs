// @ts-check
// Owns the promise about options: they are explained, applied, and refused in one clear sentence.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { freePort, runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const OPTIONS = [
  '--listen', '--store', '--auth', '--jwt-secret', '--jwt-keys', '--insecure-open-auth', '--allowed-origins',
  '--max-message-bytes', '--max-frame-bytes', '--max-members', '--max-outbox-bytes', '--log-format',
  '--shutdown-timeout', '--config',
];
const variable = (option) => `POLYCHAT_${option.slice(2).toUpperCase().replaceAll('-', '_')}`;

const SOMEWHERE = ['--listen', '127.0.0.1:0', '--store', 'sqlite::memory:'];

/** It does not start, and prints the reason in one line. */
async function assertRefuses(args, why, options) {
  const { code, signal, stdout, stderr } = await runToEnd(args, options);
  assert.equal(signal, null, stderr);
  assert.notEqual(code, 0, `it ended well\n${stdout}${stderr}`);
  const lines = stderr.split('\n').filter((line) => line.trim());
  assert.equal(lines.length, 1, `one sentence expected:\n${stderr}`);
  assert.match(lines[0], why);
  assert.doesNotMatch(stdout + stderr, /panicked|backtrace|listening on/i);
}

describe('--help', () => {
  test('names every option with its environment variable', async () => {
    const { code, stdout } = await runToEnd(['--help']);
    assert.equal(code, 0);
    for (const option of OPTIONS) {
      assert.ok(stdout.includes(option), `${option} is missing`);
      assert.match(stdout, new RegExp(`\\b${variable(option)}\\b`));
    }
  });

  test('and --version end well', async () => {
    const { code, stdout } = await runToEnd(['--version']);
    assert.equal(code, 0);
    assert.match(stdout, /^polychat \d+\.\d+\.\d+/);
  });
});

describe('the banner', () => {
  test('prints where it listens, the store and the authentication, and warns that everybody is trusted', async (t) => {
    const { path, store } = await storeFile(t);
    const server = await startServer(t, ['--store', store]);
    for (const part of [server.url, path, 'open', 'warn']) {
      await eventually(() => server.logs().toLowerCase().includes(part.toLowerCase()), `the banner names ${part}`);
    }
  });
});

describe('one clear sentence refuses', () => {
  /** The arguments, and the words in the sentence. @type {Record<string, [string[], RegExp]>} */
  const WRONG = {
    'an unknown option': [['--colour', 'blue'], /--colour/],
    'an unknown command': [['dance'], /dance/],
    'an option without its value': [['--listen'], /--listen/],
    'an address that is none': [['--listen', 'somewhere'], /listen|somewhere/],
    'a port beyond 65535': [['--listen', '127.0.0.1:70000'], /listen|70000/],
    'an option of another program': [['--port', '3000'], /--port.*did you mean --listen/],
    'a store with slashes before its path': [['--store', 'sqlite://x.db'], /write sqlite:x\.db/],
    'a port for all addresses without a key': [['--listen', ':0'], /--auth jwt needs/],
    'a store of an unknown kind': [['--store', 'oracle:db'], /store|oracle/],
    'a mode of authentication that is none': [['--auth', 'maybe'], /maybe/],
    'tokens without a key': [['--auth', 'jwt'], /jwt/],
    'a key file that does not exist': [['--auth', 'jwt', '--jwt-keys', '/no/such/key.pem'], /\/no\/such\/key\.pem/],
    'a limit that is no number': [['--max-message-bytes', 'many'], /--max-message-bytes|many/],
    'a time-out that is none': [['--shutdown-timeout', 'soon'], /--shutdown-timeout|soon/],
    'a log level that is none': [['--log-level', 'warning'], /--log-level.*"warning".*error, warn, info, debug/],
    'a log level that is none for a part': [['--log-level', 'info,polychat=lod'], /--log-level.*"polychat=lod".*warn/],
    'a log format that is none': [['--log-format', 'xml'], /xml/],
    'a configuration file that does not exist': [['--config', '/no/such/file.toml'], /\/no\/such\/file\.toml/],
  };

  for (const [what, [args, why]] of Object.entries(WRONG)) {
    const defaults = SOMEWHERE.filter((_, index) => !args.includes(SOMEWHERE[index - (index % 2)]));
    test(what, () => assertRefuses([...defaults, ...args], why));
  }

  test('a log level in a variable', async () => {
    await assertRefuses(SOMEWHERE, /--log-level.*"inf0".*info/, { env: { POLYCHAT_LOG_LEVEL: 'inf0' } });
    await assertRefuses(SOMEWHERE, /RUST_LOG.*"WARNING".*warn/, { env: { RUST_LOG: 'WARNING' } });
    await assertRefuses(['check', ...SOMEWHERE], /RUST_LOG.*"WARNING".*warn/, { env: { RUST_LOG: 'WARNING' } });
  });

  test('to trust everybody on an address that others can reach', async () => {
    const args = ['--listen', '0.0.0.0:0', '--store', 'sqlite::memory:'];
    await assertRefuses([...args, '--auth', 'open'], /insecure-open-auth/);
    await assertRefuses(args, /--auth jwt needs/);
  });

  test('a key file that holds no key', async (t) => {
    const path = join(await tempDir(t), 'key.pem');
    await writeFile(path, 'no key');
    await assertRefuses([...SOMEWHERE, '--auth', 'jwt', '--jwt-keys', path], /key\.pem/);
  });

  test('a port that is occupied', async (t) => {
    const { port } = await startServer(t);
    const args = ['--listen', `127.0.0.1:${port}`, '--store', 'sqlite::memory:'];
    await assertRefuses(args, new RegExp(`${port}`));
  });

  test('a store below something that is no directory', async (t) => {
    const path = join(await tempDir(t), 'notes.txt');
    await writeFile(path, 'no directory');
    await assertRefuses(['--listen', '127.0.0.1:0', '--store', `sqlite:${path}/chat.db`], /notes\.txt/);
  });

  test('a store that is a directory', async (t) => {
    const path = join(await tempDir(t), 'chat.db');
    await mkdir(path);
    await assertRefuses(['--listen', '127.0.0.1:0', '--store', `sqlite:${path}`], /chat\.db/);
  });

  test('a store that is no database', async (t) => {
    const { path, store } = await storeFile(t);
    await writeFile(path, 'SQLite? No, a shopping list.\n'.repeat(1000));
    await assertRefuses(['--listen', '127.0.0.1:0', '--store', store], /chat\.db/);
  });

  test('a store that another server uses, which continues', async (t) => {
    const { store } = await storeFile(t);
    const first = await startServer(t, ['--store', store]);
    await assertRefuses(['--listen', '127.0.0.1:0', '--store', store], /chat\.db/);
    assert.equal((await fetch(`${first.url}/readyz`)).status, 200);
  });

  test('a store of a newer version', async (t) => {
    const { path, store } = await storeFile(t);
    const server = await startServer(t, ['--store', store]);
    await server.stop();
    raiseSchemaVersion(path);
    await assertRefuses(['--listen', '127.0.0.1:0', '--store', store], /newer|version|schema/);
  });
});

/** Makes the file look as if a later version of the server had written it. */
function raiseSchemaVersion(path) {
  const script = [
    'import sqlite3, sys',
    'db = sqlite3.connect(sys.argv[1])',
    'version = db.execute("PRAGMA user_version").fetchone()[0]',
    'db.execute(f"PRAGMA user_version = {version + 1000}")',
    'db.commit()',
  ];
  execFileSync('python3', ['-c', script.join('\n'), path]);
}

describe('configuration', () => {
  /** Three stores, to see by the files which setting was applied. */
  async function stores(t) {
    const dir = await tempDir(t);
    const store = (name) => ({ path: join(dir, name), store: `sqlite:${join(dir, name)}` });
    return { dir, file: store('file.db'), env: store('env.db'), flag: store('flag.db') };
  }

  function configFile(dir, settings) {
    const path = join(dir, 'polychat.toml');
    writeFileSync(path, Object.entries(settings).map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`).join(''));
    return path;
  }

  test('comes from a file, over which the environment wins, over which the command line wins', async (t) => {
    const { dir, file, env, flag } = await stores(t);
    const config = configFile(dir, { listen: '127.0.0.1:0', store: file.store });
    const made = () => [file, env, flag].map(({ path }) => existsSync(path));

    await startServer(t, ['--config', config], { bare: true });
    assert.deepEqual(made(), [true, false, false]);
    const POLYCHAT_STORE = env.store;
    await startServer(t, ['--config', config], { bare: true, env: { POLYCHAT_STORE } });
    assert.deepEqual(made(), [true, true, false]);
    await startServer(t, ['--config', config, '--store', flag.store], { bare: true, env: { POLYCHAT_STORE } });
    assert.deepEqual(made(), [true, true, true]);
  });

  test('may name its file in the environment', async (t) => {
    const { dir, file } = await stores(t);
    const POLYCHAT_CONFIG = configFile(dir, { listen: '127.0.0.1:0', store: file.store });
    await startServer(t, [], { bare: true, env: { POLYCHAT_CONFIG } });
    assert.ok(existsSync(file.path));
  });

  test('with an unknown key is refused, and the key is named', async (t) => {
    const { dir, file } = await stores(t);
    const config = configFile(dir, { listen: '127.0.0.1:0', store: file.store, colour: 'blue' });
    await assertRefuses(['--config', config], /colour/);
    assert.ok(!existsSync(file.path));
  });

  test('with a value of the wrong type is refused, and the key is named', async (t) => {
    const { dir } = await stores(t);
    await assertRefuses(['--config', configFile(dir, { listen: 7 })], /listen/);
  });

  test('that is no TOML is refused, and the file is named', async (t) => {
    const { dir } = await stores(t);
    const path = join(dir, 'broken.toml');
    await writeFile(path, 'listen = [\n');
    await assertRefuses(['--config', path], /broken\.toml/);
  });

  test('of the port may come as PORT alone, which wins over the file', async (t) => {
    const { dir, file } = await stores(t);
    const port = await freePort();
    const args = ['--config', configFile(dir, { listen: '127.0.0.1:0', store: file.store })];
    const server = await startServer(t, args, { bare: true, env: { PORT: `${port}` } });
    assert.equal(server.port, port);
  });

  test('takes the name of this machine as an address, and a path as a store', async (t) => {
    const path = join(await tempDir(t), 'chat.db');
    const server = await startServer(t, ['--listen', 'localhost:0', '--store', path]);
    assert.ok(existsSync(path));
    assert.match(server.logs(), /sqlite:.*chat\.db/);
  });

  test('names variables that no option reads, in one line', async (t) => {
    const env = { POLYCHAT_STORRE: 'sqlite:s3cret.db', POLYCHAT_PORT: '3000', POLYCHAT_TEST_MONGODB: 'x' };
    const server = await startServer(t, [], { env });
    const lines = () => server.logs().split('\n').filter((line) => /STORRE|POLYCHAT_PORT/.test(line));
    await eventually(() => lines().length > 0, 'a line about them');
    assert.equal(lines().length, 1);
    assert.match(lines()[0], /WARN.*no option reads POLYCHAT_PORT, POLYCHAT_STORRE of the environment/);
    assert.doesNotMatch(server.logs(), /s3cret|TEST_MONGODB/);
    const { code, stdout } = await runToEnd(['check', ...SOMEWHERE], { env });
    assert.equal(code, 0);
    assert.match(stdout, /^options +no option reads POLYCHAT_PORT, POLYCHAT_STORRE/m);
  });

  test('of the port on the command line wins over PORT', async (t) => {
    const [here, there] = [await freePort(), await freePort()];
    const server = await startServer(t, ['--listen', `127.0.0.1:${here}`], { env: { PORT: `${there}` } });
    assert.equal(server.port, here);
  });
});
