// @ts-check
// Owns the promises of the type dialect: its seed played through, every request and answer, read flags, pushes.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { chatOf as closedChatOf, connectUser } from '../clients/fixtures.mjs';
import {
  chatOf, chats, connectType, details, isChat, isJoining, isListedMessage, isMessage, join, messages, newChat,
  pushed, readFlags, refusal, sendMessage,
} from '../clients/type-data.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { pair, unpair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const NEVER_GIVEN_OUT = 4_000_000_000;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

const typists = (t, ...bases) => Promise.all(bases.map((base) => connectType(t, server, base)));

test('the seed, request by request, is answered as documented there', async (t) => {
  const [alice, bob] = await typists(t, 'alice', 'bob');
  const exchange = async ({ wire }, request, type) => {
    wire.send(request);
    const answer = await wire.take();
    assert.deepEqual([answer.type, Object.keys(answer).sort()], [type, ['data', 'type']], JSON.stringify(answer));
    return answer.data;
  };

  const empty = isChat(await exchange(alice, { type: 'createEmptyChat', data: {} }, 'emptyChatCreated'));
  assert.deepEqual(empty.participants, []);
  const chat = empty.id;
  const joining = isJoining(await exchange(alice, { type: 'joinChat', data: { chat } }, 'chatJoined'));
  assert.deepEqual([joining.chat, joining.user.username], [chat, alice.name]);
  await exchange(bob, { type: 'joinChat', data: { chat } }, 'chatJoined');

  const message = { chat, text: 'Привет 😀', is_read: false };
  const created = isMessage(await exchange(alice, { type: 'newMessage', data: message }, 'messageCreated'));
  assert.deepEqual({ ...created, ...message, sender: joining.user }, created);
  assert.deepEqual(unpair(created.id), { pk: chat, seq: 1 });
  const reading = { type: 'joinChat', data: { chat, last_read_message: created.id } };
  const carol = await connectType(t, server, 'carol');
  assert.equal((await exchange(carol, reading, 'chatJoined')).last_read_message, created.id);

  const listed = await exchange(bob, { type: 'getChats', data: {} }, 'chatsList');
  assert.deepEqual(listed.map((each) => isChat(each).id), [chat]);
  const looked = isChat(await exchange(bob, { type: 'getChatDetails', data: { chatId: chat } }, 'chatDetails'));
  assert.deepEqual(looked.participants.map(({ username }) => username), [alice.name, bob.name, carol.name]);
  assert.deepEqual(listed[0], looked);

  const filter = { chatId: chat, date_from: 'yesterday', last: 5 };
  const history = await exchange(bob, { type: 'getChatMessages', data: filter }, 'chatMessages');
  assert.deepEqual(history.map(isListedMessage), [{ ...created, sender_username: alice.name }]);
  for (const { wire } of [alice, bob, carol]) assert.deepEqual(wire.takeRest(), []);
});

describe('a chat', () => {
  test('is listed only for those who take part, and its maker does not at first', async (t) => {
    const [alice, bob] = await typists(t, 'alice', 'bob');
    const chat = await newChat(alice);
    assert.deepEqual(await chats(alice), []);
    await join(bob, chat);
    assert.deepEqual((await chats(bob)).map(({ id }) => id), [chat]);
    assert.deepEqual(await chats(alice), []);
  });

  test('of many may be looked at and read by anyone, but not written to', async (t) => {
    const [alice, eve] = await typists(t, 'alice', 'eve');
    const chat = await chatOf(alice);
    const { id } = await sendMessage(alice, chat, 'hello');
    assert.equal((await details(eve, chat)).participants.length, 1);
    assert.deepEqual((await messages(eve, chat)).map((message) => message.id), [id]);
    assert.equal((await refusal(eve, 'newMessage', { chat, text: 'let me in' })).code, 'forbidden');
  });

  test('of a few does not exist for anyone else', async (t) => {
    const member = await connectUser(t, server, 'member');
    const { pk } = await closedChatOf(member);
    const eve = await connectType(t, server, 'eve');
    /** @type {[string, object][]} */
    const requests = [
      ['getChatDetails', { chatId: pk }], ['getChatMessages', { chatId: pk }],
      ['joinChat', { chat: pk }], ['newMessage', { chat: pk, text: 'hello' }],
    ];
    for (const [type, data] of requests) {
      const { message, code } = await refusal(eve, type, data);
      assert.deepEqual([message, code], ['Chat not found.', 'not_found'], type);
    }
  });

  test('moves its update time with a message and with a new participant', async (t) => {
    const [alice, bob] = await typists(t, 'alice', 'bob');
    const chat = await newChat(alice);
    const times = [(await details(alice, chat)).updated_at];
    for (const change of [() => join(alice, chat), () => sendMessage(alice, chat, 'hello'), () => join(bob, chat)]) {
      await tick();
      await change();
      times.push((await details(alice, chat)).updated_at);
    }
    assert.equal(new Set(times).size, times.length, `${times}`);
    assert.deepEqual(times.toSorted(), times);
    assert.ok((await details(alice, chat)).created_at <= times[0]);
  });

  test('is named by a number or the same number as text, and answers with the number', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const chat = await newChat(alice);
    assert.strictEqual((await join(alice, `${chat}`)).chat, chat);
    const message = await sendMessage(alice, `${chat}`, 'hello');
    assert.strictEqual(message.chat, chat);
    assert.strictEqual((await details(alice, `${chat}`)).id, chat);
    assert.deepEqual((await messages(alice, `${chat}`)).map(({ id }) => id), [message.id]);
  });
});

