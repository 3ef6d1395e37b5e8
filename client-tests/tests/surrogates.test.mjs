// @ts-check
// Owns the promise that half of a character, which JavaScript sends where it cuts a text, is stored as U+FFFD in every
// dialect and over REST, and costs nothing else of its request.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { connectAction, enter, newRoom, room, untilReceived } from '../clients/action.mjs';
import { chatOf, connectUser, connectUsers, received, history, sendMessage } from '../clients/fixtures.mjs';
import { TRANSPORTS, entered } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, refusal } from '../clients/socketio.mjs';
import { chatOf as typeChatOf, connectType, messages, sendMessage as sendType } from '../clients/type-data.mjs';
import { testRandom } from '../harness/random.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

/** A front end that shows the first seven units of a text. */
const CUT = 'Hello 😀'.slice(0, 7);
const STORED = 'Hello \ufffd';

/** Names and values that no request has, each with half of a character. */
const UNREAD = { note: CUT, '\udc00': 1, '\ud83d': ['\ud83d', { '\ude00\ud83d': '\ude00' }] };

/** The text after the encoders of Node. */
const wellFormed = (text) => Buffer.from(text).toString();

let server;
let host;
const scope = useScope();
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

const CLIENTS = {
  'version 4 over a WebSocket': {}, 'version 4 over polling': { transports: ['polling'] },
  'version 2 over a WebSocket': { client: 2 }, 'version 2 over polling': { client: 2, transports: ['polling'] },
};

for (const [what, options] of Object.entries(CLIENTS)) {
  test(`in the event-name dialect, with the official client of ${what}`, async (t) => {
    const [alice, bob] = [await connectUser(t, server, 'alice', options), await connectUser(t, server, 'bob', options)];
    const { chat } = await ask(alice.socket, 'create-chat', { chat: { name: CUT }, users: [alice.id, bob.id], ...UNREAD });
    assert.equal(chat.name, STORED);
    const sent = await sendMessage(alice, chat, CUT, UNREAD);
    assert.equal(sent.msg, STORED);
    await bob.inbox.until(1);
    assert.deepEqual(received(bob, chat), [sent]);
    assert.deepEqual(await history(bob, chat), [sent]);
    const user = { externalUserId: alice.user.externalUserId, name: CUT };
    assert.equal((await ask(alice.socket, 'create-user', { user, ...UNREAD })).user.name, STORED);
    assert.equal((await refusal(alice.socket, 'new-message', { room: CUT, msg: 'hello' })).code, 'not_found');
  });
}

test('in what a client sends when it connects', async (t) => {
  const alice = await connectUser(t, server, 'alice');
  const chat = await chatOf(alice);
  const auth = { token: alice.user.externalUserId, ...UNREAD };
  const again = { ...alice, socket: await connect(t, server.url, { auth }) };
  assert.equal((await sendMessage(again, chat, 'it is me')).user_id, alice.id);
});

test('any text is stored as it is well formed', async (t) => {
  const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
  const chat = await chatOf(alice, bob);
  const { pick, below } = testRandom(t);
  const pieces = ['\ud83d', '\ude00', '\udbff', '\udc00', '\ud800', '😀', '\\ud83d', '\\', '"', 'u', 'é', '\ufffd', '\ud7ff', '\ue000'];
  const texts = Array.from({ length: 200 }, () => `x${Array.from({ length: below(8) }, () => pick(pieces)).join('')}`);
  const sent = await Promise.all(texts.map((text) => sendMessage(alice, chat, text)));
  assert.deepEqual(sent.map(({ msg }) => msg), texts.map(wellFormed));
  await bob.inbox.until(texts.length);
  assert.deepEqual(received(bob, chat).map(({ msg }) => msg), texts.map(wellFormed));
});

describe('in the raw dialects', () => {
  test('action', async (t) => {
    const [alice, bob] = [await connectAction(t, server, 'alice', { acks: true }), await connectAction(t, server, 'bob')];
    const pk = await newRoom(alice);
    for (const each of [alice, bob]) await enter(each, pk);
    alice.wire.send({ action: 'create_message', pk, message: CUT, ...UNREAD, request_id: '\ud83d' });
    const reply = await alice.wire.until((frame) => frame.action === 'create_message', 'the reply');
    assert.deepEqual([reply.response_status, reply.data?.text], [200, STORED]);
    assert.equal(reply.request_id, '\ud83d', 'a request id is echoed as it was written');
    await untilReceived(bob, STORED);
    assert.deepEqual((await room(bob, pk)).messages.map(({ text }) => text), [STORED]);
    alice.wire.send({ action: 'patch', pk, data: { name: CUT, ...UNREAD }, request_id: 7 });
    const patched = await alice.wire.until((frame) => frame.request_id === 7, 'the reply to the patch');
    assert.equal(patched.data?.name, STORED);
  });

  test('type', async (t) => {
    const [alice, bob] = [await connectType(t, server, 'alice'), await connectType(t, server, 'bob', { push: true })];
    const chat = await typeChatOf(alice, bob);
    const request = { type: 'newMessage', data: { chat, text: CUT, ...UNREAD }, ...UNREAD, request_id: '\ude00' };
    alice.wire.send(request);
    const answer = await alice.wire.until((frame) => 'request_id' in frame && frame.request_id === '\ude00', 'the answer');
    assert.equal(answer.data?.text, STORED);
    await bob.wire.until((frame) => frame.type === 'messageCreated' && frame.data.text === STORED, 'the push');
    assert.deepEqual((await messages(bob, chat)).map(({ text }) => text), [STORED]);
    assert.equal((await sendType(alice, chat, 'and on')).text, 'and on');
  });

  test('the one that the first frame decides', async (t) => {
    const alice = await connectType(t, server, 'alice', { path: '/ws' });
    alice.wire.send({ ...UNREAD, type: 'createEmptyChat', data: UNREAD });
    assert.equal((await alice.wire.take()).type, 'emptyChatCreated');
  });
});

for (const [over, connectMarketplace] of Object.entries(TRANSPORTS)) {
  test(`in the marketplace dialect over ${over}`, async (t) => {
    const [owner, guest] = [await host.user('owner'), await host.user('guest')];
    const { chatId } = await host.eventChat(await host.event(owner), guest);
    const [one, other] = [
      await entered(connectMarketplace(t, server, owner)), await entered(connectMarketplace(t, server, guest)),
    ];
    one.send('send_message', { chatId, message: { text: CUT, photos: [CUT], ...UNREAD }, ...UNREAD });
    for (const each of [one, other]) {
      const { data } = await each.first(({ event }) => event === 'chat_updates', 'the message');
      assert.deepEqual(data.messages.map(({ text, photos }) => [text, photos]), [[STORED, [STORED]]]);
    }
  });
}

test('over REST', async () => {
  const [anna, boris] = [await host.user('anna', { name: CUT }), await host.user('boris')];
  assert.equal(anna.name, STORED);
  const chat = await host.chat(anna, boris);
  const sent = await host.sendMessage(chat, anna, CUT, { photos: [CUT] });
  assert.deepEqual([sent.text ?? sent.msg, sent.photos], [STORED, [STORED]]);
  assert.equal((await host.get(`/chats/${chat.id}/messages`)).messages[0].msg, STORED);
  const unknown = await host.refused(400, 'invalid', 'POST', '/users', { externalUserId: 'x', [CUT]: 1 });
  assert.match(unknown.detail, /Hello \ufffd/);
});
