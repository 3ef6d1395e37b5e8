// @ts-check
// Owns files of JSON lines in tests: writing them, moving them in and out with the commands, and the schema of a line.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvFormats from 'ajv-formats';
import { runToEnd, startCommand, tempDir } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

export const HEADER = { type: 'polychat', version: 1 };

/** The options of a server to which an import needs a service token. */
export const JWT = ['--auth', 'jwt', '--jwt-secret', SECRET];

/** Longer than a part of a large import takes on a busy machine. */
const IMPORT_MS = 120_000;

const textOf = (record) => (typeof record === 'string' ? record : JSON.stringify(record));

/** A file with these records, or lines, after the first one. */
export const linesOf = (records) => `${[HEADER, ...records].map(textOf).join('\n')}\n`;

let files = 0;

/** Saves a file in a folder of its own: its path. */
export async function saved(owner, content) {
  const path = join(await tempDir(owner), `${++files}.jsonl`);
  writeFileSync(path, content);
  return path;
}

/** The options of an import into a running server, whose tokens are signed. */
export async function into(owner, server) {
  const file = await saved(owner, await token({ sub: 'backend', role: 'service' }));
  return ['--to', server.url, '--token-file', file];
}

export const startImport = (file, args, options = {}) => startCommand(['import', file, ...args], { ms: IMPORT_MS, ...options });
export const runImport = (file, args, options = {}) => runToEnd(['import', file, ...args], { ms: IMPORT_MS, ...options });

/** Imports a file, in which nothing is refused: what was printed. */
export async function imported(file, args, options = {}) {
  const { code, stdout, stderr } = await runImport(file, args, options);
  assert.equal(code, 0, stdout + stderr);
  return stdout;
}

/** The numbers and the reasons of the lines at fault. */
export const faults = ({ stdout }) => (
  [...stdout.matchAll(/^line (\d+): (.*)$/gm)].map(([, line, why]) => ({ line: Number(line), why }))
);

/** An import that is refused as a whole: exit code 1, and one sentence. */
export function assertRefused({ code, stderr }, why) {
  assert.equal(code, 1, stderr);
  assert.equal(stderr.trim().split('\n').length, 1, `one sentence expected:\n${stderr}`);
  assert.match(stderr, why);
}

/** The lines of an export but the first, which has the time. */
export async function exported(store) {
  const { code, stdout, stderr } = await runToEnd(['export', '--store', store], { ms: IMPORT_MS });
  assert.equal(code, 0, stderr);
  return stdout.trim().split('\n').slice(1);
}

const ajv = new Ajv2020({ allowUnionTypes: true, strictRequired: false, strictTypes: false });
ajvFormats.default(ajv);
const validate = ajv.compile(JSON.parse(readFileSync(new URL('../../docs/import.schema.json', import.meta.url), 'utf8')));

/** Why the schema refuses this record; undefined if it does not. */
export const schemaFault = (record) => (validate(record) ? undefined : ajv.errorsText(validate.errors));