describe('joining', () => {
  test('returns the newest message, or the one given, or none where there is none', async (t) => {
    const [alice, bob, carol, dave] = await typists(t, 'alice', 'bob', 'carol', 'dave');
    const chat = await newChat(alice);
    assert.ok(!('last_read_message' in await join(alice, chat)));
    const first = await sendMessage(alice, chat, 'one');
    const second = await sendMessage(alice, chat, 'two');
    assert.strictEqual((await join(bob, chat)).last_read_message, second.id);
    assert.strictEqual((await join(carol, chat, { last_read_message: `${first.id}` })).last_read_message, first.id);
    assert.strictEqual((await join(dave, chat, { last_read_message: null })).last_read_message, second.id);
  });

  test('again is a notice, and moves the read position all the same', async (t) => {
    const [alice, bob] = await typists(t, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const { id } = await sendMessage(alice, chat, 'one');
    bob.wire.takeRest();
    bob.wire.send({ type: 'joinChat', data: { chat, last_read_message: id } }, { type: 'joinChat', data: { chat } });
    for (let count = 0; count < 2; count++) {
      const notice = { type: 'info', message: 'You are already a participant in this chat.' };
      assert.deepEqual(await bob.wire.take(), notice);
    }
    assert.deepEqual(await readFlags(alice, chat), [true]);
    assert.equal((await details(alice, chat)).participants.length, 2);
  });

  test('with a message of another chat, or of none, moves nothing and is no error', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const [here, there] = [await chatOf(alice), await chatOf(alice)];
    const { id } = await sendMessage(alice, there, 'elsewhere');
    for (const words of ['one', 'two']) await sendMessage(alice, here, words);
    const beyond = pair(here, 3);
    for (const last_read_message of [id, NEVER_GIVEN_OUT, beyond, 'x', '4e1f-a', { a: 1 }, [1], -1]) {
      const newcomer = await connectType(t, server, 'newcomer');
      assert.deepEqual((await join(newcomer, here, { last_read_message })).last_read_message, last_read_message);
      const again = await newcomer.wire.ask({ type: 'joinChat', data: { chat: here, last_read_message } });
      assert.equal(again.type, 'info');
      assert.deepEqual(await readFlags(alice, here), [false, false], 'unread as before');
    }
  });
});

describe('a message', () => {
  test('may be sent again with its client_id: it is stored once', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const chat = await chatOf(alice);
    const first = await sendMessage(alice, chat, 'hello', { client_id: 'c-1' });
    assert.deepEqual(await sendMessage(alice, chat, 'something else', { client_id: 'c-1' }), first);
    assert.deepEqual((await messages(alice, chat)).map(({ text }) => text), ['hello']);
  });

  test('is marked as read in every form that the original took', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const chat = await chatOf(alice);
    for (const [is_read, delivered] of [[true, true], [1, true], ['True', true], ['1', true], [false, false], [0, false]]) {
      assert.strictEqual((await sendMessage(alice, chat, 'hello', { is_read })).is_read, delivered, JSON.stringify(is_read));
    }
    assert.deepEqual(await readFlags(alice, chat), [true, true, true, true, false, false]);
  });

  test('keeps its text as it came, and a number becomes its text', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const chat = await chatOf(alice);
    const texts = ['  spaces \n', '"quoted" \\ </script>', '👩‍👩‍👧', 'a\u2028b\u0007'];
    for (const text of texts) assert.equal((await sendMessage(alice, chat, text)).text, text);
    assert.strictEqual((await sendMessage(alice, chat, 5)).text, '5');
    assert.deepEqual((await messages(alice, chat)).map(({ text }) => text), [...texts, '5']);
  });

  test('of many: the last few come newest first, all of them oldest first', async (t) => {
    const alice = await connectType(t, server, 'alice');
    const chat = await chatOf(alice);
    const ids = [];
    for (let count = 0; count < 5; count++) ids.push((await sendMessage(alice, chat, `${count}`)).id);
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
    const listed = async (filter) => (await messages(alice, chat, filter)).map(({ id }) => id);
    assert.deepEqual(await listed(), ids);
    assert.deepEqual(await listed({ last: 2 }), [ids[4], ids[3]]);
    assert.deepEqual(await listed({ last: '3' }), [ids[4], ids[3], ids[2]]);
    assert.deepEqual(await listed({ last: 99 }), ids.toReversed());
    for (const last of [0, -1, null]) assert.deepEqual(await listed({ last }), ids);
  });
});

