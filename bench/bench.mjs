#!/usr/bin/env node
// @ts-check
// Owns `make bench`: polychat and the Node peer in turn, on both stores, one table, and whether the targets were met.
// Does not know the scenarios: run.mjs does.
import { parseArgs } from 'node:util';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { at, median, show } from './report.mjs';
import { OPTIONS, RAW, SCENARIOS, measure } from './run.mjs';

const HERE = import.meta.dirname;
const BINARY = process.env.POLYCHAT_BIN ?? path.join(HERE, '../target/release/polychat');

const BOTH = ['connect', 'chat', 'fanout', 'rate'];
// The raw dialects, and reconnecting, are polychat's alone. On the second store only what differs there.
const ALONE = ['reconnect', ...[...BOTH, 'reconnect'].flatMap((scenario) => RAW.map((dialect) => `${scenario}-${dialect}`))];

const POLYCHAT = `'${BINARY}' --listen 127.0.0.1:{port} --rate-limit off`;
const NODE = 'node peers/node-socketio/server.mjs';
const SERVERS = [
  { name: 'node-memory', title: 'Node, in memory', store: 'memory', cmd: NODE, scenarios: BOTH },
  { name: 'polychat-sqlite', title: 'polychat, SQLite', store: 'memory', cmd: `${POLYCHAT} --store sqlite:{data}/polychat.db`, scenarios: [...BOTH, ...ALONE], peer: 'node-memory' },
  { name: 'polychat-native', title: 'polychat, SQLite, native', store: 'memory', cmd: `${POLYCHAT} --store sqlite:{data}/polychat.db --socketio native`, scenarios: ['connect', 'chat', 'fanout'], peer: 'node-memory' },
  { name: 'node-mongodb', title: 'Node, MongoDB', store: 'mongo', cmd: NODE, scenarios: BOTH },
  {
    name: 'polychat-mongodb', title: 'polychat, MongoDB', store: 'mongo', scenarios: [...BOTH, 'reconnect'], peer: 'node-mongodb',
    cmd: `${POLYCHAT} --store 'mongodb://127.0.0.1:{mongo_port}/{mongo_db}?replicaSet=rs0'`,
  },
];

// Beside `rate`: the same with nothing to sync, and syncs with nothing else.
const MEMORY = { name: 'polychat-memory', title: 'polychat, SQLite in memory', store: 'memory', scenarios: ['rate'], cmd: `${POLYCHAT} --store sqlite::memory:` };
const DISK = { name: 'disk', title: 'syncs alone: 16 KiB, 500 a second', store: 'memory', scenarios: ['ceiling-disk'] };

const CPU = 'resources/server/cpu_us_per_';
const DELIVERY = 'result/delivery_latency_ms/';
// The columns of the table for each scenario. A raw dialect's ratio is to the peer's Socket.IO.
const ROWS = {
  connect: [
    ['connections/s', 'result/connections_per_s'],
    ['server CPU, µs/connection', `${CPU}connection`],
    ['memory of an idle connection, KiB', 'result/server_rss_per_connection_kib'],
  ],
  chat: [
    ['acknowledged messages/s', 'result/acked_msgs_per_s'],
    ['server CPU, µs/delivery', `${CPU}delivery`],
    ['delivery p99, ms', `${DELIVERY}p99`],
  ],
  fanout: [
    ['deliveries/s', 'result/deliveries_per_s'],
    ['server CPU, µs/delivery', `${CPU}delivery`],
    ['delivery p99, ms', `${DELIVERY}p99`],
  ],
  rate: [
    ['server CPU, µs/message', `${CPU}ack`],
    ['delivery p50, ms', `${DELIVERY}p50`],
    ['delivery p99, ms', `${DELIVERY}p99`],
    ['delivery p99.9, ms', `${DELIVERY}p999`],
  ],
  reconnect: [
    ['clients caught up/s', 'result/caught_up_per_s'],
    ['until the last has, ms', 'result/last_caught_up_ms/p50'],
    ['server CPU, µs/client', `${CPU}client`],
  ],
};

