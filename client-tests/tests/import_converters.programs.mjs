// @ts-check
// Owns running the converters of examples/import, the Django project that one of them reads, and the file that they write.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../harness/server.mjs';
import { ROOT } from './documents.markdown.mjs';

const MOST_BYTES = 64 * 1024 * 1024;
const beside = (name) => join(import.meta.dirname, name);
const example = (path) => join(ROOT, 'examples/import', path);

/**
 * Runs a program to its end.
 * @param {string} program
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, input?: string | Buffer }} options
 * @returns {Promise<{ code: number, stdout: string, stderr: string }>}
 */
function run(program, args, { cwd, env = {}, input } = {}) {
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, { cwd, env: { ...process.env, ...env }, maxBuffer: MOST_BYTES }, (error, stdout, stderr) => {
      if (error && typeof error.code !== 'number') reject(error);
      else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
    });
    if (input !== undefined) child.stdin?.end(input);
  });
}

/** Converts a CSV file, or what is given as standard input. */
export const convertCsv = (args, input) => run('python3', [example('csv/csv_to_polychat.py'), ...args], { input });

/** The converter of MongoDB with its package, as a reader would install it. */
export async function mongodbConverter(owner) {
  const folder = await tempDir(owner);
  copyFileSync(example('mongodb/mongodb_to_polychat.mjs'), join(folder, 'mongodb_to_polychat.mjs'));
  symlinkSync(join(ROOT, 'client-tests/node_modules'), join(folder, 'node_modules'));
  return (...args) => run(process.execPath, ['mongodb_to_polychat.mjs', ...args], { cwd: folder });
}

/** A Django project with the rooms and messages of the tutorial of Channels. */
class DjangoProject {
  #folder;
  #env;

  constructor(folder, hasZones) {
    this.#folder = folder;
    this.#env = { USE_TZ: hasZones ? 'yes' : 'no', PYTHONPATH: join(ROOT, 'target/python') };
    for (const [module, file] of [['chat', 'models'], ['mysite', 'settings']]) {
      mkdirSync(join(folder, module));
      writeFileSync(join(folder, module, '__init__.py'), '');
      copyFileSync(beside(`import_converters.${file}.py`), join(folder, module, `${file}.py`));
    }
  }

  async #run(...args) {
    const { code, stdout, stderr } = await run('python3', [beside('import_converters.project.py'), ...args], {
      cwd: this.#folder, env: this.#env,
    });
    assert.equal(code, 0, stderr);
    return stdout;
  }

  create() { return this.#run('create'); }

  /** Adds more messages, and a room, as time goes on. */
  add() { return this.#run('add'); }

  /** What it has. */
  async dump() { return JSON.parse(await this.#run('dump')); }

  convert(args, env = { DJANGO_SETTINGS_MODULE: 'mysite.settings' }) {
    return run('python3', [example('django/django_to_polychat.py'), ...args], {
      cwd: this.#folder, env: { ...this.#env, ...env },
    });
  }
}

/** A project in a folder with users, rooms and messages; its times have zones, or are those of its TIME_ZONE. */
export async function djangoProjectIn(folder, { hasZones = true } = {}) {
  const project = new DjangoProject(folder, hasZones);
  await project.create();
  return project;
}

/** The same in a folder of its own. */
export const djangoProject = async (owner, options) => djangoProjectIn(await tempDir(owner), options);

/** The file of a converter that left nothing out: its records by type. */
export function recordsOf({ code, stdout, stderr }, exit = 0) {
  assert.equal(code, exit, stderr);
  assert.ok(stdout.endsWith('\n'), 'the last line ends');
  const [header, ...lines] = stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line));
  assert.deepEqual(header, { type: 'polychat', version: 1 });
  const of = (type) => lines.filter((line) => line.type === type).map(({ type: _, ...record }) => record);
  const records = { users: of('user'), chats: of('chat'), messages: of('message') };
  assert.equal(records.users.length + records.chats.length + records.messages.length, lines.length, 'no other types');
  return records;
}

/** The lines of standard error, without the name of the program. */
export const reportOf = ({ stderr }) => stderr.trim().split('\n').map((line) => line.replace(/^\w+_to_polychat: /, ''));

/** The reasons why a program could not begin: one line. */
export function failureOf(result) {
  assert.equal(result.code, 2, result.stderr);
  const lines = reportOf(result);
  assert.equal(lines.length, 1, result.stderr);
  return lines[0];
}
