// @ts-check
// Owns several servers on one store, which stand for the nodes of a cluster: on a replica set that the file's tests share,
// with a database of their own, on each bus that there is. NODES=1 has one server stand for all of them.
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { before, describe } from 'node:test';
import { startMongod } from './mongod.mjs';
import { useScope } from './scope.mjs';
import { startServer } from './server.mjs';

/** Whether one server stands for all nodes: what fails then is no fault of several nodes. */
export const ONE_SERVER = process.env.NODES === '1';

const REDIS = new URL('./redis.mjs', import.meta.url);

/** The buses between the nodes; NODES_BUS selects one. */
const ALL = ONE_SERVER ? ['one server'] : ['mongodb', ...(existsSync(REDIS) ? ['redis'] : [])];
export const BUSES = process.env.NODES_BUS ? ALL.filter((bus) => bus === process.env.NODES_BUS) : ALL;
if (BUSES.length === 0) throw new Error(`NODES_BUS is ${process.env.NODES_BUS}, and no bus: ${ALL}`);

/** The replica set and the redis outlast every server of the file. */
const file = useScope();
let mongod;
let redis;

/** The options that put nodes on a bus. */
async function busOptions(bus) {
  if (bus !== 'redis') return []; // the default on this store
  redis ??= import(REDIS.href).then(({ startRedis }) => startRedis(file));
  return ['--bus', `redis://127.0.0.1:${(await redis).port}`];
}

/**
 * Servers on a new database, on free ports, which end with their owner; `another` starts one more. With NODES=1 all are the
 * same one.
 * @param {import('./scope.mjs').Owner} owner
 * @param {number} count
 * @param {{ bus?: string, args?: string[] }} options
 */
export async function startNodes(owner, count = 2, { bus = BUSES[0], args = [] } = {}) {
  mongod ??= startMongod(file);
  const store = new URL((await mongod).url);
  store.pathname = `/nodes-${randomUUID()}`;
  const options = ['--store', store.href, ...await busOptions(bus), ...args];
  const start = () => startServer(owner, options);
  if (ONE_SERVER) {
    const server = await start();
    return Object.assign(Array(count).fill(server), { another: async () => server });
  }
  return Object.assign(await Promise.all(Array.from({ length: count }, start)), { another: start });
}

/** Ends a node without warning; with NODES=1, the connections of its clients alone. */
export async function crash(node, clients) {
  if (ONE_SERVER) for (const client of clients) client.vanish();
  else await node.kill();
}

/**
 * Declares the tests of `declare` for each bus, with the nodes, which are there once the tests run.
 * @param {number} count
 * @param {(nodes: { url: string, port: number }[], options: { bus: string }) => void} declare
 * @param {{ args?: string[] }} options
 */
export function onEachBus(count, declare, { args } = {}) {
  for (const bus of BUSES) {
    describe(`with ${bus}`, () => {
      const scope = useScope();
      const nodes = [];
      before(async () => { nodes.push(...await startNodes(scope, count, { bus, args })); });
      declare(nodes, { bus });
    });
  }
}

/** Both directions between two nodes: the names of what is done where, and the nodes by index. */
export const DIRECTIONS = [{ title: 'from the first node to the second', here: 0, there: 1 },
  { title: 'from the second node to the first', here: 1, there: 0 }];
