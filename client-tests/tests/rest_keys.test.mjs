// @ts-check
// Owns the promise of the Idempotency-Key: a request that is repeated under its key creates nothing new, also
// concurrently, and another request under the same key is a conflict.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const scope = useScope();
let server;
let host;
let anna;
let boris;
let chat;
before(async () => {
  server = await startServer(scope, ['--store', (await storeFile(scope)).store]);
  host = new Backend(server);
  [anna, boris] = [await host.user('anna'), await host.user('boris')];
  chat = await host.chat(anna, boris);
});

const named = (key) => ({ 'idempotency-key': key });
const dates = { dateFromS: 1_957_817_098, dateToS: 2_514_131_321 };

/**
 * The path, a body, another body, and how many of them there are.
 * @type {Record<string, () => [string, any, any, () => Promise<number>]>}
 */
const CREATIONS = {
  'a chat': () => [
    '/chats', { name: 'Lunch', users: [anna.pk, boris.pk] }, { name: 'Dinner', users: [anna.pk, boris.pk] },
    async () => (await host.all(`/chats?user=${boris.pk}`, 'chats', 1000)).flat().length,
  ],
  'an event': () => [
    '/events', { eventOwnerId: anna.pk, name: 'Picnic', ...dates },
    { eventOwnerId: boris.pk, name: 'Picnic', ...dates },
    async () => (await host.all('/events', 'events', 1000)).flat().length,
  ],
};

for (const [what, make] of Object.entries(CREATIONS)) {
  describe(`creating ${what}`, () => {
    const create = (path, body, key) => host.call('POST', path, body, named(key));

    test('again under the same key answers with what was made first', async () => {
      const [path, body, , count] = make();
      const key = uniqueName('key');
      const before = await count();
      const answers = [];
      for (let time = 0; time < 3; time++) answers.push(await create(path, body, key));
      for (const answer of answers) {
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(answer.body, answers[0].body);
        assert.equal(answer.headers.get('location'), answers[0].headers.get('location'));
      }
      assert.equal(await count(), before + 1);
    });

    test('again with the same content written in another way is the same request', async () => {
      const [path, body] = make();
      const key = uniqueName('key');
      const first = await create(path, body, key);
      const turned = Object.fromEntries(Object.entries(body).toReversed());
      const text = JSON.stringify(turned, undefined, 4);
      const again = await host.raw('POST', path, text, { 'content-type': 'application/json', ...named(key) });
      assert.equal(again.status, 201, again.text);
      assert.deepEqual(again.body, first.body);
    });

    test('with other content under the same key is a conflict, and makes nothing', async () => {
      const [path, body, other, count] = make();
      const key = uniqueName('key');
      const first = await host.ok(201, 'POST', path, body, named(key));
      const before = await count();
      await host.refused(409, 'conflict', 'POST', path, other, named(key));
      assert.deepEqual(await host.ok(201, 'POST', path, body, named(key)), first);
      assert.equal(await count(), before);
    });

    test('many times at once under one key makes one', async () => {
      const [path, body, , count] = make();
      const key = uniqueName('key');
      const before = await count();
      const answers = await Promise.all(Array.from({ length: 20 }, () => create(path, body, key)));
      for (const answer of answers) {
        assert.equal(answer.status, 201, answer.text);
        assert.deepEqual(answer.body, answers[0].body);
      }
      assert.equal(await count(), before + 1);
    });

    test('two different ones at once under one key: one is made, the other is a conflict', async () => {
      const [path, body, other, count] = make();
      for (let round = 0; round < 5; round++) {
        const key = uniqueName('key');
        const before = await count();
        const answers = await Promise.all([body, other].map((each) => create(path, each, key)));
        const delivered = answers.map(({ text }) => text).join('\n');
        assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409], delivered);
        assert.equal(await count(), before + 1);
      }
    });

    test('without a key, or with another one, makes another', async () => {
      const [path, body] = make();
      const ids = new Set();
      for (const headers of [{}, {}, named(uniqueName('key')), named(uniqueName('key'))]) {
        ids.add((await host.ok(201, 'POST', path, body, headers)).id);
      }
      assert.equal(ids.size, 4);
    });

    test('that was refused leaves its key for the request that is right', async () => {
      const [path, body] = make();
      const key = uniqueName('key');
      await host.refused(400, 'invalid', 'POST', path, {}, named(key));
      const unknown = { ...body, ...(body.users ? { users: [4_000_000_000] } : { eventOwnerId: 4_000_000_000 }) };
      await host.refused(404, 'not_found', 'POST', path, unknown, named(key));
      assert.equal((await create(path, body, key)).status, 201);
    });

    test('takes keys of 1 to 255 visible ASCII characters, and no others', async () => {
      const [path, body] = make();
      for (const key of ['x'.repeat(255), '!', '~', `"${uniqueName('k')}"`]) {
        assert.equal((await create(path, body, `${key}`.slice(0, 255))).status, 201, key);
      }
      for (const key of ['', 'x'.repeat(256), 'a b', 'ключ'.replace(/./g, 'ä'), 'a\tb']) {
        await host.refused(400, 'invalid', 'POST', path, body, named(key));
      }
    });
  });
}

