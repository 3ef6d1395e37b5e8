// @ts-check
// Owns the processes of a measurement: where they run, how they start and end, the mongod, the folder for data. Does
// not know the scenarios.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { connect, createServer } from 'node:net';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const HERE = import.meta.dirname;
const ROOT = path.join(HERE, '..');
const FETCHED = path.join(ROOT, 'target/mongod/mongod');
/** Data of the servers and of mongod: next to the project, since a temporary folder may be in memory. */
const DATA = path.join(HERE, '.data');
const TMPFS = 0x01021994;
const START_MS = 30_000;

export const LOADGEN = process.env.LOADGEN ?? path.join(HERE, 'loadgen/target/release/loadgen');
export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

const mine = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of mine) child.kill('SIGKILL');
  for (const folder of folders) fs.rmSync(folder, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/** 'split': the server has CPU 0 to itself; generator and mongod share CPU 1. 'none': the scheduler decides. */
export const onCpu = (pin, cpu, argv) => (pin === 'split' ? ['taskset', '-c', `${cpu}`, ...argv] : argv);

// Own session, so own scheduler group; above ordinary work, so that a compiler in the background costs little.
// Without the right to raise priorities the run goes on at the ordinary one.
export function start(argv, { nice, ...options }) {
  const spawned = spawn(argv[0], argv.slice(1), { cwd: HERE, detached: true, ...options });
  const ended = new Promise((resolve) => {
    spawned.once('exit', resolve);
    spawned.once('error', (error) => { console.error(`${argv[0]}: ${error.message}`); resolve(-1); });
  });
  const child = Object.assign(spawned, { ended });
  mine.add(child);
  ended.then(() => mine.delete(child));
  if (child.pid) {
    try { os.setPriority(child.pid, nice); } catch { /* no right to */ }
    try { fs.writeFileSync(`/proc/${child.pid}/autogroup`, `${nice}`); } catch { /* no such feature, or no right */ }
  }
  return child;
}

/** Ends a process, by force after a while. */
export async function stop(child) {
  if (!mine.has(child)) return;
  child.kill('SIGTERM');
  const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await child.ended;
  clearTimeout(force);
}

/** Waits until something listens there. */
export async function listening(port, child) {
  for (const end = Date.now() + START_MS; Date.now() < end;) {
    if (!mine.has(child)) throw new Error(`${child.spawnargs.join(' ')} ended before it listened`);
    const open = await new Promise((resolve) => {
      const socket = connect(Number(port), '127.0.0.1', () => { socket.destroy(); resolve(true); });
      socket.on('error', () => resolve(false));
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}`);
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** A new folder on a disk. In memory an fsync costs nothing, and the metrics would mean nothing. */
export function newFolder() {
  fs.mkdirSync(DATA, { recursive: true });
  if (fs.statfsSync(DATA).type === TMPFS) throw new Error(`${DATA} is in memory, not on a disk`);
  const folder = fs.mkdtempSync(path.join(DATA, 'run-'));
  folders.add(folder);
  return folder;
}

export function removeFolder(folder) {
  fs.rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** Two measurements never overlap: each run holds this file. Returns a function that releases it. */
export async function lock(file) {
  const holder = spawn('flock', [file, 'sh', '-c', 'echo locked; cat >/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    holder.stdout.once('data', resolve);
    holder.once('exit', () => reject(new Error(`no lock on ${file}`)));
    holder.once('error', reject);
  });
  return () => holder.stdin.end();
}

/** The MongoDB driver: the peer's, else that of the client tests. */
export function mongoDriver() {
  for (const place of ['peers/node-socketio/', '../client-tests/']) {
    try { return createRequire(path.join(HERE, place))('mongodb'); } catch { /* not installed there */ }
  }
  throw new Error('no MongoDB driver: npm ci in peers/node-socketio, or make client');
}

/** A replica set of one member in a new folder: `port`, `url`, `pid`; `empty(database)`, `stop()`. */
export async function startMongod({ binary = process.env.MONGOD || FETCHED, pin }) {
  if (!fs.existsSync(binary)) throw new Error(`no mongod at ${binary}: make mongod, or let MONGOD name one`);
  const { MongoClient } = mongoDriver();
  const [port, folder] = [await freePort(), newFolder()];
  const child = start(onCpu(pin, 1, [
    binary, '--dbpath', folder, '--port', `${port}`, '--bind_ip', '127.0.0.1', '--nounixsocket', '--replSet', 'rs0',
    '--wiredTigerCacheSizeGB', '2', '--logpath', path.join(folder, 'mongod.log'),
  ]), { nice: -10, stdio: 'ignore' });
  await listening(port, child);
  const direct = await MongoClient.connect(`mongodb://127.0.0.1:${port}/?directConnection=true`);
  await direct.db('admin').command({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: `127.0.0.1:${port}` }] } });
  await direct.close();
  const url = `mongodb://127.0.0.1:${port}/?replicaSet=rs0`;
  const client = await MongoClient.connect(url); // waits for the primary
  await client.db('admin').command({ ping: 1 });
  return {
    port,
    url,
    pid: child.pid,
    empty: (database) => client.db(database).dropDatabase(),
    stop: async () => {
      await client.close();
      await stop(child);
      removeFolder(folder);
    },
  };
}
