// @ts-check
// Owns the promise that a check tries the bus of a node: it says which one can be used, or in one sentence why not, and prints
// no password.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { startMongod } from '../harness/mongod.mjs';
import { startRedis } from '../harness/redis.mjs';
import { useScope } from '../harness/scope.mjs';
import { freePort, runToEnd } from '../harness/server.mjs';

const scope = useScope();
let store;
let redis;
before(async () => {
  const mongod = await startMongod(scope);
  store = `mongodb://127.0.0.1:${mongod.port}/check?replicaSet=rs0`;
  redis = await startRedis(scope, '--requirepass', 's3cret');
});

const check = (...more) => runToEnd(['check', '--listen', '127.0.0.1:0', '--store', store, ...more]);

async function assertRefused(bus, why) {
  const { code, stdout, stderr } = await check('--bus', bus);
  assert.equal(code, 1, stdout);
  assert.match(stderr, /^polychat: --bus: [^\n]*\n$/);
  assert.match(stderr, why);
  assert.doesNotMatch(stdout, /^bus/m);
  assert.doesNotMatch(stdout + stderr, /s3cret|wr0ng/);
}

describe('polychat check', () => {
  test('hears itself on the bus over the store, which is the default', async () => {
    for (const more of [[], ['--bus', 'mongodb']]) {
      const { code, stdout, stderr } = await check(...more);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^indexes {2}ok\nbus {6}ok: mongodb\nlisten /m);
    }
  });

  test('hears itself on a Redis, which it names without a password', async () => {
    const { code, stdout, stderr } = await check('--bus', `redis://:s3cret@127.0.0.1:${redis.port}/0`);
    assert.equal(code, 0, stderr);
    assert.match(stdout, new RegExp(`^bus {6}ok: redis://127\\.0\\.0\\.1:${redis.port}$`, 'm'));
    assert.doesNotMatch(stdout + stderr, /s3cret/);
  });

  test('says why a Redis cannot be used', async () => {
    await assertRefused(`redis://:wr0ng@127.0.0.1:${redis.port}`, /password is wrong/);
    const nowhere = await freePort();
    await assertRefused(`redis://:s3cret@127.0.0.1:${nowhere}`, new RegExp(`127\\.0\\.0\\.1:${nowhere}`));
  });
});
