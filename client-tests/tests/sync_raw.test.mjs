// @ts-check
// Owns the promise that a client of the action or the type dialect that reconnects gets the missed messages by `sync`:
// together with live ones each once, whatever frame decides the dialect.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { seqsAfter, seqsOf, uniqueName, upTo } from '../clients/fixtures.mjs';
import * as type from '../clients/type-data.mjs';
import { PATH, refusedWith } from '../clients/websocket.mjs';
import { NO_CHAT_NAMES, badSyncRequests } from '../data/bad-requests.mjs';
import { unpair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, token } from '../harness/tokens.mjs';

const VISITS = 12;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** The operations of both dialects. */
const DIALECTS = {
  action: {
    connect: (t, options) => action.connectAction(t, server, 'actor', { acks: true, ...options }),
    /** Messages come only after a subscription. */
    listen: (who, chat) => action.ask(who, 'subscribe_to_messages_in_room', { pk: chat }),
    make: action.newRoom,
    join: (who, chat) => action.ask(who, 'join_room', { pk: chat }),
    leave: (who, chat) => action.ask(who, 'leave_room', { pk: chat }),
    sendMessage: (who, chat, words) => action.ask(who, 'create_message', { pk: chat, message: words }),
    message: (pk, message) => ({ action: 'create_message', pk, message }),
    sync: async (who, chats) => (await action.ask(who, 'sync', { chats })).chats,
    refusal: async (who, chats) => {
      const { response_status: status, errors } = action.isReply(await who.wire.ask({ action: 'sync', chats }), 'sync', 400);
      return { status, message: errors.join() };
    },
    isMessage: action.isMessage,
    received: (who) => action.received(who).map(({ id }) => unpair(id).seq),
    isSent: (frame) => frame.action === 'create_message',
    isLive: (frame) => frame.action === 'create' && !('errors' in frame),
  },
  type: {
    connect: (t, options) => type.connectType(t, server, 'typist', { push: true, ...options }),
    listen: () => {},
    make: type.newChat,
    join: (who, chat) => type.join(who, chat),
    sendMessage: (who, chat, words) => type.sendMessage(who, chat, words),
    message: (chat, text) => ({ type: 'newMessage', data: { chat, text } }),
    sync: async (who, chats) => (await type.ask(who, 'sync', { chats }, 'sync')).chats,
    refusal: async (who, chats) => {
      const { code, message } = await type.refusal(who, 'sync', { chats });
      assert.equal(code, 'invalid');
      return { status: 400, message };
    },
    isMessage: type.isMessage,
    received: (who) => type.pushed(who, 'messageCreated').map(({ id }) => unpair(id).seq),
    isSent: (frame) => frame.type === 'messageCreated',
    isLive: (frame) => frame.type === 'messageCreated' && !('request_id' in frame),
  },
};

