// @ts-check
// Owns the promise to clients that say who they are in their `connect` handler: what was emitted before is not lost,
// and nothing waits without a bound.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { chatOf, connectUsers, flushInboxes, history, received } from '../clients/fixtures.mjs';
import { ask, connect, nextEvent, open, refusal } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { within } from '../harness/wait.mjs';

const scope = useScope();
let server;
before(async () => { server = await startServer(scope); });

/** How long a request waits at most, in milliseconds. */
const PATIENCE = 5000;

const hello = (user) => ({ user: { externalUserId: user.externalUserId } });

const CLIENTS = [
  { client: 4, transports: ['websocket'] }, { client: 4, transports: ['polling', 'websocket'] },
  { client: 3, transports: ['websocket'] }, { client: 2, transports: ['websocket'] },
];
for (const { client, transports } of CLIENTS) {
  test(`messages emitted before connecting wait for create-user (client ${client}, ${transports})`, async (t) => {
    const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
    const chat = await chatOf(anna, boris);
    const back = open(t, server.url, { client, transports, autoConnect: false });
    const answers = [];
    for (const msg of ['one', 'two']) back.emit('new-message', { room: chat.id, msg }, (answer) => answers.push(answer));
    back.emit('list-chats', {}, (answer) => answers.push(answer));
    // The buffer is sent before this handler runs.
    back.on('connect', () => back.emit('create-user', hello(anna.user)));
    back.connect();
    await nextEvent(back, 'create-user');
    const after = await ask(back, 'new-message', { room: chat.id, msg: 'three' });
    assert.deepEqual(answers.map(({ msg, chats }) => msg ?? chats.length), ['one', 'two', 1]);
    await flushInboxes(anna, boris);
    const sent = await history(anna, chat);
    assert.deepEqual(sent.map(({ msg, user_id }) => [msg, user_id]), ['one', 'two', 'three'].map((msg) => [msg, anna.id]));
    assert.deepEqual(sent.at(-1), after);
    assert.deepEqual(received(boris, chat), sent);
  });
}

test('what needs no user, or names one, is answered at once', async (t) => {
  const [anna] = await connectUsers(t, server, 'anna');
  const chat = await chatOf(anna);
  const nobody = await connect(t, server.url);
  const waiting = ask(nobody, 'new-message', { room: chat.id, msg: 'second' });
  const named = { chat: { id: chat.id }, user: { id: anna.id }, message: { value: 'first' } };
  const first = await ask(nobody, 'new-message', named);
  assert.equal((await ask(nobody, 'list-messages', { chat: { id: chat.id } })).messages.length, 1);
  assert.equal((await refusal(nobody, 'create-chat', {})).code, 'invalid');
  await ask(nobody, 'create-user', hello(anna.user));
  assert.deepEqual([first.seq, (await waiting).seq], [1, 2]);
});

describe('without create-user', () => {
  test('each is refused after five seconds, in both ways', async (t) => {
    const [anna] = await connectUsers(t, server, 'anna');
    const chat = await chatOf(anna);
    const nobody = await connect(t, server.url);
    const begun = Date.now();
    const exception = nextEvent(nobody, 'exception');
    nobody.emit('new-message', { room: chat.id, msg: 'lost' });
    const error = await refusal(nobody, 'list-chats', {});
    assert.equal(error.code, 'unauthenticated');
    const waited = Date.now() - begun;
    assert.ok(waited > PATIENCE - 100 && waited < PATIENCE + 3000, `${waited}`);
    const { event, error: { code } } = await exception;
    assert.deepEqual([event, code], ['new-message', 'unauthenticated']);
    await ask(nobody, 'create-user', hello(anna.user));
    assert.deepEqual(await history(anna, chat), []);
  });

  test('the 257th is refused at once, and the others are served later', async (t) => {
    const limitless = await startServer(t, ['--rate-limit', 'off', '--frame-limit', 'off']);
    const [anna] = await connectUsers(t, limitless, 'anna');
    const chat = await chatOf(anna);
    const nobody = await connect(t, limitless.url);
    const emit = (msg) => within(
      new Promise((resolve) => { nobody.emit('new-message', { room: chat.id, msg }, resolve); }), () => `the answer to ${msg}`,
    );
    const sent = Array.from({ length: 256 }, (_, index) => emit(`${index}`));
    assert.equal((await emit('257th')).error.code, 'unauthenticated');
    await ask(nobody, 'create-user', hello(anna.user));
    const answers = await Promise.all(sent);
    assert.deepEqual(answers.map(({ seq }) => seq), Array.from({ length: 256 }, (_, index) => index + 1));
  });

  test('what waited ends with the connection, and delays no shutdown', async (t) => {
    const other = await startServer(t);
    const [anna] = await connectUsers(t, other, 'anna');
    const chat = await chatOf(anna);
    const [gone, stays] = [await connect(t, other.url), await connect(t, other.url)];
    for (const socket of [gone, stays]) socket.emit('new-message', { room: chat.id, msg: 'lost' });
    await ask(gone, 'list-messages', { chat: { id: chat.id } });
    gone.close();
    assert.deepEqual(await history(anna, chat), []);
    const begun = Date.now();
    await other.stop();
    assert.ok(Date.now() - begun < 2000, `${Date.now() - begun} ms`);
  });
});

test('the namespace of the marketplace has no connections without a user', async (t) => {
  const socket = open(t, `${server.url}/events`, {});
  assert.equal((await nextEvent(socket, 'connect_error')).message, 'unauthenticated');
});
