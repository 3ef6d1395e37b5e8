#!/usr/bin/env node
// @ts-check
// Five hostile users do the worst that the default limits allow: how long does a bystander wait for its acknowledgements,
// against the same without them?  node hostile.mjs --help
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { LOADGEN, freePort, listening, lock, newFolder, onCpu, sleep, start, stop } from './lab.mjs';
import { ATTACKS } from './hostile/attacks.mjs';
import { fill } from './hostile/store.mjs';

const ROOT = path.join(import.meta.dirname, '..');
/** Twenty senders of 10 messages a second: half of what a user may send, so that none is refused. */
const RATE = 200;
const BYSTANDERS = ['rate', '--rate', `${RATE}`, '--rooms', '20', '--members', '10'];
/** How long the attacks run before the bystanders' acknowledgements are measured. */
const LEAD_MS = 3000;

const { values: o } = parseArgs({
  options: {
    help: { type: 'boolean' },
    bin: { type: 'string', default: process.env.POLYCHAT_BIN ?? path.join(ROOT, 'target/release/polychat') },
    runs: { type: 'string', default: '5' },
    secs: { type: 'string', default: '11' },
    only: { type: 'string', default: Object.keys(ATTACKS).join() },
    closed: { type: 'string', default: '300000' },
    members: { type: 'string', default: '4000' },
    messages: { type: 'string', default: '500000' },
    keep: { type: 'string' },
    args: { type: 'string', default: '' },
    lock: { type: 'string', default: path.join(os.tmpdir(), 'bench.lock') },
  },
});
if (o.help) {
  console.log(`node hostile.mjs [options]
  --bin PATH           the server (or POLYCHAT_BIN=); default target/release/polychat
  --args 'OPTIONS'     more options of the server
  --runs N --secs S    pairs of runs, each quiet, then hostile, all with one process of the server; default 5, 11
  --only LIST          of ${Object.keys(ATTACKS).join()}; all of them at once
  --closed N           closed chats of others in the store; 300000
  --members N          of the large room; 4000
  --messages N         of each room that is deleted, one in each pair; 500000
  --keep FOLDER        where the filled store stands and stays: each run works on a copy of it. Default: removed at the end`);
  process.exit(0);
}

/** A server on its own CPU; the rest shares the other one. */
async function server(file, options) {
  const port = await freePort();
  const argv = [o.bin, '--listen', `127.0.0.1:${port}`, '--store', `sqlite:${file}`, ...options];
  const child = start(onCpu('split', 0, argv), { nice: -10, stdio: ['ignore', 'ignore', 'inherit'] });
  await listening(port, child);
  return { port, child };
}

async function filled(folder) {
  const [file, note] = [path.join(folder, 'polychat.db'), path.join(folder, 'stored.json')];
  if (!fs.existsSync(note)) {
    const { port, child } = await server(file, ['--rate-limit', 'off', '--max-chats-per-user', 'off']);
    const stored = await fill(port, { closed: Number(o.closed), members: Number(o.members), messages: Number(o.messages), rooms: Number(o.runs) });
    await stop(child);
    fs.writeFileSync(note, JSON.stringify(stored));
  }
  const copy = path.join(newFolder(), 'polychat.db');
  fs.copyFileSync(file, copy);
  return { file: copy, stored: JSON.parse(fs.readFileSync(note, 'utf8')) };
}

/** The bystanders' acknowledgements, each delivery verified. */
async function bystanders({ port, child }) {
  const json = path.join(os.tmpdir(), `hostile-${process.pid}.json`);
  fs.rmSync(json, { force: true });
  const argv = [LOADGEN, ...BYSTANDERS, '--url', `ws://127.0.0.1:${port}`, '--pid', `${child.pid}`, '--secs', o.secs, '--json', json,
    '--pin', '1', '--prio', '-15', '--wait', 'nap:100'];
  const code = await start(argv, { nice: -15, stdio: ['ignore', 'ignore', 'inherit'] }).ended;
  if (!fs.existsSync(json)) throw new Error(`the generator gave no result (exit ${code})`);
  const result = JSON.parse(fs.readFileSync(json, 'utf8'));
  fs.rmSync(json);
  if (!result.verify.ok) throw new Error(`not verified: ${JSON.stringify(result.verify)}`);
  return result;
}

async function hostile(running, stored) {
  const end = new AbortController();
  const attacks = o.only.split(',').map(async (name) => [name, await ATTACKS[name]({ port: running.port, signal: end.signal, stored })]);
  await sleep(LEAD_MS);
  const result = await bystanders(running);
  end.abort();
  return { ...result, counts: Object.fromEntries(await Promise.all(attacks)) };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const p99 = ({ result }) => result.ack_latency_ms.p99;
const acks = ({ result }) => Math.round(result.acked_msgs_per_s * Number(o.secs));

// The hostile users, with this process, beside the generator and below it: never on the server's processor.
execFileSync('taskset', ['-acp', '1', `${process.pid}`]);
const unlock = await lock(o.lock);
const { file, stored } = await filled(o.keep ?? newFolder());
const running = await server(file, o.args.split(' ').filter(Boolean));
const pairs = [];
for (let run = 1; run <= Number(o.runs); run++) {
  const quiet = await bystanders(running);
  const loud = await hostile(running, stored);
  pairs.push({ quiet: p99(quiet), hostile: p99(loud), ratio: p99(loud) / p99(quiet) });
  console.log(`pair ${run}: quiet p99 ${p99(quiet)} ms, hostile p99 ${p99(loud)} ms (max ${loud.result.ack_latency_ms.max}), ${acks(quiet)} and ${acks(loud)} acknowledgements, ${JSON.stringify(loud.counts)}`);
}
await stop(running.child);
unlock();
console.log(`median ratio ${median(pairs.map(({ ratio }) => ratio)).toFixed(2)} of quiet p99 ${median(pairs.map(({ quiet }) => quiet))} ms, hostile p99 ${median(pairs.map(({ hostile: ms }) => ms))} ms`);
process.exit();