// A metric of one server, and the least or the most that it may be: times the same of another server, or as it stands.
/**
 * @typedef {{ what: string, server: string, scenario: string, key: string, times?: string, least?: number, most?: number }} Target
 * @type {Target[]}
 */
const TARGETS = [
  { what: 'chat on SQLite: acknowledged messages/s', server: 'polychat-sqlite', scenario: 'chat', key: 'result/acked_msgs_per_s', times: 'node-memory', least: 3 },
  { what: 'chat on SQLite: CPU per delivery', server: 'polychat-sqlite', scenario: 'chat', key: `${CPU}delivery`, times: 'node-memory', most: 1 / 3 },
  { what: 'chat on MongoDB: acknowledged messages/s', server: 'polychat-mongodb', scenario: 'chat', key: 'result/acked_msgs_per_s', times: 'node-mongodb', least: 10 },
  { what: 'fan-out: deliveries/s', server: 'polychat-sqlite', scenario: 'fanout', key: 'result/deliveries_per_s', times: 'node-memory', least: 3 },
  { what: 'fan-out: CPU per delivery', server: 'polychat-sqlite', scenario: 'fanout', key: `${CPU}delivery`, times: 'node-memory', most: 1 / 3 },
  { what: 'rate 500/s on SQLite: delivery p99', server: 'polychat-sqlite', scenario: 'rate', key: `${DELIVERY}p99`, times: 'node-memory', most: 1 },
  { what: 'connect: connections/s', server: 'polychat-sqlite', scenario: 'connect', key: 'result/connections_per_s', times: 'node-memory', least: 4 },
  { what: 'idle memory over Socket.IO', server: 'polychat-sqlite', scenario: 'connect', key: 'result/server_rss_per_connection_kib', times: 'node-memory', most: 1 },
  { what: 'connect, native: connections/s', server: 'polychat-native', scenario: 'connect', key: 'result/connections_per_s', times: 'node-memory', least: 5 },
  { what: 'idle memory over Socket.IO, native, KiB', server: 'polychat-native', scenario: 'connect', key: 'result/server_rss_per_connection_kib', most: 6 },
  { what: 'idle memory over a raw WebSocket, KiB', server: 'polychat-sqlite', scenario: 'connect-type', key: 'result/server_rss_per_connection_kib', most: 5 },
];

const { values } = parseArgs({
  options: { ...OPTIONS, help: { type: 'boolean' }, scenarios: { type: 'string', default: process.env.BENCH_SCENARIOS ?? '' } },
});
if (values.help) {
  console.log(`node bench.mjs [options]
  --scenarios LIST     of ${[...BOTH, ...ALONE].join(',')}
                       (or BENCH_SCENARIOS=); all of them if not given
  --runs N --secs S --warmup S --port PORT --pin split|none --loadgen ARG --mongod PATH --lock FILE
                       as run.mjs has them
  The server is POLYCHAT_BIN=, by default ../target/release/polychat.`);
  process.exit();
}

const peerScenario = (scenario) => scenario.replace(/-(action|type)$/, '');

/** One metric of each verified run; runs that are not verified do not count. */
function measured(results, server, scenario, key) {
  const runs = results.find(({ name }) => name === server)?.scenarios[scenario] ?? [];
  return runs.filter(({ verify }) => verify?.ok ?? true).map((run) => at(run, key)).filter((each) => typeof each === 'number');
}

const middle = (...which) => { const found = measured(...which); return found.length > 0 ? median(found) : undefined; };

function cell(found) {
  if (found.length === 0) return '–';
  const range = found.length > 1 ? ` (${show(Math.min(...found))} – ${show(Math.max(...found))})` : '';
  return `${show(median(found))}${range}`;
}

function table(results, scenarios) {
  const heads = SERVERS.flatMap(({ title, peer }) => (peer ? [title, '×'] : [title]));
  const lines = [`| scenario | median (least – most) | ${heads.join(' | ')} |`, `|---|---|${heads.map(() => '---:|').join('')}`];
  for (const scenario of scenarios) {
    ROWS[peerScenario(scenario)].forEach(([label, key], index) => {
      const cells = SERVERS.flatMap(({ name, peer }) => {
        const mine = measured(results, name, scenario, key);
        if (!peer) return [cell(mine)];
        const base = middle(results, peer, peerScenario(scenario), key);
        return [cell(mine), mine.length > 0 && base ? (median(mine) / base).toFixed(2) : '–'];
      });
      lines.push(`| ${index === 0 ? scenario : ''} | ${label} | ${cells.join(' | ')} |`);
    });
  }
  return lines.join('\n');
}

