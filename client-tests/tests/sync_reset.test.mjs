// @ts-check
// Owns the promise to clients that know more than the store, because a backup was restored: the chat begins anew, with
// `reset: true`, and live messages follow without a gap or a duplicate.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { chatOf, connectUsers, history, sendMany, sendMessage, seqsOf, uniqueName, upTo } from '../clients/fixtures.mjs';
import { ask, connect, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { pair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const OTHER = '01890000-0000-7000-8000-000000000000';

const scope = useScope();
let server;
before(async () => { server = await startServer(scope); });

/** Two members, and a chat of this many messages. */
async function scene(t, count) {
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  await sendMany(anna, chat, count, (number) => `${number}`);
  return { anna, boris, chat };
}

/** A new connection that records its events in their order. */
async function visit(t, { user }, since) {
  const frames = [];
  const opened = (socket) => {
    for (const event of ['sync', 'new-message']) socket.on(event, (body) => frames.push({ event, body }));
  };
  const socket = await connect(t, server.url, { auth: { token: user.externalUserId, since }, opened });
  return { socket, frames };
}

describe('in event-name', () => {
  test('a plain number beyond the head begins anew, and no number up to it', async (t) => {
    const { anna, chat } = await scene(t, 8);
    const page = async (known) => (await ask(anna.socket, 'sync', { chats: { [chat.id]: known } })).chats[chat.id];
    for (const known of [9, '9', { seq: 10 }, 2 ** 52]) {
      const { messages, ...rest } = await page(known);
      assert.deepEqual([seqsOf(messages), rest], [upTo(8), { head: 8, has_more: false, reset: true }], `${known}`);
    }
    for (const known of [0, 7, 8, { seq: 8 }, { seq: 0, id: null }]) assert.ok(!('reset' in await page(known)));
  });

  test('so does a position whose message has another id', async (t) => {
    const { anna, chat } = await scene(t, 8);
    const ids = (await history(anna, chat)).map(({ id }) => id);
    const page = async (known) => (await ask(anna.socket, 'sync', { chats: { [chat.id]: known } })).chats[chat.id];
    for (const seq of [1, 5, 8]) {
      const same = await page({ seq, id: ids[seq - 1], rev: { kept: 'for later' } });
      assert.deepEqual([seqsOf(same.messages), same.reset], [upTo(8).slice(seq), undefined]);
      for (const id of [OTHER, ids[seq % 8], 'x', 1_000_000_007, true]) {
        const reset = await page({ seq, id });
        assert.deepEqual([seqsOf(reset.messages), reset.reset], [upTo(8), true], `${seq} ${id}`);
      }
    }
    for (const known of [{}, { id: OTHER }, { seq: -1 }, { seq: null }]) {
      const { code, message } = await refusal(anna.socket, 'sync', { chats: { [chat.id]: known } });
      assert.equal(code, 'invalid');
      assert.match(message, /\.seq: /);
    }
  });

  for (const [what, position] of Object.entries({
    'a number beyond the head': () => 10,
    'another id': () => ({ seq: 5, id: OTHER }),
  })) {
    test(`a connection with ${what} in auth.since begins with what it is told, and goes on live`, async (t) => {
      const { anna, boris, chat } = await scene(t, 8);
      const back = await visit(t, boris, { [chat.id]: position() });
      await sendMessage(anna, chat, 'live');
      await sendMessage(anna, chat, 'last');
      await sendMessage(anna, chat, 'end');
      await eventually(() => back.frames.length >= 12, 'all messages');
      const [first, ...rest] = back.frames;
      assert.deepEqual(first, {
        event: 'sync', body: { chats: { [chat.id]: { messages: [], head: 8, has_more: false, reset: true } } },
      });
      assert.deepEqual(rest.map(({ event, body }) => [event, body.seq]), upTo(11).map((seq) => ['new-message', seq]));
    });
  }

  test('a long chat begins anew in pages, and then comes live', async (t) => {
    const { anna, boris, chat } = await scene(t, 1500);
    const back = await visit(t, boris, { [chat.id]: 3000 });
    await sendMessage(anna, chat, 'live');
    await eventually(() => back.frames.at(-1)?.body.msg === 'live', 'the live one');
    const [first, ...rest] = back.frames;
    assert.deepEqual(first.body.chats[chat.id], { messages: [], head: 1500, has_more: true, reset: true });
    const seqs = rest.map(({ body }) => body.seq);
    const replayed = seqs.slice(0, -1);
    assert.deepEqual(replayed, upTo(replayed.length));
    assert.equal(seqs.at(-1), 1501);
    let known = replayed.length;
    for (let pages = 0; pages < 10; pages++) {
      const { chats } = await ask(back.socket, 'sync', { chats: { [chat.id]: known } });
      const page = chats[chat.id];
      assert.ok(!page.reset);
      assert.deepEqual(seqsOf(page.messages), page.messages.map((_, index) => known + index + 1));
      known += page.messages.length;
      if (!page.has_more) break;
    }
    assert.equal(known, 1500);
  });
});

describe('on a raw WebSocket', () => {
  test('type and action take numbers and ids, and begin anew alike', async (t) => {
    const anna = await type.connectType(t, server, 'anna', { push: true });
    const chat = await type.chatOf(anna);
    for (const words of ['1', '2', '3']) await type.sendMessage(anna, chat, words);
    const boris = await action.connectAction(t, server, uniqueName('boris'));
    await action.ask(boris, 'sync', { chats: {} });
    const page = {
      type: async (known) => (await type.ask(anna, 'sync', { chats: { [chat]: known } }, 'sync')).chats[chat],
      action: async (known) => (await action.ask(boris, 'sync', { chats: { [chat]: known } })).chats[chat],
    };
    for (const [dialect, sync] of Object.entries(page)) {
      for (const known of [4, { seq: 4 }, { seq: 2, id: pair(chat, 3) }, { seq: 2, id: OTHER }]) {
        const { messages, reset } = await sync(known);
        assert.deepEqual([seqsOf(messages), reset], [[1, 2, 3], true], `${dialect} ${JSON.stringify(known)}`);
      }
      for (const known of [2, { seq: 2 }, { seq: 2, id: pair(chat, 2) }, { seq: '2', id: `${pair(chat, 2)}` }]) {
        const { messages, reset } = await sync(known);
        assert.deepEqual([seqsOf(messages), reset], [[3], undefined], `${dialect} ${JSON.stringify(known)}`);
      }
    }
  });
});
