// @ts-check
// Owns the process under test: starts the binary, waits for its banner, keeps its output, ends it. Another server whose
// banner is the same can stand beside it.
import { spawn } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Changes, within } from './wait.mjs';

/** The server under test. */
export const BINARY = process.env.POLYCHAT_BIN ?? fileURLToPath(new URL('../../target/release/polychat', import.meta.url));
const BANNER = /listening on http:\/\/[^\s:]+:(\d+)/;
const START_MS = 60_000;
const EXIT_MS = 40_000;

/** The replica set for all stores, if the tests run on MongoDB. */
const REPLICA_SET = process.env.POLYCHAT_TEST_MONGODB;

/** The side that decodes the events of Socket.IO clients: the default one, or the one on which the tests are run. */
export const SOCKETIO = process.env.POLYCHAT_TEST_SOCKETIO ?? 'socketioxide';
/**
 * Tests end a server without a drain, whose default is ten seconds on MongoDB: a stop would take them hundreds of times.
 */
const AT_ONCE = { POLYCHAT_DRAIN_DELAY: '0s', POLYCHAT_DRAIN: '0s' };
const SIDE = SOCKETIO === 'socketioxide' ? {} : { POLYCHAT_SOCKETIO: SOCKETIO };

/** A new database. */
function database() {
  const url = new URL(/** @type {string} */ (REPLICA_SET));
  url.pathname = `/test-${randomUUID()}`;
  return url.href;
}

