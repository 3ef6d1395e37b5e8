#!/usr/bin/env node
// @ts-check
// Markdown tables of the results of million.mjs.  node million-report.mjs A.json [B.json ...]
import fs from 'node:fs';

const number = (x) => (x === undefined ? '-' : x >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(2));
const sorted = (list) => [...list].sort((a, b) => a - b);

function pages(columns) {
  const kinds = new Set(columns.flatMap(({ of }) => Object.keys(of.history?.result ?? {})));
  if (!kinds.size) return [];
  const cell = (times) => (times ? `${number(times.p50)} / ${number(times.p99)} / ${number(times.max)}` : '-');
  return [
    `| p50 / p99 / max, ms | ${columns.map(({ head }) => head).join(' | ')} |`, `|---|${columns.map(() => '---:').join('|')}|`,
    ...[...kinds].map((kind) => `| ${kind} | ${columns.map(({ of }) => cell(of.history?.result[kind])).join(' | ')} |`),
    `| answers verified | ${columns.map(({ of: { history } }) => (history ? `${history.verify.answers}, ${history.verify.ok ? 'all right' : 'WRONG'}` : '-')).join(' | ')} |`, '',
  ];
}

function starts(columns) {
  if (!columns.some(({ of }) => of.start)) return [];
  const row = (what, after, field) => {
    const cells = columns.map(({ of }) => {
      const times = sorted((of.start?.[after] ?? []).map((one) => one[field]));
      return times.length ? `${number(times[times.length >> 1])} / ${number(times.at(-1))} (${times.length})` : '-';
    });
    return `| ${what} | ${cells.join(' | ')} |`;
  };
  return [
    `| median / max of the starts, ms | ${columns.map(({ head }) => head).join(' | ')} |`, `|---|${columns.map(() => '---:').join('|')}|`,
    row('after an orderly end, to `/readyz` 200', 'after_an_end', 'ready_ms'),
    row('the same, to the latest page of the chat', 'after_an_end', 'page_ms'),
    row('after `kill -9` while writing, to `/readyz` 200', 'after_a_kill', 'ready_ms'),
    row('the same, to the latest page of the chat', 'after_a_kill', 'page_ms'), '',
  ];
}

export function tables(files) {
  const columns = files.flatMap(({ name, million }) => Object.entries(million).map(([store, of]) => ({ head: `${name} ${store}`, of })));
  return [...pages(columns), ...starts(columns)].join('\n');
}

if (import.meta.filename === fs.realpathSync(process.argv[1])) {
  console.log(tables(process.argv.slice(2).map((file) => JSON.parse(fs.readFileSync(file, 'utf8')))));
}
