#!/usr/bin/env node
// @ts-check
// Owns the count of instructions per delivery: each server under callgrind, a short run and a long one of the same
// scenario; their difference leaves out the start and the setup. It needs valgrind, and takes minutes.
//   node instructions.mjs 'CMD' ['CMD' …] [--scenario chat|fanout] [--short 3] [--long 9], in CMD {port}, {data}
import { parseArgs } from 'node:util';
import fs from 'node:fs';
import path from 'node:path';
import { LOADGEN, freePort, listening, newFolder, removeFolder, start, stop } from './lab.mjs';
import { SCENARIOS } from './run.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    scenario: { type: 'string', default: 'chat' }, short: { type: 'string', default: '3' }, long: { type: 'string', default: '9' },
  },
});
if (positionals.length === 0) throw new Error('name a server: node instructions.mjs \'CMD\'');

/** One run: the instructions of the whole process, and what it delivered. */
async function run(cmd, secs) {
  const [port, folder] = [await freePort(), newFolder()];
  const counts = path.join(folder, 'callgrind.out');
  const argv = cmd.replaceAll('{port}', `${port}`).replaceAll('{data}', folder);
  const valgrind = `valgrind --tool=callgrind --callgrind-out-file=${counts}`;
  const server = start(['sh', '-c', `exec ${valgrind} ${argv}`], { nice: 0, stdio: 'ignore' });
  try {
    await listening(port, server);
    const report = path.join(folder, 'report.json');
    const load = start([
      LOADGEN, ...SCENARIOS[values.scenario], '--url', `ws://127.0.0.1:${port}`, '--secs', secs, '--warmup', '1', '--wait', 'nap:250',
      '--json', report,
    ], { nice: 0, stdio: ['ignore', 'ignore', 'inherit'] });
    if (await load.ended !== 0) throw new Error('the run was not verified');
    const { verify: { delivered_unique: delivered } } = JSON.parse(fs.readFileSync(report, 'utf8'));
    await stop(server);
    const [, instructions] = /^(?:summary|totals): (\d+)/m.exec(fs.readFileSync(counts, 'utf8')) ?? [];
    return { instructions: Number(instructions), delivered };
  } finally {
    await stop(server);
    removeFolder(folder);
  }
}

for (const cmd of positionals) {
  const [short, long] = [await run(cmd, values.short), await run(cmd, values.long)];
  const delivered = long.delivered - short.delivered;
  const each = (long.instructions - short.instructions) / delivered;
  console.log(`${values.scenario}: ${each.toFixed(0)} instructions per delivery (${delivered} deliveries)  ${cmd}`);
}