/** The variables that the server inherits: none that could configure it. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH'];

const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });

function launch(program, args, env, /** @type {{ input?: string | Buffer, cwd?: string }} */ { input, cwd } = {}) {
  const inherited = INHERITED.filter((name) => name in process.env).map((name) => [name, process.env[name]]);
  const child = spawn(program, args, {
    env: { ...Object.fromEntries(inherited), ...env },
    cwd,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  child.stdin?.on('error', () => {}).end(input); // it may end before it has read everything
  const output = { stdout: '', stderr: '', over: false, changes: new Changes() };
  for (const stream of ['stdout', 'stderr']) {
    child[stream].setEncoding('utf8').on('data', (text) => {
      output[stream] += text;
      output.changes.happened();
    });
  }
  running.add(child);
  const ended = new Promise((resolve, reject) => {
    child.on('error', ({ message }) => {
      reject(new Error(`cannot run ${program} (build it, or set POLYCHAT_BIN): ${message}`));
    });
    child.on('close', (code, signal) => resolve({ code, signal }));
  });
  const over = () => {
    running.delete(child);
    output.over = true;
    output.changes.happened();
  };
  ended.then(over, over); // an error is reported where it is awaited
  return { child, output, ended };
}

/**
 * The binary while it runs a command: `ended` with what it printed, `kill` without warning.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string | Buffer, cwd?: string, ms?: number }} options
 */
export function startCommand(args, { env = {}, input, cwd, ms } = {}) {
  const { child, output, ended } = launch(BINARY, args, env, { input, cwd });
  const what = () => `the end of 'polychat ${args.join(' ')}'\n${output.stdout}${output.stderr}`;
  const exit = async () => {
    try {
      return { ...await within(ended, what, ms), stdout: output.stdout, stderr: output.stderr };
    } finally {
      child.kill('SIGKILL');
    }
  };
  return { pid: child.pid, ended: exit(), kill: () => child.kill('SIGKILL') };
}

/**
 * Runs the binary until it exits.
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, input?: string | Buffer, cwd?: string, ms?: number }} options
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export const runToEnd = (args, options = {}) => startCommand(args, options).ended;

/** A process that listens. */
class Server {
  /** The port that it listens on, and its address, once it is ready. */
  port = 0;
  url = '';
  #child;
  #output;
  #ended;

  constructor(program, args, env) {
    const { child, output, ended } = launch(program, args, env);
    this.#child = child;
    this.#output = output;
    this.#ended = ended;
  }

  get pid() { return this.#child.pid; }

  async ready() {
    const output = this.#output;
    const delivered = () => BANNER.exec(output.stdout) ?? output.over;
    const banner = await output.changes.until(delivered, () => `the banner\n${this.logs()}`, START_MS);
    if (banner === true) {
      const { code } = await this.#ended;
      throw new Error(`the server ended with code ${code} before it listened\n${this.logs()}`);
    }
    this.port = Number(banner[1]);
    this.url = `http://127.0.0.1:${this.port}`;
    return this;
  }

  logs() { return this.#output.stdout + this.#output.stderr; }

  /** Ends it in order. */
  stop(signal = 'SIGTERM') { return this.#end(signal); }

  /** Ends it without warning. */
  kill() { return this.#end('SIGKILL'); }

  async #end(signal) {
    this.#child.kill(signal);
    return within(this.#ended, () => `the end of the server after ${signal}\n${this.logs()}`, EXIT_MS);
  }

  /** Resident memory in bytes: now, and the highest ever. */
  memory() {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    const bytes = (field) => {
      const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status);
      if (!found) throw new Error(`/proc/${this.pid}/status has no ${field}`);
      return Number(found[1]) * 1024;
    };
    return { now: bytes('VmRSS'), peak: bytes('VmHWM') };
  }

  /** How many sockets the process holds open. */
  openSockets() {
    const fds = `/proc/${this.pid}/fd`;
    const target = (fd) => {
      try { return readlinkSync(join(fds, fd)); } catch { return ''; } // closed meanwhile
    };
    return readdirSync(fds).filter((fd) => target(fd).startsWith('socket:')).length;
  }
}

/**
 * A listening server that ends with its owner: a test's `t`, or a suite's scope.
 * By default it has a free port, a store of its own and no rate limit; `bare` leaves these defaults out.
 * @param {import('./scope.mjs').Owner} owner
 * @param {string[]} args
 * @param {{ env?: Record<string, string>, bare?: boolean }} options
 */
export async function startServer(owner, args = [], { env = {}, bare = false } = {}) {
  const defaults = bare ? [] : [
    ['--listen', '127.0.0.1:0'], ['--store', REPLICA_SET ? database() : 'sqlite::memory:'], ['--rate-limit', 'off'],
  ];
  const missing = defaults.filter(([flag]) => !args.includes(flag)).flat();
  const server = new Server(BINARY, [...missing, ...args], { ...SIDE, ...AT_ONCE, ...env });
  owner.after(async () => {
    await server.kill();
    if (server.logs().includes('panicked at')) throw new Error(`the server panicked\n${server.logs()}`);
  });
  return server.ready();
}

/** A program of this directory that listens, in a process that ends with its owner. */
function startProgram(owner, file, args) {
  const program = new Server(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args], {});
  owner.after(() => program.kill());
  return program.ready();
}

/**
 * Node's socket.io, the reference for the clients' behaviour: a listening server that ends with its owner.
 * @param {import('./scope.mjs').Owner} owner
 * @param {number} port 0 picks a free one
 */
export const startReference = (owner, port = 0) => startProgram(owner, 'reference-server.mjs', [`${port}`]);

/**
 * A chat on Node's socket.io, the reference for the cases of conformance. Rejects the token `wrong`.
 * @param {import('./scope.mjs').Owner} owner
 * @param {{ handshakeSecs?: number }} options
 */
export const startNodeChat = (owner, { handshakeSecs } = {}) => startProgram(owner, 'node-chat.mjs', [`${handshakeSecs ?? ''}`]);

/**
 * A directory of its own, gone afterwards.
 * @param {import('./scope.mjs').Owner} owner
 */
export async function tempDir(owner) {
  const path = await mkdtemp(join(tmpdir(), 'polychat-test-'));
  owner.after(() => rm(path, { recursive: true, force: true, maxRetries: 20 }));
  return path;
}

/**
 * A store that outlives its server, and does not exist yet: a file, unless the tests are run on a replica set, where it
 * has no path.
 * @param {import('./scope.mjs').Owner} owner
 * @returns {Promise<{ store: string, path: any }>}
 */
export async function storeFile(owner) {
  if (REPLICA_SET) return { store: database(), path: undefined };
  const path = join(await tempDir(owner), 'chat.db');
  return { path, store: `sqlite:${path}` };
}

/** The lowest ephemeral port. */
const lowestOutgoing = () => Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s/)[0]);

const FIRST_PORT = 10_000;

const isFree = (port) => new Promise((resolve) => {
  const probe = createServer();
  probe.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
});

/**
 * A port that was free a moment ago, and is not ephemeral: among thousands of clients that reconnect to a server that is
 * not there, one would get the server's port for its own end, and connect to itself.
 */
export async function freePort() {
  const outgoing = lowestOutgoing();
  const end = outgoing > FIRST_PORT + 1000 ? outgoing : 65_536;
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(FIRST_PORT, end);
    if (await isFree(port)) return port;
  }
  throw new Error(`found no free port from ${FIRST_PORT} to ${end}`);
}