/** The parts of the latencies of `rate`. */
function disk(results) {
  const kinds = ['p50', 'p99', 'p999'];
  const row = ({ title, name }, scenario, key) => `| ${title} | ${kinds.map((kind) => cell(measured(results, name, scenario, `${key}${kind}`))).join(' | ')} |`;
  return [
    '| `rate`, ms: median (least – most) | p50 | p99 | p99.9 |', '|---|---:|---:|---:|',
    ...[SERVERS[0], MEMORY, SERVERS[1]].map((server) => row(server, 'rate', DELIVERY)),
    row(DISK, 'ceiling-disk', 'result/sync_latency_ms/'),
  ].join('\n');
}

/** @param {any} results @param {Target} target */
function verdict(results, { server, scenario, key, times, least, most = Infinity }) {
  const mine = middle(results, server, scenario, key);
  const base = times ? middle(results, times, scenario, key) : 1;
  if (mine === undefined || base === undefined) return { shown: '–', met: 'not measured' };
  const value = mine / base;
  const met = least === undefined ? value <= most : value >= least;
  return { shown: times ? `${value.toFixed(2)}×` : show(value), met: met ? 'met' : 'MISSED' };
}

function targets(results) {
  const lines = ['| target | required | measured | |', '|---|---|---:|---|'];
  for (const target of TARGETS) {
    const { shown, met } = verdict(results, target);
    const bound = target.least ?? target.most ?? Infinity;
    const times = target.times ? `× ${SERVERS.find(({ name }) => name === target.times)?.title}` : '';
    lines.push(`| ${target.what} | ${target.least ? 'at least' : 'at most'} ${Number(bound.toFixed(2))} ${times} | ${shown} | ${met} |`);
  }
  return lines.join('\n');
}

function unverified(results) {
  return results.flatMap(({ name, scenarios }) => Object.entries(scenarios).flatMap(([scenario, runs]) => (
    runs.flatMap(({ verify }, index) => (verify?.ok ?? true ? [] : [`- ${name}, ${scenario}, run ${index + 1}: ${JSON.stringify(verify.errors)}`]))
  )));
}

const wanted = values.scenarios ? values.scenarios.split(',') : [...BOTH, ...ALONE];
for (const scenario of wanted) {
  if (!SCENARIOS[scenario]) throw new Error(`no scenario ${scenario}`);
}
if (os.cpus().length < 2 && values.pin === 'split') throw new Error('the server needs a CPU to itself: two at least, or --pin none');
if (!fs.existsSync(BINARY)) throw new Error(`no polychat at ${BINARY}: make build, or let POLYCHAT_BIN name one`);
const withDisk = wanted.includes('rate');
const servers = [...SERVERS, ...(withDisk ? [MEMORY, DISK] : [])].map((server) => {
  const out = path.join(HERE, 'results', `${server.name}.json`);
  fs.rmSync(out, { force: true });
  return { ...server, out, scenarios: [...wanted, 'ceiling-disk'].filter((scenario) => server.scenarios.includes(scenario)) };
});
const { results, failed } = await measure(servers.filter(({ scenarios }) => scenarios.length > 0), values);
console.log(`
${os.cpus()[0].model}, ${os.cpus().length} CPUs, Linux ${os.release()}, Node ${process.versions.node}; ${values.runs} runs of ${values.secs} s, --pin ${values.pin}

${table(results, wanted)}

– : the Node peer has no raw dialect and cannot catch up; × is polychat to the Node peer on the same kind of store (a raw
dialect to the peer's Socket.IO). Only verified runs count.

${withDisk ? `${disk(results)}\n\n` : ''}${targets(results)}
`);
if (failed) {
  console.log(`${failed} run(s) FAILED verification:\n${unverified(results).join('\n')}`);
  process.exitCode = 2;
}
