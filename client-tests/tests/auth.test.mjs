// @ts-check
// Owns the promise about identity: a client with a valid token is admitted as that user, and no other client is.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { chatOf, flushInboxes, received, sendMessage, uniqueName, withInbox } from '../clients/fixtures.mjs';
import { TRANSPORT_LOST, ask, collect, connect, connectRefused, nextEvent, refusal } from '../clients/socketio.mjs';
import { refusedWith } from '../clients/websocket.mjs';
import { isUser } from '../data/shapes.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, tempDir } from '../harness/server.mjs';
import {
  SECRET, SHORT_LIFE_S, jwksFile, keyPair, now, pemFile, signed, signedWithPublicKey, token, unsigned,
} from '../harness/tokens.mjs';

const JWT = ['--auth', 'jwt'];

/** A user with a token of these claims. */
async function holder(owner, server, base, claims, options) {
  const sub = uniqueName(base);
  const socket = await connect(owner, server.url, { auth: { token: await token({ sub, ...claims }) }, ...options });
  const { user } = await ask(socket, 'create-user', { user: {} });
  return withInbox(socket, user);
}

async function assertIn(t, server, jwt, sub) {
  const socket = await connect(t, server.url, { auth: { token: jwt } });
  const { user } = await ask(socket, 'create-user', { user: {} });
  assert.equal(isUser(user).externalUserId, sub);
}

async function assertOut(t, server, jwt) {
  assert.equal((await connectRefused(t, server.url, { auth: { token: jwt } })).message, 'unauthenticated');
}

