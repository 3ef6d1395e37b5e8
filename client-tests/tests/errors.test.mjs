// @ts-check
// Owns the promise that a bad request gets the right error, and affects nothing else.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { PACKET, RawClient } from '../clients/engineio.mjs';
import {
  chatOf, connectUser, connectUsers, flushInboxes, received, history, sendMessage, uniqueName,
} from '../clients/fixtures.mjs';
import { ask, connect, connectRefused, exception, refusal } from '../clients/socketio.mjs';
import { badRequests } from '../data/bad-requests.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

function assertIsError(error, { codes, names }) {
  assert.deepEqual(Object.keys(error).sort(), ['code', 'message', 'retryable']);
  assert.equal(error.retryable, false);
  assert.ok(codes.includes(error.code), `${error.code} (${error.message}) instead of ${codes.join(' or ')}`);
  assert.match(error.message, names);
}

describe('a bad request', () => {
  const maxMessageBytes = 2000;
  const scope = useScope();
  let server;
  let alice;
  let witness;
  let chat;
  let sent;
  let foreign;
  const noticed = [];

  before(async () => {
    server = await startServer(scope, ['--max-message-bytes', `${maxMessageBytes}`]);
    const mallory = await connectUser(scope, server, 'mallory');
    foreign = await chatOf(mallory);
    [alice, witness] = await connectUsers(scope, server, 'alice', 'witness');
    chat = await chatOf(alice, witness);
    sent = await sendMessage(alice, chat, 'before the bad requests');
    await witness.inbox.until(1);
    for (const event of ['exception', 'create-chat', 'disconnect']) witness.socket.on(event, () => noticed.push(event));
  });

  const table = () => badRequests({ me: alice.id, chat: chat.id, foreign: foreign.id, maxMessageBytes });

  test('is answered through the acknowledgement', async (t) => {
    for (const [event, requests] of Object.entries(table())) {
      for (const request of requests) {
        await t.test(`${event} with ${request.what}`, async () => {
          assertIsError(await refusal(alice.socket, event, ...request.args), request);
        });
      }
    }
  });

  test('is answered with an exception when there is no acknowledgement', async (t) => {
    for (const [event, requests] of Object.entries(table())) {
      for (const request of requests) {
        await t.test(`${event} with ${request.what}`, async () => {
          const body = await exception(alice.socket, event, ...request.args);
          assert.deepEqual(Object.keys(body).sort(), ['error', 'event']);
          assert.equal(body.event, event);
          assertIsError(body.error, request);
        });
      }
    }
  });

  test('leaves its connection usable', async () => {
    assert.ok(alice.socket.connected);
    assert.equal(alice.inbox.length, 1);
    await sendMessage(alice, chat, 'after the bad requests');
  });

  test('stores nothing, not even in part', async (t) => {
    assert.deepEqual((await history(alice, chat)).map(({ msg }) => msg), [sent.msg, 'after the bad requests']);
    assert.deepEqual((await ask(alice.socket, 'list-chats', {})).chats.map(({ id }) => id), [chat.id]);
    const unchanged = await ask(alice.socket, 'create-user', { user: { id: alice.id } });
    assert.deepEqual(unchanged.user, alice.user);

    const start = Date.now();
    const { user } = await ask(await connect(t, server.url), 'create-user', { user: { externalUserId: 'somebody' } });
    assert.ok(Date.parse(user.created_at) >= start, 'a refused request made this user');
  });

  test('is not noticed by anybody else', async () => {
    await flushInboxes(witness);
    assert.deepEqual(received(witness, chat).map(({ msg }) => msg), [sent.msg, 'after the bad requests']);
    assert.deepEqual(noticed, []);
  });

  test('by several clients at once gives each its own answers', async (t) => {
    const everyone = await connectUsers(t, server, 'a', 'b', 'c', 'd');
    await Promise.all(everyone.map(async ({ socket }, index) => {
      const codes = await Promise.all(Array.from({ length: 50 }, async (_, turn) => {
        const event = `no-such-event-${index}-${turn}`;
        const error = await refusal(socket, event, {});
        assert.ok(error.message.includes(event), error.message);
        return error.code;
      }));
      assert.deepEqual(new Set(codes), new Set(['invalid']));
    }));
  });
});

