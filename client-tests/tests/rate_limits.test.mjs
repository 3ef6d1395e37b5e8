// @ts-check
// Owns the promise about rates: a client over the limit is refused with the time to wait, one that ignores this is
// disconnected, and may reconnect.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectAction } from '../clients/action.mjs';
import { WebSocketSession } from '../clients/engineio-session.mjs';
import { chatOf, connectAgain, connectUser, connectUsers, uniqueName } from '../clients/fixtures.mjs';
import { Backend, isProblem } from '../clients/rest.mjs';
import { TRANSPORT_LOST, ask, connect, nextEvent } from '../clients/socketio.mjs';
import { connectType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';
import { SENDERS } from './rate_limits.senders.mjs';

const BURST = 5;
const FRAMES = 20;

const count = (length, make) => Array.from({ length }, (_, index) => make(index));

/** A part of a `sync` about so many chats that do not exist. */
const unknownChats = (length) => Object.fromEntries(count(length, () => [randomUUID(), 0]));

/** Runs `work`; its result, and the most tokens that can have come back meanwhile at one a second. */
async function timed(work) {
  const began = performance.now();
  const result = await work();
  return { result, back: Math.ceil((performance.now() - began) / 1000) };
}

/** A burst passed, no more than that and the tokens refilled meanwhile, and something was refused. */
function wasLimited(waits, burst, back) {
  const passed = waits.filter((wait) => wait === undefined).length;
  assert.ok(passed >= burst, `${passed} passed, ${burst} may at once`);
  assert.ok(passed <= burst + back, `${passed} passed, ${burst} may at once, ${back} came back`);
  assert.ok(passed < waits.length, 'something is refused');
  return passed;
}

describe('messages', () => {
  const scope = useScope();
  let server;
  before(async () => {
    server = await startServer(scope, ['--rate-limit', `1:${BURST}`, '--frame-limit', 'off']);
  });

  for (const [name, begin] of Object.entries(SENDERS)) {
    test(`beyond the burst are refused, not stored, and pass after the time in the answer (${name})`, async (t) => {
      const { sendMessage, stored } = await begin(t, server);
      const work = () => Promise.all(count(BURST + 20, (index) => sendMessage(`text ${index}`)));
      const { result: waits, back } = await timed(work);
      const passed = wasLimited(waits, BURST, back);
      assert.equal(await stored(), passed);
      const delivered = waits.filter((wait) => wait !== undefined);
      assert.ok(delivered.every((wait) => wait <= 1000), `${delivered}`);
      await sleep(delivered.at(-1));
      assert.equal(await sendMessage('patient'), undefined);
    });
  }

  test('of all connections of a user count together, and those of others do not', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const chat = await chatOf(alice);
    const again = await connectAgain(t, server, alice);
    const bob = await connectUser(t, server, 'bob');
    const with_bob = await chatOf(bob);
    const sendMessage = ({ socket }, room) => async (index) => {
      const { error } = await socket.timeout(20_000).emitWithAck('new-message', { room: room.id, msg: `${index}` });
      return error?.retry_after_ms;
    };
    const { result: waits, back } = await timed(async () => [
      ...await Promise.all(count(BURST, sendMessage(alice, chat))),
      ...await Promise.all(count(BURST + 20, sendMessage(again, chat))),
    ]);
    wasLimited(waits, BURST, back);
    assert.deepEqual(await Promise.all(count(BURST, sendMessage(bob, with_bob))), count(BURST, () => undefined));
  });

  for (const name of ['action', 'type']) {
    test(`that go on and on end a raw WebSocket, which may come back (${name})`, async (t) => {
      const { who, flood } = await SENDERS[name](t, server);
      count(20 * BURST + 100, (index) => flood(`flood ${index}`));
      assert.deepEqual(await who.wire.end(), { code: 1008, reason: 'rate_limited' });
      const back = await connectType(t, server, 'back', { token: who.token });
      assert.equal((await back.wire.ask({ type: 'getChats' })).type, 'chatsList');
    });
  }

  for (const transport of ['websocket', 'polling']) {
    test(`that continue disconnect a Socket.IO client, which reconnects (${transport})`, async (t) => {
      const alice = await connectUser(t, server, 'alice', { transports: [transport], reconnection: true });
      const chat = await chatOf(alice);
      const lost = nextEvent(alice.socket, 'disconnect', 30_000);
      const emit = () => count(50, (index) => alice.socket.emit('new-message', { room: chat.id, msg: `${index}` }));
      const flooding = setInterval(emit, 20);
      t.after(() => clearInterval(flooding));
      assert.match(await lost, TRANSPORT_LOST);
      clearInterval(flooding);
      await eventually(() => alice.socket.connected, 'the client is back', 30_000);
    });
  }

  test('of a service are not limited', async (t) => {
    const strict = await startServer(t, [
      '--auth', 'jwt', '--jwt-secret', SECRET, '--rate-limit', '1:2', '--frame-limit', 'off',
    ]);
    const backend = await token({ sub: 'backend', role: 'service' });
    const service = await connect(t, strict.url, { auth: { token: backend } });
    const { user } = await ask(service, 'create-user', { user: { externalUserId: 'alice' } });
    const { chat } = await ask(service, 'create-chat', { chat: {}, users: [user.id] });
    const host = new Backend(strict, backend);
    for (const text of count(20, String)) {
      await ask(service, 'new-message', { chat: { id: chat.id }, user: { id: user.id }, message: { value: text } });
      await host.sendMessage(chat, user, text);
    }
    const alice = await connect(t, strict.url, { auth: { token: await token({ sub: 'alice' }) } });
    const sent = await Promise.all(count(20, () => (
      alice.timeout(20_000).emitWithAck('new-message', { room: chat.id, msg: 'x' })
    )));
    assert.ok(sent.some(({ error }) => error?.code === 'rate_limited'));
  });

  test('are limited unless it is said otherwise, and not where the limit is off', async (t) => {
    const flood = async (args) => {
      const other = await startServer(t, args);
      const alice = await connectUser(t, other, 'alice');
      const chat = await chatOf(alice);
      return Promise.all(count(400, async (index) => {
        const { error } = await alice.socket.timeout(30_000).emitWithAck('new-message', { room: chat.id, msg: `${index}` });
        return error?.retry_after_ms;
      }));
    };
    const usual = await flood(['--rate-limit', '20:100']);
    assert.deepEqual(usual.slice(0, 100), count(100, () => undefined));
    assert.ok(usual.some((wait) => wait !== undefined));
    assert.deepEqual(await flood(['--rate-limit', 'off']), count(400, () => undefined));
  });
});