for (const [name, dialect] of Object.entries(DIALECTS)) {
  describe(`in the ${name} dialect`, () => {
    const { connect, listen, make, join, sendMessage, sync, received } = dialect;

    /** A chat of two, and the first of them. */
    async function chatOfTwo(t) {
      const [writer, reader] = [await connect(t), await connect(t)];
      const chat = await make(writer);
      for (const who of [writer, reader]) await join(who, chat);
      await reader.wire.close();
      return { writer, chat, token: reader.token };
    }

    async function pages(who, chat, after) {
      const found = [];
      for (let asked = 0; asked < 100; asked++) {
        const page = (await sync(who, { [chat]: found.at(-1) ?? after }))[chat];
        found.push(...seqsOf(page.messages));
        if (!page.has_more) return { found, head: page.head };
      }
      throw new Error('there is no end to it');
    }

    const untilReceived = (who, count) => who.wire.untilMany(dialect.isLive, count, 'messages by themselves');

    for (const path of [PATH[name], PATH.either]) {
      test(`a client that reconnects in the middle of it on ${path} is sent exactly what is not delivered live`, async (t) => {
        const { writer, chat, token: reader } = await chatOfTwo(t);
        let flowing = true;
        let total = 0;
        const lane = async () => {
          for (; flowing; total += 1) await sendMessage(writer, chat, 'on and on');
        };
        const traffic = Promise.all([lane(), lane(), lane(), lane()]);
        let known = 0;
        for (let visits = 0; visits < VISITS; visits++) {
          const back = await connect(t, { token: reader, path });
          if (visits % 3 === 1) await new Promise((resolve) => { setTimeout(resolve, 20); });
          await listen(back, chat);
          if (visits % 3 === 2 && path !== PATH.either) await untilReceived(back, 5);
          const { found, head } = await pages(back, chat, known);
          assert.equal(found.at(-1) ?? known, head);
          await untilReceived(back, visits * 2 + 1);
          await back.wire.close();
          const row = [...found, ...received(back)];
          assert.deepEqual(row, seqsAfter(known, row.length));
          known += row.length;
        }
        flowing = false;
        await traffic;
        assert.ok(known > VISITS && known <= total, `${known} of ${total}`);
      });
    }

    test('a message looks as ever, with its number', async (t) => {
      const { writer, chat, token: reader } = await chatOfTwo(t);
      for (const words of ['one', 'two']) await sendMessage(writer, chat, words);
      const back = await connect(t, { token: reader });
      await listen(back, chat);
      const found = (await sync(back, { [chat]: 0 }))[chat];
      assert.deepEqual(Object.keys(found), ['messages', 'head', 'has_more']);
      assert.deepEqual(seqsOf(found.messages), [1, 2]);
      found.messages.forEach(dialect.isMessage);
      assert.deepEqual(found.messages.map(({ id }) => unpair(id).seq), [1, 2]);
      assert.deepEqual([found.messages.map(({ text }) => text), found.head], [['one', 'two'], 2]);
    });

    test('5,000 missed messages come in pages', async (t) => {
      const { writer, chat, token: reader } = await chatOfTwo(t);
      writer.wire.send(...Array.from({ length: 5000 }, () => dialect.message(chat, 'on and on')));
      await writer.wire.untilMany(dialect.isSent, 5000, 'messages sent', 60_000);
      const back = await connect(t, { token: reader });
      await listen(back, chat);
      const first = (await sync(back, { [chat]: 0 }))[chat];
      assert.deepEqual([seqsOf(first.messages), first.has_more, first.head], [upTo(1000), true, 5000]);
      await sendMessage(writer, chat, 'live');
      const { found } = await pages(back, chat, 1000);
      await untilReceived(back, 1);
      assert.deepEqual([...found, ...received(back)], seqsAfter(1000, 4001));
    });

    test('a client that has caught up may read again up to the end', async (t) => {
      const { writer, chat, token: reader } = await chatOfTwo(t);
      await sendMessage(writer, chat, 'one');
      const back = await connect(t, { token: reader });
      await listen(back, chat);
      await pages(back, chat, 0);
      await sendMessage(writer, chat, 'two');
      await untilReceived(back, 1);
      assert.deepEqual((await pages(back, chat, 0)).found, [1, 2]);
    });

    test('an open chat may be read without being in it', async (t) => {
      const { writer, chat } = await chatOfTwo(t);
      for (const words of ['one', 'two']) await sendMessage(writer, chat, words);
      const guest = await connect(t);
      assert.deepEqual((await pages(guest, chat, 0)).found, [1, 2]);
      await sendMessage(writer, chat, 'three');
      assert.deepEqual((await pages(guest, chat, 2)).found, [3]);
    });

    test('a chat that is not there does not spoil the others', async (t) => {
      const { writer, chat } = await chatOfTwo(t);
      await sendMessage(writer, chat, 'one');
      const names = NO_CHAT_NAMES.filter((each) => each !== '__proto__');
      const chats = await sync(writer, { ...Object.fromEntries(names.map((each) => [each, 0])), [chat]: '0' });
      assert.deepEqual(seqsOf(chats[chat].messages), [1]);
      assert.deepEqual(Object.keys(chats).sort(), [...names, `${chat}`].sort());
      for (const each of names) {
        const message = `no such chat ${[...each].slice(0, 64).join('')}`;
        assert.deepEqual(chats[each], { error: { code: 'not_found', retryable: false, message } });
      }
    });

    test('what is malformed is refused in each of its forms', async (t) => {
      const { writer } = await chatOfTwo(t);
      const chats = [];
      for (let count = 0; count < 4; count++) chats.push(`${await make(writer)}`);
      const bad = badSyncRequests(chats);
      assert.ok(bad.length > 300);
      for (const { chats: asked, names } of bad) {
        const { message } = await dialect.refusal(writer, asked);
        assert.ok(message.includes(names), `${message} does not name ${names}`);
      }
      assert.deepEqual(await sync(writer, {}), {});
    });
  });
}