describe('with a shared secret', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, [...JWT, '--jwt-secret', SECRET]); });

  test('a good token is found in auth, in the query and in the header', async (t) => {
    const jwt = await token({ sub: 'alice' });
    const ways = {
      auth: { auth: { token: jwt } },
      'auth, by a function': { auth: (answer) => answer({ token: jwt }) },
      query: { query: { token: jwt } },
      header: { extraHeaders: { authorization: `Bearer ${jwt}` } },
      'header, polling': { extraHeaders: { authorization: `Bearer ${jwt}` }, transports: ['polling'] },
      'query, client 2': { client: 2, query: { token: jwt } },
      'header, client 2': { client: 2, extraHeaders: { authorization: `Bearer ${jwt}` } },
    };
    for (const [way, options] of Object.entries(ways)) {
      const { user } = await ask(await connect(t, server.url, options), 'create-user', { user: {} });
      assert.equal(user.externalUserId, 'alice', way);
    }
  });

  const BAD = {
    'is missing': () => undefined,
    'is empty': () => '',
    'is no token': () => 'alice',
    'is a number': () => 7,
    'is an object': () => ({ sub: 'alice' }),
    'was made with another secret': () => token({ sub: 'alice' }, 'another secret'),
    'needs no signature': () => unsigned({ sub: 'alice' }),
    'has lost its signature': async () => (await token({ sub: 'alice' })).replace(/[^.]*$/, ''),
    'expired a second ago': () => token({ sub: 'alice', exp: now() - 1 }),
    'never expires': () => token({ sub: 'alice', exp: undefined }),
    'expires at no number': () => token({ sub: 'alice', exp: 'tomorrow' }),
    'names nobody': () => token({}),
    'names somebody without a name': () => token({ sub: '' }),
    'is not valid yet': () => token({ sub: 'alice', nbf: now() + 3600 }),
  };

  for (const [what, make] of Object.entries(BAD)) {
    test(`a token that ${what} is refused without a reason`, async (t) => {
      const jwt = await make();
      await assertOut(t, server, jwt);
      if (typeof jwt === 'string') {
        const inQuery = await connectRefused(t, server.url, { query: { token: jwt }, transports: ['polling'] });
        assert.equal(inQuery.message, 'unauthenticated');
      }
    });
  }

  test('client 2 is answered, too, that it is unauthenticated', async (t) => {
    const error = await connectRefused(t, server.url, { client: 2, query: { token: 'alice' } });
    assert.match(String(error.message ?? error), /unauthenticated/);
  });

  test('the profile in the token updates the user', async (t) => {
    const profile = {
      username: 'al',
      name: 'Alice',
      avatar: '/a.png',
      github: 'alice-gh',
      imageUUID: '6ba7b810-9dad-11d1-80b4-00c04fd430c8',
    };
    const alice = await holder(t, server, 'alice', profile);
    assert.deepEqual({ ...alice.user, ...profile }, alice.user);

    const sub = alice.user.externalUserId;
    const renamed = await holder(t, server, 'alice', { sub, name: 'Alice B.' });
    assert.deepEqual({ ...renamed.user, modified_at: 0 }, { ...alice.user, name: 'Alice B.', modified_at: 0 });
    const unchanged = await holder(t, server, 'alice', { sub });
    assert.deepEqual(unchanged.user, renamed.user);
  });

  test('a user is connected as the user of its token without a request', async (t) => {
    const alice = await holder(t, server, 'alice');
    const chat = await chatOf(alice);
    const silent = await connect(t, server.url, { auth: { token: await token({ sub: alice.user.externalUserId }) } });
    const inbox = collect(silent, 'new-message');
    const sent = await sendMessage(alice, chat, 'hello');
    await inbox.until(1);
    assert.deepEqual(inbox, [sent]);
  });

  test('who makes a chat is a member, listed or not', async (t) => {
    const [alice, bob] = [await holder(t, server, 'alice'), await holder(t, server, 'bob')];
    const { chat } = await ask(alice.socket, 'create-chat', { chat: { name: 'Tea' }, users: [bob.id] });
    assert.deepEqual(new Set(chat.users), new Set([alice.id, bob.id]));
    const sent = await sendMessage(bob, chat, 'hello');
    await flushInboxes(alice, bob);
    assert.deepEqual(received(alice, chat), [sent]);
  });

  test('a service acts for any user, and need not be a member', async (t) => {
    const [alice, bob] = [await holder(t, server, 'alice'), await holder(t, server, 'bob')];
    const service = await holder(t, server, 'backend', { role: 'service' });
    const { chat } = await ask(service.socket, 'create-chat', { chat: { name: 'Tea' }, users: [alice.id, bob.id] });
    assert.deepEqual(chat.users, [alice.id, bob.id]);

    const body = { chat: { id: chat.id }, user: { id: alice.id }, message: { value: 'for Alice', type: 'text' } };
    const sent = await ask(service.socket, 'new-message', body);
    assert.equal(sent.user_id, alice.id);
    await flushInboxes(alice, bob);
    for (const member of [alice, bob]) assert.deepEqual(received(member, chat), [sent]);

    const { chats } = await ask(service.socket, 'list-chats', { user: { id: bob.id } });
    assert.ok(chats.some(({ id }) => id === chat.id));

    const sub = uniqueName('imported');
    const { user } = await ask(service.socket, 'create-user', { user: { externalUserId: sub, name: 'Imported' } });
    assert.deepEqual([user.externalUserId, user.name], [sub, 'Imported']);
  });

  test('a service is the user of its own token, whomever it finds or creates', async (t) => {
    const [alice, bob] = [await holder(t, server, 'alice'), await holder(t, server, 'bob')];
    const service = await holder(t, server, 'backend', { role: 'service' });
    await ask(service.socket, 'create-user', { user: { externalUserId: alice.user.externalUserId } });
    await ask(service.socket, 'create-user', { user: { id: bob.id } });
    const [own, foreign] = [await chatOf(service, alice), await chatOf(alice, bob)];
    const sent = await sendMessage(service, own, 'from the backend');
    assert.equal(sent.user_id, service.id);
    await sendMessage(alice, foreign, 'just us');
    await flushInboxes(service, alice, bob);
    assert.deepEqual([received(service, own), received(service, foreign)], [[sent], []]);
  });

  test('a role that is none gives no rights', async (t) => {
    const alice = await holder(t, server, 'alice');
    const eve = await holder(t, server, 'eve', { role: 'admin' });
    const error = await refusal(eve.socket, 'list-chats', { user: { id: alice.id } });
    assert.equal(error.code, 'forbidden');
  });

  for (const transport of ['websocket', 'polling']) {
    test(`a connection ends when its token does (${transport})`, async (t) => {
      const alice = await holder(t, server, 'alice', { exp: now() + SHORT_LIFE_S }, { transports: [transport] });
      assert.match(await nextEvent(alice.socket, 'disconnect', 30_000), TRANSPORT_LOST);
    });
  }

  test('a client that fetches a new token for each connection reconnects', async (t) => {
    const sub = uniqueName('alice');
    let fetched = 0;
    const socket = await connect(t, server.url, {
      reconnection: true,
      reconnectionDelay: 100,
      auth: async (answer) => {
        fetched += 1;
        answer({ token: await token({ sub, exp: now() + (fetched === 1 ? SHORT_LIFE_S : 3600) }) });
      },
    });
    assert.match(await nextEvent(socket, 'disconnect', 30_000), TRANSPORT_LOST);
    await nextEvent(socket, 'connect', 30_000);
    const { user } = await ask(socket, 'create-user', { user: {} });
    assert.equal(user.externalUserId, sub);
  });
});

