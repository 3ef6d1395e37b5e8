// @ts-check
// Owns clients of each Socket.IO library that reconnect as configured by default: the official ones, and programs in
// other languages that print their events. Does not know why a connection ends.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { open } from '../clients/socketio.mjs';

/** The transports of the official clients; the programs know them by these names. */
const TRANSPORTS = { websocket: ['websocket'], polling: ['polling'], upgraded: ['polling', 'websocket'] };

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const PYTHON = ['python3', path('../clients/python/client.py')];
const PYTHON_PACKAGES = path('../../target/python');
const RUST = path('../clients/rust/target/debug/rust-client');

/** The events of one client. */
class ReconnectingClient {
  connects = 0;
  /** @type {string[]} */
  texts = [];
  /** @type {string[]} */
  log = [];
  /** Whether it uses the transport that it is to end with. */
  isSettled = () => this.connects > 0;

  constructor(name) { this.name = name; }

  note(event, detail) {
    this.log.push(`${event} ${JSON.stringify(detail)}`);
    if (event === 'connected') this.connects += 1;
    if (event === 'message') this.texts.push(detail.msg);
  }
}

function startOfficial(owner, client, url, { version, transport, token }) {
  const opened = (socket) => {
    socket.on('connect', () => client.note('connected'));
    socket.on('disconnect', (reason) => client.note('disconnected', reason));
    socket.on('new-message', (message) => client.note('message', message));
    client.isSettled = () => socket.connected && socket.io.engine.transport.name === TRANSPORTS[transport].at(-1);
  };
  const transports = TRANSPORTS[transport];
  open(owner, url, { client: version, transports, reconnection: true, auth: { token }, query: { token }, opened });
}

function startProgram(owner, client, url, { command: [program, ...args], transport, token }) {
  const child = spawn(program, [...args, url, transport, token], {
    env: { ...process.env, PYTHONPATH: PYTHON_PACKAGES }, stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.once('error', ({ message }) => client.note(`cannot run ${program} (make client builds it)`, message));
  child.once('close', (code) => client.note('ended', code));
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { event, detail } = JSON.parse(line);
    client.note(event, detail);
  });
  child.stderr.setEncoding('utf8').on('data', (text) => client.note('stderr', text));
  owner.after(() => child.kill('SIGKILL'));
}

/** @type {Record<string, { start: (...args: any[]) => void, version?: number, command?: string[] }>} */
const LIBRARIES = {
  'socket.io-client 4': { start: startOfficial, version: 4 },
  'socket.io-client 3': { start: startOfficial, version: 3 },
  'socket.io-client 2': { start: startOfficial, version: 2 },
  'python-socketio with threads': { start: startProgram, command: [...PYTHON, 'sync'] },
  'python-socketio on asyncio': { start: startProgram, command: [...PYTHON, 'asyncio'] },
  rust_socketio: { start: startProgram, command: [RUST] },
};

const COMBINATIONS = Object.entries(LIBRARIES).flatMap(([library, options]) => (
  Object.keys(TRANSPORTS).map((transport) => ({ name: `${library}, ${transport}`, transport, ...options }))
));

/** The names of all clients: each library with each transport. */
export const NAMES = COMBINATIONS.map(({ name }) => name);

/**
 * Starts a client of each library with each transport; they end with their owner.
 * @param {import('../harness/scope.mjs').Owner} owner
 */
export function startClients(owner, url, token) {
  return COMBINATIONS.map(({ name, start, ...options }) => {
    const client = new ReconnectingClient(name);
    start(owner, client, url, { ...options, token });
    return client;
  });
}
