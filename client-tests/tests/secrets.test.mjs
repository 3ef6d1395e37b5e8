// @ts-check
// Owns the promise about the shared secret: one that can be guessed starts no server, and none is in the repository.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { runToEnd, startServer, tempDir } from '../harness/server.mjs';
import { SECRET, keyPair, pemFile } from '../harness/tokens.mjs';

describe('a secret of fewer than 32 bytes', () => {
  const short = SECRET.slice(0, 31);
  const MAKE_ONE = /^polychat: [^\n]*32 bytes[^\n]*openssl rand -hex 32\n$/;
  const SERVE = ['--listen', '127.0.0.1:0', '--store', 'sqlite::memory:', '--auth', 'jwt'];

  async function assertRefused(args, env = {}) {
    const { code, stdout, stderr } = await runToEnd(args, { env });
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
    assert.match(stderr, MAKE_ONE);
    assert.ok(!stderr.includes(short), 'the sentence has the secret');
  }

  test('is refused at the start, wherever it comes from, with the command that makes one', async (t) => {
    const dir = await tempDir(t);
    const path = join(dir, 'secret');
    await writeFile(path, ` ${short}\n`);
    const keys = await pemFile(dir, await keyPair('RS256'));
    await assertRefused([...SERVE, '--jwt-secret', 'x']);
    await assertRefused([...SERVE, '--jwt-secret', short]);
    await assertRefused([...SERVE, '--jwt-secret', short, '--jwt-keys', keys]);
    await assertRefused([...SERVE, '--jwt-secret', `${short} `]);
    await assertRefused([...SERVE, '--jwt-secret-file', path]);
    await assertRefused(SERVE, { POLYCHAT_JWT_SECRET: short });
    await assertRefused(['check', ...SERVE, '--jwt-secret', short]);
  });

  test('signs no token either', () => assertRefused(['token', '--user', 'alice', '--jwt-secret', short]));

  test('is one byte short', async (t) => {
    await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET.slice(0, 32)]);
  });
});

test('the example of .env has no secret, and the command in it makes one that is taken', async (t) => {
  const example = readFileSync(new URL('../../.env.example', import.meta.url), 'utf8');
  assert.match(example, /^POLYCHAT_JWT_SECRET=$/m);
  const dir = await tempDir(t);
  const [, command] = /^# {3}(\(umask.*\))$/m.exec(example) ?? [];
  execFileSync('sh', ['-c', command], { cwd: dir });
  const [, secret] = /^POLYCHAT_JWT_SECRET=(\S+)\n$/.exec(readFileSync(join(dir, '.env'), 'utf8')) ?? [];
  await startServer(t, ['--auth', 'jwt'], { env: { POLYCHAT_JWT_SECRET: secret } });
  for (const document of ['README.md', 'docs/OPERATIONS.md', 'docker-compose.yml']) {
    assert.ok(readFileSync(new URL(`../../${document}`, import.meta.url), 'utf8').includes(command), document);
  }
});