test('one whose subscription comes later has not missed what was said before it', async (t) => {
  const writer = await action.connectAction(t, server, 'writer', { acks: true });
  const reader = await action.connectAction(t, server, 'reader', { acks: true });
  const pk = await action.newRoom(writer);
  for (const who of [writer, reader]) await action.ask(who, 'join_room', { pk });
  const sendMessage = (message) => action.ask(writer, 'create_message', { pk, message });
  await sendMessage('one');
  await action.ask(reader, 'create_message', { pk, message: 'two' });
  await action.ask(reader, 'subscribe_to_messages_in_room', { pk });
  await sendMessage('three');
  await action.untilReceived(reader, 'three');
  const { chats } = await action.ask(reader, 'sync', { chats: { [pk]: 0 } });
  assert.deepEqual(seqsOf(chats[pk].messages), [1, 2]);
});

test('without pushes a sync goes up to the end every time', async (t) => {
  const [writer, reader] = [await type.connectType(t, server, 'writer'), await type.connectType(t, server, 'reader')];
  const chat = await type.chatOf(writer, reader);
  for (let count = 1; count <= 5; count++) {
    await type.sendMessage(writer, chat, 'hello');
    const { chats } = await type.ask(reader, 'sync', { chats: { [chat]: count - 1 } }, 'sync');
    assert.deepEqual(seqsOf(chats[chat].messages), [count]);
  }
});

test('in an envelope it is answered in one', async (t) => {
  const who = await action.connectAction(t, server, 'wrapped');
  const pk = await action.newRoom(who);
  who.wire.takeRest();
  who.wire.send({ stream: 'room', payload: { action: 'sync', request_id: 7, chats: { [pk]: 0 } } });
  const { stream, payload } = await who.wire.take();
  assert.equal(stream, 'room');
  assert.equal(payload.request_id, 7);
  assert.deepEqual(action.isReply(payload, 'sync', 200).data.chats[pk], { messages: [], head: 0, has_more: false });
});

test('with a token only the chats of its user are there', async (t) => {
  const strict = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  assert.equal(await refusedWith(t, strict, PATH.type), 401);
  const jwt = async (claims) => token({ sub: uniqueName('holder'), ...claims });
  const [writer, reader] = [
    await type.connectType(t, strict, 'writer', { token: await jwt() }), await type.connectType(t, strict, 'reader', { token: await jwt() }),
  ];
  const chat = await type.chatOf(writer, reader);
  await type.sendMessage(writer, chat, 'one');
  const asked = { chats: { [chat]: 0, [chat + 1]: 0 } };
  for (const who of [reader, await type.connectType(t, strict, 'backend', { token: await jwt({ role: 'service' }) })]) {
    const { chats } = await type.ask(who, 'sync', asked, 'sync');
    assert.deepEqual(seqsOf(chats[chat].messages), [1]);
    assert.equal(chats[chat + 1].error.code, 'not_found');
  }
});
