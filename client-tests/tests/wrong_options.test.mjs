// @ts-check
// Owns the promise about mistakes in options, wherever they stand: one sentence that names the option, exit code 1, and
// nothing is created. Does not own the values that are right.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runToEnd, tempDir } from '../harness/server.mjs';
import { SECRET } from '../harness/tokens.mjs';

/** How many processes run at once. */
const AT_ONCE = 4;

const JWT = ['--auth', 'jwt'];
const PRIVATE = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });

/** The files of the directory in which each command runs. */
const FILES = {
  'empty': '', 'no-key.pem': 'no key', 'private.pem': PRIVATE, 'notes.db': 'no database\n'.repeat(1000), 'latin1.toml': Buffer.from([0xe9]),
};

/**
 * A wrong value of each option: by flag, unless `env` has its variable. The sentence has to name the option.
 * @type {Record<string, string[]>}
 */
const VALUES = {
  '--config': ['/no/such/file.toml', '.', 'latin1.toml', ''],
  '--listen': ['', ':', 'somewhere', '127.0.0.1', '127.0.0.1:70000', 'chat.example:80', '127.0.0.1:-1'],
  '--metrics-listen': ['', 'x', '3001', 'localhost:x'],
  '--store': ['', 'oracle:db', 'polychat', 'sqlite://x.db', 'sqlite:', 'sqlite:/no/such/folder/x.db', 'sqlite:.', 'notes.db', 'mongodb://', 'mongodb://h'],
  '--bus': ['nats://anna:s3cret@h', 'redis://:s3cret@h', '', 'mongodb', 'redis://', 'redis://h:x', 'redis://h/chat', 'redis://:s3cret#@h'],
  '--auth': ['', 'maybe', 'JWT,open'],
  '--timezone': ['', 'Mars/Olympus', 'UTC+25'],
  '--socketio': ['', 'fast'],
  '--own-numbers-from': ['0', '-1', 'x', '9007199254740993'],
  '--max-message-bytes': ['', '0', '-1', '1.5', '1k', 'many', '99999999999999999999999'],
  '--max-frame-bytes': ['0', 'x'],
  '--max-members': ['0', 'x'],
  '--max-outbox-bytes': ['0', 'x'],
  '--max-outbox-messages': ['0', 'x'],
  '--rate-limit': ['', '20', '0:5', 'x:y', '20:', '-1:5'],
  '--frame-limit': ['none', '5:0'],
  '--max-connections-per-user': ['0', '-1', 'many'],
  '--max-connections-per-address': ['0', 'x'],
  '--max-unauthenticated': ['0', 'x'],
  '--max-chats-per-user': ['0', 'x'],
  '--handshake-timeout': ['', 'soon', '10', '-1s', '0s'],
  '--trusted-proxies': ['10.0.0.0/40', 'proxy.example'],
  '--drain-delay': ['soon', '5', '19s'],
  '--drain': ['soon', '-1s', '1h'],
  '--shutdown-timeout': ['', 'soon', '20'],
  '--log-format': ['', 'xml'],
  '--log-level': ['warning', 'info,polychat=lod', 'verbose'],
  '--allowed-origins': ['nonsense', 'chat.example', 'https://a.example,b'],
  '--allowed-hosts': ['https://chat.example', 'chat.example:80', 'a b'],
};

/** The same of switches, which only a variable or a file can set to something. */
const SWITCHES = ['--insecure-open-auth', '--numeric-external-ids', '--log-requests'];

/**
 * A mistake: arguments, variables or the text of a file, and what the sentence has to contain; whether lines before it are
 * right.
 * @typedef {{ args: string[], env?: Record<string, string>, file?: string, why: RegExp, printed?: boolean }} Mistake
 */