describe('sending a message', () => {
  const send = (body, key) => host.call('POST', `/chats/${chat.id}/messages`, body, named(key));
  const count = async () => (await host.all(`/chats/${chat.id}/messages?after_seq=0`, 'messages', 1000)).flat().length;

  test('under a key is sending it with that client_id', async () => {
    const key = uniqueName('key');
    const first = await send({ userId: anna.pk, text: 'hello' }, key);
    assert.equal(first.status, 201);
    assert.equal(first.body.client_id, key);
    const before = await count();
    assert.deepEqual((await send({ userId: anna.pk, text: 'hello' }, key)).body, first.body);
    assert.deepEqual((await host.sendMessage(chat, anna, 'hello', { client_id: key })).id, first.body.id);
    assert.equal(await count(), before);
    assert.notEqual((await send({ userId: boris.pk, text: 'hello' }, key)).body.id, first.body.id);
  });

  test('many times at once under one key stores one', async () => {
    const key = uniqueName('key');
    const before = await count();
    const answers = await Promise.all(Array.from({ length: 20 }, () => send({ userId: anna.pk, text: 'hello' }, key)));
    assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
    assert.equal(await count(), before + 1);
  });

  test('under a key that is not its client_id, or is too long for one, is invalid', async () => {
    const path = `/chats/${chat.id}/messages`;
    const body = { userId: anna.pk, text: 'hello' };
    await host.refused(400, 'invalid', 'POST', path, { ...body, client_id: 'one' }, named('two'));
    await host.refused(400, 'invalid', 'POST', path, body, named('x'.repeat(65)));
  });
});

test('what can be found is created once without any key: a user, and the chat of an event and a guest', async () => {
  const externalUserId = uniqueName('vera');
  const made = await Promise.all(Array.from({ length: 20 }, () => host.call('POST', '/users', { externalUserId })));
  assert.equal(new Set(made.map(({ body }) => body.id)).size, 1);
  const event = await host.event(anna);
  const opened = await Promise.all(Array.from({ length: 20 }, () => (
    host.call('POST', `/events/${event.id}/chats`, { userId: boris.pk })
  )));
  assert.equal(new Set(opened.map(({ body }) => body.chatId)).size, 1);
  assert.equal(opened.filter(({ status }) => status === 201).length, 1);
});

test('a key of one caller is not another caller\'s', async (t) => {
  const closed = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  const made = [];
  for (const sub of ['backend-1', 'backend-2']) {
    const backend = new Backend(closed, await token({ sub, role: 'service' }));
    const user = await backend.ok(200, 'POST', '/users', { externalUserId: 'anna' });
    made.push(await backend.ok(201, 'POST', '/chats', { users: [user.pk] }, named('lunch')));
  }
  assert.notEqual(made[0].id, made[1].id);
});

test('a key is remembered over a restart', async (t) => {
  const { store } = await storeFile(t);
  const before = await startServer(t, ['--store', store]);
  const first = new Backend(before);
  const user = await first.user('anna');
  const body = { eventOwnerId: user.pk, name: 'Picnic', ...dates };
  const event = await first.ok(201, 'POST', '/events', body, named('picnic'));
  await before.stop();
  const second = new Backend(await startServer(t, ['--store', store]));
  assert.deepEqual(await second.ok(201, 'POST', '/events', body, named('picnic')), event);
  await second.refused(409, 'conflict', 'POST', '/events', { ...body, name: 'Ball' }, named('picnic'));
});
