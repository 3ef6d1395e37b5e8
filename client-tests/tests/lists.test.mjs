// @ts-check
// Owns the promise that lists have everything, in order, and in pages of the requested size.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { chatOf, connectUser, connectUsers, history, sendMessage } from '../clients/fixtures.mjs';
import { ask } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const DAY_MS = 24 * 60 * 60 * 1000;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

describe('list-chats', () => {
  /** Some chats of these users, each a little younger than the one before. */
  async function chatsOf(count, ...members) {
    const chats = [];
    for (let made = 0; made < count; made++) {
      chats.push(await chatOf(...members));
      await tick();
    }
    return chats;
  }

  const listed = async ({ socket }, query = {}) => {
    const { chats } = await ask(socket, 'list-chats', query);
    return chats.map(({ id }) => id);
  };

  test('names the chats of the caller, the most recently active first', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const [first, second, third] = await chatsOf(3, alice, bob);
    assert.deepEqual(await listed(alice), [third.id, second.id, first.id]);
    await sendMessage(bob, first, 'back to the first');
    assert.deepEqual(await listed(alice), [first.id, third.id, second.id]);
  });

  test('names the chats of the user in the request', async (t) => {
    const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
    const shared = await chatOf(alice, bob);
    await chatOf(alice);
    assert.deepEqual(await listed(alice, { user: { id: bob.id } }), [shared.id]);
  });

  test('is empty for somebody without chats', async (t) => {
    assert.deepEqual(await listed(await connectUser(t, server, 'alice')), []);
  });

  test('returns each chat once, page by page', async (t) => {
    const alice = await connectUser(t, server, 'alice');
    const newestFirst = (await chatsOf(5, alice)).reverse().map(({ id }) => id);
    const pages = [];
    for (let before; pages.length < 10;) {
      const page = await ask(alice.socket, 'list-chats', { limit: 2, ...(before && { before }) });
      pages.push(page.chats.map(({ id }) => id));
      before = page.next;
      if (!before) break;
    }
    assert.deepEqual(pages.flat(), newestFirst);
    assert.ok(pages.every(({ length }) => length <= 2), JSON.stringify(pages));
  });
});

describe('list-messages', () => {
  let alice;
  let chat;
  let sent;

  before(async () => {
    alice = await connectUser(scope, server, 'alice');
    chat = await chatOf(alice);
    sent = [];
    for (const msg of ['one', 'two', 'three', 'four', 'five', 'six']) {
      sent.push(await sendMessage(alice, chat, msg));
      await tick();
    }
  });

  /** The list of a query: the numbers of the messages, and whether there are more. */
  const list = async (query) => {
    const { messages, has_more } = await ask(alice.socket, 'list-messages', { chat: { id: chat.id }, query });
    return [messages.map(({ seq }) => seq), has_more];
  };

  test('lists everything, oldest first, in the form in which it was acknowledged', async () => {
    assert.deepEqual(await history(alice, chat), sent);
    assert.deepEqual(await history(alice, chat, {}), sent);
  });

  test('is empty for a chat in which nobody has spoken', async () => {
    assert.deepEqual(await history(alice, await chatOf(alice)), []);
  });

  test('lists the latest when limited', async () => {
    assert.deepEqual(await list({ limit: 2 }), [[5, 6], true]);
    assert.deepEqual(await list({ limit: 6 }), [[1, 2, 3, 4, 5, 6], false]);
  });

  test('takes a limit above the most that is allowed as that', async () => {
    assert.deepEqual(await list({ limit: 1_000_000 }), [[1, 2, 3, 4, 5, 6], false]);
  });

  test('lists the first ones after a number', async () => {
    assert.deepEqual(await list({ after_seq: 0, limit: 2 }), [[1, 2], true]);
    assert.deepEqual(await list({ after_seq: 2, limit: 2 }), [[3, 4], true]);
    assert.deepEqual(await list({ after_seq: 4, limit: 2 }), [[5, 6], false]);
    assert.deepEqual(await list({ after_seq: 6 }), [[], false]);
  });

  test('lists the latest ones before a number', async () => {
    assert.deepEqual(await list({ before_seq: 5, limit: 2 }), [[3, 4], true]);
    assert.deepEqual(await list({ before_seq: 3, limit: 2 }), [[1, 2], false]);
    assert.deepEqual(await list({ before_seq: 1 }), [[], false]);
  });

  test('lists what lies between two numbers', async () => {
    assert.deepEqual(await list({ after_seq: 2, before_seq: 5 }), [[3, 4], false]);
  });

  test('lists what lies between two times, both included', async () => {
    const [from, to] = [sent[1].created_at, sent[3].created_at];
    assert.deepEqual((await list({ from, to }))[0], [2, 3, 4]);
    assert.deepEqual((await list({ from }))[0], [2, 3, 4, 5, 6]);
    assert.deepEqual((await list({ to }))[0], [1, 2, 3, 4]);
    assert.deepEqual((await list({ from, to, limit: 2 })), [[3, 4], true]);
    assert.deepEqual((await list({ from: to, to: from }))[0], []);
  });

  test('understands times with another offset', async () => {
    const elsewhere = (time) => new Date(Date.parse(time) + 2 * 60 * 60 * 1000).toISOString().replace('Z', '+02:00');
    const [from, to] = [sent[1], sent[3]].map(({ created_at }) => elsewhere(created_at));
    assert.deepEqual((await list({ from, to }))[0], [2, 3, 4]);
  });

  test('understands plain dates, both included', async () => {
    const date = (time, days = 0) => new Date(Date.parse(time) + days * DAY_MS).toISOString().slice(0, 10);
    const [first, last] = [sent[0].created_at, sent[5].created_at];
    assert.deepEqual((await list({ from: date(first), to: date(last) }))[0], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual((await list({ from: date(last, 1) }))[0], []);
    assert.deepEqual((await list({ to: date(first, -1) }))[0], []);
  });
});