/** Other mistakes. @type {Mistake[]} */
const OTHERS = [
  { args: ['--colour', 'blue'], why: /--colour/ },
  { args: ['--port', '3000'], why: /--port.*did you mean --listen/ },
  { args: ['-p', '3000'], why: /-p.*did you mean --listen/ },
  { args: ['--stroe', 'x.db'], why: /--stroe.*did you mean --store/ },
  { args: ['--listen'], why: /--listen/ },
  { args: ['--listen', ':1', '--listen', ':2'], why: /--listen/ },
  { args: ['dance'], why: /dance/ },
  { args: ['serve', 'now'], why: /now/ },
  { args: ['--listen', '127.0.0.1:0', 'serve'], why: /serve/ },
  { args: ['--log-requests=maybe'], why: /--log-requests/ },
  { args: JWT, why: /--jwt-secret/ },
  { args: ['--listen', ':0'], why: /--jwt-secret/ },
  { args: ['--listen', ':0', '--auth', 'open'], why: /--insecure-open-auth/ },
  { args: ['--listen', '127.0.0.1:7', '--metrics-listen', '127.0.0.1:7'], why: /--metrics-listen/ },
  { args: ['--listen', ':7', ...JWT, '--jwt-secret', SECRET, '--metrics-listen', '127.0.0.1:7'], why: /--metrics-listen/ },
  { args: ['--drain-delay', '9s', '--drain', '10s'], why: /--drain-delay.*--drain.*--shutdown-timeout/ },
  { args: ['--store', 'mongodb://h/db', '--bus', 'local'], why: /--bus.*local/ },
  { args: ['check', '--store', 'mongodb://anna:s3cret@h/db', '--bus', 'rediss://:s3cret@h/x'], why: /--bus.*number/ },
  { args: ['--bus', 'redis://:s3cret@h'], env: { MONGODB_URI: 'mongodb://anna:s3cret@h/db', POLYCHAT_BUS: '' }, file: 'bus = "local"\nstore = "sqlite:x.db"', why: /--bus/ },
  { args: [...JWT, '--jwt-secret', ''], why: /--jwt-secret\b/ },
  { args: [...JWT, '--jwt-secret', 'short'], why: /--jwt-secret\b/ },
  { args: [...JWT, '--jwt-secret-file', 'no-such-file'], why: /--jwt-secret-file.*no-such-file/ },
  { args: [...JWT, '--jwt-secret-file', 'empty'], why: /--jwt-secret-file/ },
  { args: [...JWT, '--jwt-secret-file', '.'], why: /--jwt-secret-file/ },
  { args: [...JWT, '--jwt-keys', 'no-such-file'], why: /--jwt-keys.*no-such-file/ },
  { args: [...JWT, '--jwt-keys', 'no-key.pem'], why: /--jwt-keys.*no-key\.pem/ },
  { args: [...JWT, '--jwt-keys', 'private.pem'], why: /--jwt-keys.*private\.pem/ },
  { args: [], env: { PORT: 'x' }, why: /PORT/ },
  { args: [], env: { PORT: '70000' }, why: /PORT/ },
  { args: [], env: { MONGODB_URI: 'postgres://anna:s3cret@h/db' }, why: /MONGODB_URI/ },
  { args: [], env: { RUST_LOG: 'loud' }, why: /RUST_LOG/ },
  { args: [], file: 'listen = [', why: /polychat\.toml: line 1/ },
  { args: [], file: 'colour = "blue"', why: /polychat\.toml.*colour/ },
  { args: [], file: 'port = 3000', why: /port.*did you mean listen/ },
  { args: [], file: 'config = "other.toml"', why: /config/ },
  { args: [], file: 'max-members = 1.5', why: /max-members/ },
  { args: [], file: 'listen = 2026-01-01', why: /listen/ },
  { args: [], file: '[limits]\nmax-members = 5', why: /limits/ },
  { args: [], file: 'max-members = "many"', why: /--max-members/ },
  { args: [], file: 'listen = "a"\nlisten = "b"', why: /polychat\.toml: line 2/ },
  { args: [], file: 'allowed-origins = [["a"], 1.5]', why: /allowed-origins/ },
  { args: ['token', '--jwt-secret', SECRET], why: /--user/ },
  { args: ['token', '--user', 'anna'], why: /--jwt-secret/ },
  { args: ['token', '--user', 'anna', '--jwt-secret', 'short'], why: /secret/ },
  { args: ['token', '--user', 'anna', '--ttl', 'soon', '--jwt-secret', SECRET], why: /--ttl/ },
  { args: ['token', '--user', 'anna', '--role', 'admin', '--jwt-secret', SECRET], why: /--role/ },
  { args: ['token', '--user', '', '--jwt-secret', SECRET], why: /--user|external user id/ },
  { args: ['token', '--check', 'x', '--user', 'anna'], why: /--check/ },
  { args: ['copy', '--from', 'a.db'], why: /--to/ },
  { args: ['copy', '--from', 'a.db', '--to', 'a.db'], why: /--from and --to/ },
  { args: ['copy', '--from', 'a.db', '--to', 'b.db'], why: /--from/ },
  { args: ['copy', '--from', 'notes.db', '--to', 'b.db'], why: /--from/ },
  { args: ['copy', '--from', 'oracle:a', '--to', 'b.db'], why: /--from/ },
  { args: ['completions'], why: /SHELL/i },
  { args: ['completions', 'tcsh'], why: /tcsh/ },
  { args: ['config', '--defaults'], why: /--defaults.*did you mean --default/ },
  { args: ['config', '--listen', 'x'], why: /--listen/ },
  { args: ['man', 'serve'], why: /serve/ },
  { args: ['health', '--listen', 'x'], why: /--listen/ },
  { args: ['check', '--listen', 'x'], why: /--listen/ },
  { args: ['check', '--store', 'oracle:db'], why: /--store/, printed: true },
];