describe('with public keys', () => {
  for (const alg of ['RS256', 'ES256', 'EdDSA']) {
    test(`${alg} as a PEM file: a good token is accepted, a confused or foreign one is not`, async (t) => {
      const [pair, other] = [await keyPair(alg), await keyPair(alg)];
      const server = await startServer(t, [...JWT, '--jwt-keys', await pemFile(await tempDir(t), pair)]);
      await assertIn(t, server, await signed({ sub: 'alice' }, pair), 'alice');
      await assertOut(t, server, await signed({ sub: 'alice' }, other));
      await assertOut(t, server, await signedWithPublicKey({ sub: 'alice' }, pair));
      await assertOut(t, server, unsigned({ sub: 'alice' }));
      await assertOut(t, server, await signed({ sub: 'alice', exp: now() - 1 }, pair));
    });

    test(`${alg} as a JWKS file: the key is chosen by its id`, async (t) => {
      const [first, second, third] = await Promise.all(['first', 'second', 'third'].map((kid) => keyPair(alg, kid)));
      const server = await startServer(t, [...JWT, '--jwt-keys', await jwksFile(await tempDir(t), first, second)]);
      await assertIn(t, server, await signed({ sub: 'alice' }, first), 'alice');
      await assertIn(t, server, await signed({ sub: 'bob' }, second), 'bob');
      await assertOut(t, server, await signed({ sub: 'alice' }, third));
      await assertOut(t, server, await signed({ sub: 'alice' }, { ...first, kid: 'second' }));
      await assertOut(t, server, await signed({ sub: 'alice' }, { ...third, kid: 'first' }));
      await assertOut(t, server, await signedWithPublicKey({ sub: 'alice' }, first));
    });
  }

  test('several files of several kinds, and a secret, serve together', async (t) => {
    const dir = await tempDir(t);
    const [rsa, ec, ed] = [await keyPair('RS256', 'r'), await keyPair('ES256', 'e'), await keyPair('EdDSA')];
    const keys = ['--jwt-keys', await jwksFile(dir, rsa, ec), '--jwt-keys', await pemFile(dir, ed)];
    const server = await startServer(t, [...JWT, ...keys, '--jwt-secret', SECRET]);
    for (const pair of [rsa, ec, ed]) await assertIn(t, server, await signed({ sub: pair.alg }, pair), pair.alg);
    await assertIn(t, server, await token({ sub: 'shared' }), 'shared');
    for (const pair of [rsa, ec, ed]) await assertOut(t, server, await signedWithPublicKey({ sub: 'eve' }, pair));
  });

  test('are exchanged without locking anybody out: for a while the old one and the new one serve', async (t) => {
    const [old, fresh] = [await keyPair('RS256'), await keyPair('RS256')];
    const keys = { old: await pemFile(await tempDir(t), old), fresh: await pemFile(await tempDir(t), fresh) };
    const tokens = { old: await signed({ sub: 'anna' }, old), fresh: await signed({ sub: 'anna' }, fresh) };
    const both = await startServer(t, ['--auth', 'jwt', '--jwt-keys', keys.old, '--jwt-keys', keys.fresh]);
    for (const each of Object.values(tokens)) await assertIn(t, both, each, 'anna');
    const after = await startServer(t, ['--auth', 'jwt', '--jwt-keys', keys.fresh]);
    await assertIn(t, after, tokens.fresh, 'anna');
    await assertOut(t, after, tokens.old);
  });
});

for (const text of ['null', 'undefined']) {
  test(`in open mode the token ${text} names nobody`, async (t) => {
    const server = await startServer(t);
    const authorization = { authorization: `Bearer ${text}` };
    for (const options of [{ auth: { token: text } }, { query: { token: text } }, { extraHeaders: authorization }]) {
      assert.equal((await connectRefused(t, server.url, options)).message, 'unauthenticated');
      assert.equal((await connectRefused(t, `${server.url}/events`, options)).message, 'unauthenticated');
    }
    assert.equal((await connectRefused(t, server.url, { client: 2, query: { token: text } })), 'unauthenticated');
    for (const path of ['/ws', '/ws/chats/', '/ws/events/']) {
      assert.equal(await refusedWith(t, server, path, { token: text }), 401);
    }
    const users = `${server.url}/api/v1/users`;
    assert.equal((await fetch(`${users}?token=${text}`)).status, 401);
    assert.equal((await fetch(users, { headers: authorization })).status, 401);
    assert.match(server.logs(), new RegExp(`the token is the text .{1,2}${text}`));
    await connect(t, server.url, { auth: { token: null } });
    await connect(t, server.url, { auth: { token: `${text}-1` } });
  });
}

test('a server that trusts everybody listens on all addresses only with the option that names this insecure', async (t) => {
  const server = await startServer(t, ['--listen', '0.0.0.0:0', '--auth', 'open', '--insecure-open-auth']);
  assert.equal((await fetch(`${server.url}/livez`)).status, 200);
});