describe('frames of any kind', () => {
  const scope = useScope();
  let server;
  before(async () => { server = await startServer(scope, ['--frame-limit', `1:${FRAMES}`]); });

  /** The outcomes of frames, by the codes of their answers. */
  const limited = (codes, back, burst = FRAMES) => (
    wasLimited(codes.map((code) => (code === 'rate_limited' ? code : undefined)), burst, back)
  );

  for (const [what, send] of Object.entries({
    'that are no JSON': (wire) => wire.sendText('nonsense'),
    'that are binary': (wire) => wire.sendBinary(Buffer.from('{}')),
    'that are requests': (wire) => wire.send({ type: 'getChats' }),
  })) {
    test(`${what} count`, async (t) => {
      const { wire } = await connectType(t, server, 'fast');
      const { back } = await timed(async () => {
        count(FRAMES + 30, () => send(wire));
        await wire.untilMany(() => true, FRAMES + 30, 'answers');
      });
      limited(wire.frames.map(({ code }) => code), back);
    });
  }

  test('are refused under the names of their requests (action, type)', async (t) => {
    const { wire } = await connectType(t, server, 'fast');
    const answers = await Promise.all(count(FRAMES + 30, () => wire.ask({ type: 'getChats' })));
    const refused = answers.find(({ code }) => code === 'rate_limited');
    assert.equal(refused.type, 'error');
    assert.ok(refused.retry_after_ms > 0 && refused.retry_after_ms <= 1000);

    const { wire: other } = await connectAction(t, server, 'fast');
    const replies = await Promise.all(count(FRAMES + 30, () => other.ask({ action: 'list' })));
    const reply = replies.find(({ response_status }) => response_status === 429);
    assert.equal(reply.action, 'list');
    assert.match(reply.errors[0], /retry_after_ms: \d+/);
  });

  test('are refused under the names of their requests, nothing is done, and the order is kept (event-name)', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const order = [];
    const { result: answers, back } = await timed(() => Promise.all(count(FRAMES + 30, async (index) => {
      const body = { chat: { name: `${index}` }, users: [alice.id] };
      const answer = await alice.socket.timeout(20_000).emitWithAck('create-chat', body);
      order.push(index);
      return answer.error?.code;
    })));
    assert.deepEqual(order, count(order.length, (index) => index));
    const made = limited(answers, back, FRAMES - 1); // becoming Alice was one
    await sleep(2000);
    const { chats } = await ask(alice.socket, 'list-chats', {});
    assert.equal(chats.length, made);
    const delivered = [];
    alice.socket.on('exception', ({ error }) => delivered.push(error.code));
    count(FRAMES + 30, () => alice.socket.emit('no-such-event', {}));
    await eventually(() => delivered.includes('rate_limited'), 'an exception');
  });

  test('over REST are calls', async () => {
    const host = new Backend(server, uniqueName('backend'));
    const { result: calls, back } = await timed(() => Promise.all(count(FRAMES + 30, () => host.call('GET', '/users'))));
    const refused = calls.filter(({ status }) => status === 429);
    assert.ok(refused.length > 0 && refused.length >= 30 - back);
    for (const answer of refused) {
      const { retry_after_ms } = isProblem(answer, 429, 'rate_limited');
      assert.ok(retry_after_ms > 0);
      assert.equal(answer.headers.get('retry-after'), `${Math.ceil(retry_after_ms / 1000)}`);
    }
    const other = new Backend(server, uniqueName('backend'));
    await other.get('/users');
  });

  test('that go on and on end the connection', async (t) => {
    const { wire, token: name } = await connectType(t, server, 'fast');
    count(20 * FRAMES + 300, () => wire.sendText('nonsense'));
    assert.deepEqual(await wire.end(), { code: 1008, reason: 'rate_limited' });
    await connectType(t, server, 'back', { token: name });
  });

  test('are CONNECTs within a session, too, and those over the limit end it', async (t) => {
    const session = await WebSocketSession.open(t, server, { token: uniqueName('fast') });
    await session.send(...count(FRAMES + 30, () => ['40/events,', '41/events,']).flat());
    const { code, reason } = await session.ended();
    assert.deepEqual({ code, reason }, { code: 1008, reason: 'rate_limited' });
    assert.ok(session.packets.filter((packet) => packet.startsWith('40/events,')).length <= FRAMES + 30);
  });

  test('cost more for much work, up to a fifth of the burst, and all of a user\'s connections pay', async (t) => {
    const other = await startServer(t, ['--frame-limit', '1:100']);
    const alice = await connectUser(t, other, 'alice');
    const again = await connectAgain(t, other, alice);
    const sync = async ({ socket }) => {
      const { error } = await socket.timeout(20_000).emitWithAck('sync', { chats: unknownChats(1000) });
      return error?.code;
    };
    const { result: codes, back } = await timed(async () => {
      const outcomes = [];
      for (const who of [alice, again, alice, again, alice, again, alice, again]) outcomes.push(await sync(who));
      return outcomes;
    });
    // Each is one frame and 20 tokens of work, and becoming Alice was two frames: the fifth owes some.
    assert.deepEqual(codes.slice(0, 5), count(5, () => undefined));
    assert.ok(codes.slice(5).every((code) => code === 'rate_limited') || back > 5, `${codes}`);
    const bob = await connectUser(t, other, 'bob');
    assert.equal(await sync(bob), undefined);
  });

  test('are enough for a client that reconnects to much, unless it is said otherwise', async (t) => {
    const usual = await startServer(t, ['--frame-limit', '100:500', '--rate-limit', 'off']);
    const alice = await connectUser(t, usual, 'alice');
    const chats = [];
    while (chats.length < 300) chats.push(await chatOf(alice));
    const [{ id }] = chats;
    await Promise.all(count(50, (index) => ask(alice.socket, 'new-message', { room: id, msg: `${index}` })));
    await sleep(4000);
    for (const who of [await connectAgain(t, usual, alice), await connectAgain(t, usual, alice)]) {
      const known = Object.fromEntries(chats.map((chat) => [chat.id, 0]));
      const answer = await ask(who.socket, 'sync', { chats: { ...known, ...unknownChats(700) } });
      assert.equal(Object.keys(answer.chats).length, 1000);
      assert.equal((await ask(who.socket, 'list-chats', {})).chats.length, 300);
      assert.equal((await ask(who.socket, 'list-messages', { chat: { id } })).messages.length, 50);
    }
  });

  test('do not bother others', async (t) => {
    const [bob, carol] = await connectUsers(t, server, 'bob', 'carol');
    const { wire } = await connectType(t, server, 'fast');
    count(20 * FRAMES + 300, () => wire.sendText('nonsense'));
    await wire.end();
    const chat = await chatOf(bob, carol);
    await ask(carol.socket, 'new-message', { room: chat.id, msg: 'hello' });
  });
});