const variable = (option) => `POLYCHAT_${option.slice(2).toUpperCase().replaceAll('-', '_')}`;
const named = (option) => new RegExp(`${option}\\b`);

/** Every mistake: by flag, by variable and by file where it has an option. */
function mistakes() {
  /** @type {Mistake[]} */
  const all = [...OTHERS];
  for (const [option, values] of Object.entries(VALUES)) {
    values.forEach((value, index) => {
      const why = named(option);
      all.push({ args: [`${option}=${value}`], why: option === '--config' ? new RegExp(value ? value.replaceAll('.', '\\.') : '--config') : why });
      // In each place at least once.
      if (index === 0 && value !== '' && option !== '--config') all.push({ args: [], env: { [variable(option)]: value }, why });
      if (index === 1) all.push({ args: [], file: `${option.slice(2)} = ${JSON.stringify(value)}`, why });
    });
  }
  for (const option of SWITCHES) {
    all.push({ args: [], env: { [variable(option)]: 'maybe' }, why: named(option) });
    all.push({ args: [], file: `${option.slice(2)} = "maybe"`, why: named(option) });
  }
  return all.filter(({ file }) => !file?.startsWith('config = "."'));
}

/**
 * What is wrong with the answer to a mistake: nothing, or a text.
 * @param {import('../harness/scope.mjs').Owner} t
 * @param {Mistake} mistake
 */
async function complaint(t, mistake) {
  const { args, env = {}, file, why, printed = false } = mistake;
  const cwd = await tempDir(t);
  for (const [name, content] of Object.entries(FILES)) writeFileSync(join(cwd, name), content);
  mkdirSync(join(cwd, 'folder'));
  if (file !== undefined) writeFileSync(join(cwd, 'polychat.toml'), file);
  const before = readdirSync(cwd, { recursive: true }).sort();
  if (file !== undefined) env.POLYCHAT_CONFIG = 'polychat.toml';
  // Another server may listen on the default address.
  if (!/listen|port/i.test(JSON.stringify([args, env, file]))) env.POLYCHAT_LISTEN = '127.0.0.1:0';
  const { code, signal, stdout, stderr } = await runToEnd(args, { env, cwd });
  const wrong = [
    code === 1 && signal === null ? '' : `ended with ${code ?? signal}`,
    /^polychat: [^\n]+\n$/.test(stderr) ? '' : 'printed no single sentence',
    why.test(stderr) ? '' : `did not name ${why}`,
    /panicked|backtrace|s3cret/i.test(stdout + stderr) ? 'printed too much' : '',
    stdout === '' || printed ? '' : 'printed something else, too',
    String(readdirSync(cwd, { recursive: true }).sort()) === String(before) ? '' : 'created a file',
  ].filter(Boolean);
  return wrong.length > 0 ? [`${JSON.stringify({ args, env, file })}: ${wrong.join(', ')}\n${stdout}${stderr}`] : [];
}

describe('a mistake in the options', () => {
  test('is one sentence that names the option, with exit code 1, and creates nothing', async (t) => {
    const waiting = mistakes();
    assert.ok(waiting.length >= 80, `${waiting.length}`);
    const complaints = [];
    const lane = async () => {
      for (let next = waiting.pop(); next; next = waiting.pop()) complaints.push(...await complaint(t, next));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    assert.equal(complaints.length, 0, `\n${complaints.join('\n')}`);
  });
});
