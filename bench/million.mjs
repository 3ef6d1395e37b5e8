#!/usr/bin/env node
// @ts-check
// A chat of a million messages: fills it, reads pages of it wherever they lie, and starts the server on it, on both
// stores.  node million.mjs --help
import fs from 'node:fs';
import { connect as tcp } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { LOADGEN, freePort, lock, newFolder, onCpu, sleep, start as launch } from './lab.mjs';
import { Mongod } from './million-mongod.mjs';
import { tables } from './million-report.mjs';

const HERE = import.meta.dirname;
const ROOT = path.join(HERE, '..');

const { values: o } = parseArgs({
  options: {
    help: { type: 'boolean' },
    bin: { type: 'string', default: process.env.POLYCHAT_BIN ?? path.join(ROOT, 'target/release/polychat') },
    generator: { type: 'string', default: LOADGEN },
    mongod: { type: 'string', default: process.env.MONGOD ?? path.join(ROOT, 'target/mongod/mongod') },
    name: { type: 'string', default: 'million' },
    stores: { type: 'string', default: 'sqlite,mongodb' },
    scenarios: { type: 'string', default: 'history,start' },
    messages: { type: 'string', default: '1000000' },
    reads: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    starts: { type: 'string', default: '9' },
    kills: { type: 'string', default: '5' },
    keep: { type: 'string' },
    out: { type: 'string' },
    lock: { type: 'string', default: path.join(os.tmpdir(), 'bench.lock') },
  },
});
if (o.help) {
  console.log(`node million.mjs [options]
  --bin PATH           the server (or POLYCHAT_BIN=); default target/release/polychat
  --mongod PATH        (or MONGOD=)
  --stores LIST        of sqlite,mongodb
  --scenarios LIST     of history,start
  --messages N         in the chat; 1000000
  --reads N            of each kind, alone and again eight at once; --only TEXT: only kinds whose name contains it
  --starts N --kills N how often the server is started after an orderly end, and after a kill -9 in the middle of writing
  --keep FOLDER        where the stores stand and stay; a later run finds them filled. Default: removed at the end
  --out FILE           default results/NAME.json`);
  process.exit(0);
}

// Server and generator on a CPU each.
const run = (argv, cpu, stdio) => launch(onCpu('split', cpu, argv), { nice: -10, stdio, cwd: process.cwd() });

async function locked(work) {
  const unlock = await lock(o.lock);
  try { return await work(); } finally { unlock(); }
}

// One request on a connection of its own; false until there is a 200.
function answers(port, target) {
  return new Promise((resolve) => {
    const socket = tcp(port, '127.0.0.1', () => socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`));
    socket.once('data', (head) => { socket.destroy(); resolve(head.toString('latin1').startsWith('HTTP/1.1 200')); });
    socket.on('error', () => resolve(false));
    socket.on('close', () => resolve(false));
  });
}

class Server {
  constructor(port, store) {
    this.port = port;
    this.begun = performance.now();
    this.child = run([o.bin, '--listen', `127.0.0.1:${port}`, '--rate-limit', 'off', '--drain-delay', '0s', '--drain', '0s', '--store', store], 0, ['ignore', 'ignore', 'inherit']);
  }

  static async start(store) {
    return new Server(await freePort(), store);
  }

  // Milliseconds since the process was started.
  async until(target) {
    for (const end = performance.now() + 60_000; performance.now() < end;) {
      if (await answers(this.port, target)) return performance.now() - this.begun;
      if (this.child.exitCode !== null) throw new Error(`the server ended with ${this.child.exitCode}`);
      await sleep(1);
    }
    throw new Error('the server did not get ready within a minute');
  }

  async end() {
    this.child.kill();
    await this.child.ended;
  }

  async kill() {
    this.child.kill('SIGKILL');
    await this.child.ended;
  }
}

async function generate(argv) {
  const json = path.join(os.tmpdir(), `million-${process.pid}.json`);
  fs.rmSync(json, { force: true });
  const code = await run([o.generator, ...argv, '--json', json], 1, 'inherit').ended;
  if (!fs.existsSync(json)) throw new Error(`${argv[0]}: the generator gave no result (exit ${code})`);
  const result = JSON.parse(fs.readFileSync(json, 'utf8'));
  fs.rmSync(json);
  if (!result.verify.ok) process.exitCode = 2;
  return result;
}

const target = (server) => ['--url', `ws://127.0.0.1:${server.port}`];

async function fill(store, state) {
  if (fs.existsSync(path.join(state, 'stored.json'))) return undefined;
  const server = await Server.start(store);
  await server.until('/readyz');
  const filled = await generate(['fill', ...target(server), '--state', state, '--messages', o.messages]);
  await server.end();
  return filled;
}

async function history(store, state, mongod) {
  const server = await Server.start(store);
  await server.until('/readyz');
  const also = mongod ? ['--also', `mongod=${mongod.pid}`] : [];
  const read = await generate(['history', ...target(server), '--state', state, '--reads', o.reads, '--only', o.only,
    '--wait', 'block', '--pid', `${server.child.pid}`, ...also]);
  await server.end();
  return read;
}

async function start(store, state) {
  const { chat } = JSON.parse(fs.readFileSync(path.join(state, 'stored.json'), 'utf8'));
  const page = `/api/v1/chats/${chat.id}/messages?limit=100`;
  const once_ = async (times) => {
    const server = await Server.start(store);
    const ready = await server.until('/readyz');
    times.push({ ready_ms: ready, page_ms: await server.until(page) });
    return server;
  };
  const measured = { after_an_end: [], after_a_kill: [] };
  await (await once_([])).end();
  for (let i = 0; i < Number(o.starts); i++) await (await once_(measured.after_an_end)).end();
  for (let i = 0; i < Number(o.kills); i++) {
    const server = await Server.start(store);
    await server.until('/readyz');
    // It fails, since its server is killed; its output is ignored.
    const writer = run([o.generator, 'chat', ...target(server), '--secs', '60', '--json', '/dev/null'], 1, 'ignore');
    await sleep(3000 + 211 * i);
    await server.kill();
    writer.kill('SIGKILL');
    await writer.ended;
    await (await once_(measured.after_a_kill)).end();
  }
  return measured;
}

const out = o.out ?? path.join(HERE, 'results', `${o.name}.json`);
const folder = o.keep ?? newFolder();
const result = { name: o.name, million: {} };
for (const kind of o.stores.split(',')) {
  const at = path.join(folder, kind);
  fs.mkdirSync(at, { recursive: true });
  const mongod = kind === 'mongodb' ? await Mongod.start(o.mongod, path.join(at, 'data'), await freePort(), run) : undefined;
  const store = mongod ? mongod.database('million') : `sqlite:${path.join(at, 'polychat.db')}`;
  const state = path.join(at, 'state');
  result.million[kind] = await locked(async () => {
    const of = { fill: await fill(store, state) };
    if (o.scenarios.includes('history')) of.history = await history(store, state, mongod);
    if (o.scenarios.includes('start')) of.start = await start(store, state);
    return of;
  });
  await mongod?.end();
  fs.mkdirSync(path.dirname(out), { recursive: true });
  fs.writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`);
}
console.log(`\n${tables([result])}`);
process.exit();
