// @ts-check
// Owns the promise that a backup or a restore that is killed at any step leaves no half file: a backup exists and is
// whole, or does not exist; a store is the old one or the restored one, and the next restore succeeds.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { connectUser, connectUsers } from '../clients/fixtures.mjs';
import { killer } from '../harness/preload.mjs';
import { useScope } from '../harness/scope.mjs';
import { runToEnd, startServer, storeFile, tempDir } from '../harness/server.mjs';

/** A run has fewer steps than this. */
const MOST_STEPS = 200;

/** Fewer would mean that the steps are not seen. */
const LEAST_STEPS = 8;

const FILES = ['', '-wal', '-shm'];

const scope = useScope();
let folder;
let backup;
let left;
let kill;
before(async () => {
  kill = await killer(scope);
  folder = await tempDir(scope);
  backup = join(folder, 'backup.db');
  left = join(folder, 'left.db');
  const { path, store } = await storeFile(scope);
  const server = await startServer(scope, ['--store', store]);
  await connectUsers(scope, server, 'anna', 'boris');
  const { code, stderr } = await runToEnd(['backup', backup, '--store', store]);
  assert.equal(code, 0, stderr);
  await connectUser(scope, server, 'clara');
  await server.kill();
  for (const end of FILES) copyFileSync(`${path}${end}`, `${left}${end}`);
});

/** Runs a command, each time in a new folder and killed one step later, until it ends: how many steps it has. */
async function atEachStep(command, prepare, judge) {
  for (let step = 1; step < MOST_STEPS; step++) {
    const place = join(folder, 'place');
    rmSync(place, { recursive: true, force: true });
    mkdirSync(place);
    const target = join(place, 'chat.db');
    prepare(target);
    const { code, signal, stderr } = await runToEnd(command(target), { env: kill.at(step) });
    await judge(target, code === 0);
    if (code === 0) return step - 1;
    assert.equal(signal, 'SIGKILL', `step ${step}: ${stderr}`);
  }
  throw new Error(`it has ${MOST_STEPS} steps or more`);
}

/** How many users a start finds in the file; nothing if there is no file. */
async function users(path) {
  const { code, stdout, stderr } = await runToEnd(['check', '--listen', '127.0.0.1:0', '--store', `sqlite:${path}`]);
  assert.equal(code, 0, stderr);
  if (/none yet/.test(stdout)) return undefined;
  return Number(/(\d+) users/.exec(stdout)?.[1]);
}

const leave = (target, files) => { for (const end of files) copyFileSync(`${left}${end}`, `${target}${end}`); };

const restoring = (target) => ['restore', backup, '--store', `sqlite:${target}`, '--replace'];

async function assertRestorable(target) {
  const { code, stderr } = await runToEnd(restoring(target));
  assert.equal(code, 0, stderr);
  assert.equal(await users(target), 2);
  assert.ok(!existsSync(`${target}.part`));
}

describe('killed at each of its steps', () => {
  test('a backup leaves no file or a whole one, and the store as it was', async () => {
    const outcomes = new Set();
    const file = join(folder, 'place/copy.db');
    const steps = await atEachStep(
      (target) => ['backup', file, '--store', `sqlite:${target}`],
      (target) => leave(target, FILES),
      async (target, isOver) => {
        const isThere = existsSync(file);
        outcomes.add(isThere);
        assert.ok(isThere || !isOver);
        if (isThere) assert.equal(await users(file), 3);
        else assert.equal((await runToEnd(['backup', file, '--store', `sqlite:${target}`])).code, 0);
        assert.ok(!existsSync(`${file}.part`));
        assert.equal(await users(target), 3);
      },
    );
    assert.ok(steps >= LEAST_STEPS, `${steps} steps`);
    assert.deepEqual([...outcomes], [false, true]);
  });

  test('a restore over a store that a killed server left is the old store or the new one', async () => {
    const outcomes = new Set();
    const steps = await atEachStep(restoring, (target) => leave(target, FILES), async (target, isOver) => {
      const found = await users(target);
      outcomes.add(found);
      if (isOver) assert.equal(found, 2);
      const kept = readdirSync(join(folder, 'place')).filter((name) => /before-restore.*Z$/.test(name));
      // Where the new one is in the place, the old one is beside it.
      if (found === 2) assert.equal(await users(join(folder, 'place', kept[0])), 3);
      await assertRestorable(target);
    });
    assert.ok(steps >= LEAST_STEPS, `${steps} steps`);
    assert.deepEqual([...outcomes], [3, 2]);
  });

  test('a restore beside the log of a lost file is no store, an empty one or the new one', async () => {
    const outcomes = new Set();
    const steps = await atEachStep(restoring, (target) => leave(target, ['-wal', '-shm']), async (target, isOver) => {
      const found = await users(target);
      outcomes.add(found);
      if (isOver) assert.equal(found, 2);
      await assertRestorable(target);
    });
    assert.ok(steps >= LEAST_STEPS, `${steps} steps`);
    assert.deepEqual([...outcomes], [0, 2]);
  });
});
