#!/usr/bin/env node
// @ts-check
// Owns the comparison of two builds of the server: run in turn through the same scenarios, one table.
//   node compare.mjs BEFORE AFTER [--scenarios connect,chat,fanout] [--store memory|mongo] [--runs 3] [--secs 10]
//   node compare.mjs POLYCHAT POLYCHAT --after-args='--socketio native'
import { parseArgs } from 'node:util';
import path from 'node:path';
import { table } from './report.mjs';
import { OPTIONS, measure } from './run.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...OPTIONS,
    scenarios: { type: 'string', default: 'connect,chat,fanout' },
    store: { type: 'string', default: 'memory' },
    'before-args': { type: 'string', default: '' },
    'after-args': { type: 'string', default: '' },
  },
});
if (positionals.length !== 2) throw new Error('name two binaries: node compare.mjs BEFORE AFTER');

const STORE = values.store === 'mongo'
  ? "'mongodb://127.0.0.1:{mongo_port}/{mongo_db}?replicaSet=rs0'"
  : 'sqlite:{data}/polychat.db';
const servers = ['before', 'after'].map((name, index) => ({
  name,
  store: values.store,
  scenarios: values.scenarios.split(','),
  cmd: `'${path.resolve(positionals[index])}' --listen 127.0.0.1:{port} --rate-limit off --store ${STORE} ${values[`${name}-args`]}`,
  out: path.join(import.meta.dirname, 'results', `compare-${values.store}-${name}.json`),
}));
const { results, failed } = await measure(servers, values);
console.log(`\n${table(results)}`);
if (failed) console.log(`${failed} run(s) FAILED verification`);
process.exitCode = failed ? 2 : 0;
