// @ts-check
// Owns the proxies under test: the configurations of docs/proxies as they stand there, with nothing changed but
// addresses, files, and time-outs that a test can outlive.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort, tempDir } from '../harness/server.mjs';
import { eventually, within } from '../harness/wait.mjs';

const CERTIFICATES = process.env.POLYCHAT_TEST_CERTIFICATES;
if (!CERTIFICATES) throw new Error('run these tests by `make proxies`');

/** Longer than polychat's pings are apart, shorter than the silence that a test keeps. */
const SILENCE = '30s';

const documented = (name) => readFileSync(new URL(`../../docs/proxies/${name}`, import.meta.url), 'utf8');

/** Replaces each text, which has to be there: a change of the documentation fails here. */
function changed(text, ...changes) {
  return changes.reduce((soFar, [from, to]) => {
    if (!soFar.includes(from)) throw new Error(`the documented configuration has no '${from}'`);
    return soFar.replaceAll(from, to);
  }, text);
}

/** The workers of a root's nginx would run as the user nobody, which may not write here. */
const AS_ROOT = process.getuid?.() === 0 ? ' user root;' : '';

const temporary = (dir) => ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  .map((what) => `${what}_temp_path ${join(dir, what)};`).join(' ');

const PROXIES = {
  nginx: {
    configuration: 'nginx.conf',
    changes: ({ port, backend, dir }) => [
      ['/run/nginx.pid', join(dir, 'nginx.pid')],
      ['/var/log/nginx/', `${dir}/`],
      ['http {', `http { ${temporary(dir)}`],
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
      ['listen 443', `listen 127.0.0.1:${port}`],
      ['chat.example;', 'localhost;'],
      ['/etc/nginx/chat.example', join(CERTIFICATES, 'localhost')],
      ['90s', SILENCE],
    ],
    command: (file, dir) => ['nginx', ['-p', dir, '-c', file, '-e', join(dir, 'error.log'), '-g', `daemon off;${AS_ROOT}`]],
    logs: ['error.log', 'polychat.log'],
  },
  haproxy: {
    configuration: 'haproxy.cfg',
    changes: ({ port, backend }) => [
      ['maxconn 30000', 'maxconn 1000'], // the tests' own limit of open files may be low
      ['bind :443', `bind 127.0.0.1:${port}`],
      ['/etc/haproxy/chat.example.pem', join(CERTIFICATES, 'localhost.pem')],
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
      ['90s', SILENCE],
    ],
    command: (file) => ['haproxy', ['-db', '-f', file]],
    logs: [],
  },
  caddy: {
    configuration: 'Caddyfile',
    changes: ({ port, backend, dir }) => [
      ['{\n\t# Failures', `{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system ${dir}\n\t# Failures`],
      ['chat.example {', `https://localhost:${port} {\n\tbind 127.0.0.1\n\ttls ${CERTIFICATES}/localhost.crt ${CERTIFICATES}/localhost.key`],
      ['127.0.0.1:3000', `127.0.0.1:${backend}`],
    ],
    command: (file) => ['caddy', ['run', '--adapter', 'caddyfile', '--config', file]],
    logs: [],
  },
};

export const NAMES = Object.keys(PROXIES);

/** Whether a server listens there. */
const listens = (port) => new Promise((resolve) => {
  const socket = connect(port, '127.0.0.1', () => resolve(true));
  socket.once('error', () => resolve(false));
  socket.once('connect', () => socket.destroy());
});

/** A proxy in front of the port `backend`; it ends with its owner. `logs()` is all that it has logged. */
export async function startProxy(owner, name, backend) {
  const { configuration, changes, command, logs } = PROXIES[name];
  const [dir, port] = [await tempDir(owner), await freePort()];
  const file = join(dir, configuration);
  await writeFile(file, changed(documented(configuration), ...changes({ port, backend, dir })));
  const [program, args] = command(file, dir);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: dir } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => { output += text; });
  const ended = new Promise((resolve) => { child.once('close', resolve); child.once('error', resolve); });
  owner.after(async () => {
    child.kill('SIGTERM');
    const hard = setTimeout(() => child.kill('SIGKILL'), 3000);
    await within(ended, () => `the end of ${name}`);
    clearTimeout(hard);
  });
  const ready = () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}\n${output}`);
    return listens(port);
  };
  await eventually(ready, `${name} listens`);
  return {
    name,
    port,
    url: `https://localhost:${port}`,
    logs: () => output + logs.map((log) => readFileSync(join(dir, log), 'utf8')).join(''),
  };
}