describe('rubbish on the wire', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope); });

  const deep = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
  const RUBBISH = {
    'no packet at all': 'rubbish',
    'an empty packet': '',
    'an unknown packet type': '9',
    'an event without a body': PACKET.event,
    'an event without a name': `${PACKET.event}[]`,
    'an event whose name is a number': `${PACKET.event}[7,{}]`,
    'JSON that ends too early': `${PACKET.event}["new-message",{"room":`,
    'JSON that is nested too deeply': `${PACKET.event}["create-user",${deep(20_000)}]`,
    'a broken escape': `${PACKET.event}["create-user",{"user":{"externalUserId":"\\ud8"}}]`,
    'an enormous acknowledgement number': `${PACKET.event}99999999999999999999999999["create-user",{}]`,
    'an answer to nothing': `${PACKET.ack}7["thanks"]`,
    'a binary event without its attachment': '451-["create-user",{"_placeholder":true,"num":0}]',
    'more attachments than anybody needs': '4599999999-["create-user",{"_placeholder":true,"num":0}]',
    'a second connect': PACKET.connect,
    'an unknown namespace': '40/nowhere,',
  };

  for (const [what, packet] of Object.entries(RUBBISH)) {
    test(`${what}: at most that connection ends, and the others go on`, async (t) => {
      const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
      const badClient = new RawClient(t, server.url);
      await badClient.packet(PACKET.connect);
      badClient.send(packet);
      const chat = await chatOf(alice, bob);
      const sent = await sendMessage(alice, chat, 'still here');
      await flushInboxes(bob, alice);
      assert.deepEqual(received(bob, chat), [sent]);
      await connectUser(t, server, 'newcomer');
    });
  }

  const events = Object.entries(RUBBISH).filter(([, packet]) => /^42(\[|$)/.test(packet));
  const ways = [['', '', `${PACKET.event}["exception",`], [', numbered', '7', `${PACKET.ack}7`]];
  for (const [what, packet] of events) {
    for (const [how, number, answer] of ways) {
      test(`${what}${how}: the sender is notified, if only by the end of the connection`, async (t) => {
        const badClient = new RawClient(t, server.url);
        await badClient.packet(PACKET.connect);
        badClient.send(packet.replace(PACKET.event, PACKET.event + number));
        const delivered = badClient.packet(answer).then((error) => assert.match(error, /"code":"invalid"/));
        await Promise.race([delivered, badClient.closed]);
      });
    }
  }
});

describe('who is not allowed to do something', () => {
  const scope = useScope();
  let open;
  let closed;
  before(async () => {
    open = await startServer(scope);
    closed = await startServer(scope, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  });

  /** A user of the server that requires tokens. */
  async function member(t, base) {
    const sub = uniqueName(base);
    const socket = await connect(t, closed.url, { auth: { token: await token({ sub }) } });
    const { user } = await ask(socket, 'create-user', { user: { externalUserId: sub } });
    return { socket, user, id: user.id };
  }

  test('is unauthenticated without a token', async (t) => {
    assert.equal((await connectRefused(t, closed.url)).message, 'unauthenticated');
  });

  test('has to name its user before its first message, where no token is needed', async (t) => {
    const alice = await connectUser(t, open, 'alice');
    const chat = await chatOf(alice);
    const anonymous = await connect(t, open.url);
    const error = await refusal(anonymous, 'new-message', { room: chat.id, msg: 'hello' });
    assertIsError(error, { codes: ['unauthenticated', 'invalid'], names: /./ });
    assert.deepEqual(await history(alice, chat), []);
  });

  test('is forbidden to be somebody else', async (t) => {
    const [alice, bob] = [await member(t, 'alice'), await member(t, 'bob')];
    const chat = await chatOf(alice, bob);
    const requests = {
      'create-user': [{ user: { externalUserId: bob.user.externalUserId } }],
      'list-chats': [{ user: { id: bob.id } }],
      'new-message': [{ chat: { id: chat.id }, user: { id: bob.id }, message: { value: 'I am Bob', type: 'text' } }],
    };
    for (const [event, args] of Object.entries(requests)) {
      assertIsError(await refusal(alice.socket, event, ...args), { codes: ['forbidden'], names: /./ });
      const { error } = await exception(alice.socket, event, ...args);
      assertIsError(error, { codes: ['forbidden'], names: /./ });
    }
    assert.deepEqual(await history(bob, chat), []);
    assert.equal((await sendMessage(alice, chat, 'I am Alice')).user_id, alice.id);
  });

  test('is forbidden to make somebody else up', async (t) => {
    const alice = await member(t, 'alice');
    const externalUserId = uniqueName('invented');
    const error = await refusal(alice.socket, 'create-user', { user: { externalUserId, name: 'Invented' } });
    assertIsError(error, { codes: ['forbidden'], names: /./ });
  });
});