describe('a message is read', () => {
  test('by the other of two once the other reports it or writes, and never unread again', async (t) => {
    const [alice, bob] = await typists(t, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    const sent = [];
    for (const text of ['one', 'two', 'three']) sent.push(await sendMessage(alice, chat, text));
    const seen = (last_read_message) => bob.wire.ask({ type: 'joinChat', data: { chat, last_read_message } });
    assert.deepEqual(await readFlags(alice, chat), [false, false, false]);
    await seen(sent[1].id);
    assert.deepEqual(await readFlags(alice, chat), [true, true, false]);
    await seen(sent[0].id);
    assert.deepEqual(await readFlags(bob, chat), [true, true, false]);
    await sendMessage(bob, chat, 'four');
    assert.deepEqual(await readFlags(alice, chat), [true, true, true, false]);
  });

  test('by all of three only when the last has read it, and by nobody where there is nobody else', async (t) => {
    const [alice, bob, carol] = await typists(t, 'alice', 'bob', 'carol');
    const chat = await chatOf(alice);
    const { id } = await sendMessage(alice, chat, 'one');
    assert.deepEqual(await readFlags(alice, chat), [false]);
    await join(bob, chat, { last_read_message: id });
    assert.deepEqual(await readFlags(alice, chat), [true]);
    await join(carol, chat);
    assert.deepEqual(await readFlags(alice, chat), [false]);
    await sendMessage(carol, chat, 'two');
    assert.deepEqual(await readFlags(alice, chat), [true, false]);
  });

  test('when it was sent so, whatever has been read', async (t) => {
    const [alice, bob] = await typists(t, 'alice', 'bob');
    const chat = await chatOf(alice, bob);
    await sendMessage(alice, chat, 'one', { is_read: true });
    await sendMessage(alice, chat, 'two');
    assert.deepEqual(await readFlags(bob, chat), [true, false]);
  });
});

describe('a push', () => {
  test('sends each message and each new participant to everyone else, once', async (t) => {
    const alice = await connectType(t, server, 'alice', { push: true });
    const alsoAlice = await connectType(t, server, 'alice', { push: true, token: alice.token });
    const bob = await connectType(t, server, 'bob', { push: true });
    const quiet = await connectType(t, server, 'quiet');
    const outsider = await connectType(t, server, 'outsider', { push: true });
    const chat = await chatOf(alice, quiet, bob);
    const sent = [await sendMessage(alice, chat, 'one'), await sendMessage(bob, chat, 'two'), await sendMessage(quiet, chat, 'three')];

    await alice.wire.until(({ data }) => data?.text === 'three', 'the last message');
    await bob.wire.until(({ data }) => data?.text === 'three', 'the last message');
    await alsoAlice.wire.until(({ data }) => data?.text === 'three', 'the last message');
    assert.deepEqual(pushed(alice, 'messageCreated').map(isMessage), [sent[1], sent[2]]);
    assert.deepEqual(pushed(bob, 'messageCreated'), [sent[0], sent[2]]);
    assert.deepEqual(pushed(alsoAlice, 'messageCreated'), sent);
    const joined = ({ data: { user } }) => user.username;
    const names = (who) => pushed(who, 'chatJoined').map((data) => joined({ data: isJoining(data) }));
    assert.deepEqual(names(alice), [quiet.name, bob.name]);
    assert.deepEqual(names(bob), []);
    for (const who of [quiet, outsider]) {
      await chats(who);
      assert.deepEqual([pushed(who, 'messageCreated'), pushed(who, 'chatJoined')], [[], []]);
    }
  });
});

describe('a request_id', () => {
  const VALUES = ['"text"', '""', '7', '-1.5', 'true', 'false', '[1,"a"]', '{"a":{"b":null}}', '1638979242972',
    '123456789012345678901234567890'];

  for (const value of VALUES) {
    test(`that is ${value} comes back as it came, with answers, notices and errors`, async (t) => {
      const { wire } = await connectType(t, server, 'alice');
      wire.send({ type: 'createEmptyChat', data: {} });
      const chat = (await wire.take()).data.id;
      const requests = ['"getChats"', `"joinChat","data":{"chat":${chat}}`, `"joinChat","data":{"chat":${chat}}`,
        '"getChatDetails","data":{"chatId":0}', '"unknown"'];
      for (const request of requests) {
        wire.sendText(`{"type":${request},"request_id":${value}}`);
        const text = await wire.takeText();
        assert.ok(text.includes(`"request_id":${value}`), text);
      }
    });
  }

  test('that was not given does not come back', async (t) => {
    const wire = await dial(t, server, PATH.type, { token: 'anyone' });
    wire.send({ type: 'getChats' }, { type: 'unknown' });
    for (let count = 0; count < 2; count++) assert.ok(!('request_id' in await wire.take()));
  });
});
