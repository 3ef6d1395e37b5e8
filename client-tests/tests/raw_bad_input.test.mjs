// @ts-check
// Owns the promise that any frame of a raw connection has one answer that names the fault, has no other effect, and
// leaves the connection usable.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import * as action from '../clients/action.mjs';
import * as type from '../clients/type-data.mjs';
import {
  ANY_VALUES, HUGE_NUMBERS, NESTED, NO_JSON, NO_OBJECT, STRANGE_TEXTS, badActionRequests, badTypeRequests,
} from '../data/bad-frames.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const maxMessageBytes = 2000;
const WORDS = 'before the bad frames';

let server;
const scope = useScope();
before(async () => { server = await startServer(scope, ['--max-message-bytes', `${maxMessageBytes}`]); });

/** The beginning of a value, for a test's name. */
const brief = (value) => (typeof value === 'string' ? value : inspect(value, { breakLength: Infinity })).slice(0, 100);

describe('in the type dialect', () => {
  let alice;
  let witness;
  let chat;
  before(async () => {
    alice = await type.connectType(scope, server, 'alice');
    witness = await type.connectType(scope, server, 'witness', { push: true });
    chat = await type.chatOf(alice, witness);
    await type.sendMessage(alice, chat, WORDS);
    await witness.wire.until(({ data }) => data?.text === WORDS, 'the first message');
    alice.wire.takeRest();
  });

  /** The one answer to a text: an error in its form. */
  async function refused(text, message, code) {
    alice.wire.sendText(text);
    const answer = await alice.wire.take();
    assert.equal(answer.type, 'error', brief(answer));
    const keys = Object.keys(answer).filter((key) => key !== 'request_id').sort();
    assert.deepEqual(keys, ['code', 'message', 'retryable', 'type']);
    assert.equal(answer.code, code, brief(answer));
    if (message instanceof RegExp) assert.match(answer.message, message);
    else assert.equal(answer.message, message);
    return answer;
  }

  /** The one answer to a text: an error, or not; never a bug. */
  async function answered(text) {
    alice.wire.sendText(text);
    const answer = await alice.wire.take();
    assert.equal(typeof answer.type, 'string', brief(answer));
    assert.notEqual(answer.code, 'internal', `${brief(text)} was answered with ${brief(answer)}`);
    return answer;
  }

  for (const [what, text] of Object.entries(NO_JSON)) {
    test(`${what} is invalid JSON`, () => refused(text, 'Invalid JSON', 'invalid'));
  }

  test('JSON that is no object is an error', async () => {
    for (const text of NO_OBJECT) await refused(text, 'An unexpected error occurred', 'invalid');
  });

  test('JSON that is nested beyond measure is an error', async () => {
    for (const text of NESTED) assert.equal((await answered(text)).type, 'error', brief(text));
  });

  test('each bad request gets the text and the code that it deserves, and its request_id', async (t) => {
    for (const [kind, data, message, code] of badTypeRequests({ chat, maxMessageBytes })) {
      await t.test(`${brief(kind)} with ${brief(data)}`, async () => {
        const answer = await refused(JSON.stringify({ type: kind, data, request_id: 'r' }), message, code);
        assert.equal(answer.request_id, 'r');
      });
    }
  });

  test('of a key that stands there twice the last one counts', async () => {
    assert.equal((await answered('{"type":"foo","type":"getChats"}')).type, 'chatsList');
    assert.equal((await answered('{"type":"getChats","type":"foo"}')).message, 'Unknown message type');
    const twice = `{"type":"getChatDetails","data":{"chatId":0},"data":{"chatId":0,"chatId":${chat}}}`;
    assert.equal((await answered(twice)).type, 'chatDetails');
  });

  test('any value in any field has one answer', async () => {
    const fields = {
      getChats: ['data'], createEmptyChat: ['data'], getChatDetails: ['chatId'], joinChat: ['last_read_message'],
      getChatMessages: ['date_from', 'date_to', 'last'], newMessage: ['chat', 'is_read', 'client_id'],
    };
    for (const [kind, names] of Object.entries(fields)) {
      for (const name of names) {
        for (const value of ANY_VALUES) {
          const good = kind === 'newMessage' ? '"text":""' : `"chat":${chat}`;
          const data = name === 'data' ? value : `{"chatId":${chat},${good},"${name}":${value}}`;
          await answered(`{"type":"${kind}","data":${data}}`);
          await answered(`{"type":"${kind}","request_id":${value},"${name}":${value},"data":0}`);
        }
      }
    }
  });

  test('a huge number names no chat, and counts no messages', async () => {
    for (const number of HUGE_NUMBERS) {
      const { code } = await answered(`{"type":"getChatDetails","data":{"chatId":${number}}}`);
      assert.match(code, /^(not_found|invalid)$/, number);
      const { code: of } = await answered(`{"type":"newMessage","data":{"chat":${number},"text":"hello"}}`);
      assert.match(of, /^(not_found|invalid)$/, number);
    }
  });

  test('nothing of it was stored or delivered, and the connection stays open', async () => {
    assert.deepEqual((await type.messages(alice, chat)).map(({ text }) => text), [WORDS]);
    await type.sendMessage(alice, chat, 'after the bad frames');
    await witness.wire.until(({ data }) => data?.text === 'after the bad frames', 'the next message');
    assert.deepEqual(type.pushed(witness, 'messageCreated').map(({ text }) => text), [WORDS, 'after the bad frames']);
    assert.ok(witness.wire.isOpen);
    assert.ok(!server.logs().includes('panicked'));
  });

  test('a strange text is stored as it is, or refused', async () => {
    alice.wire.takeRest();
    for (const [what, json, stored] of STRANGE_TEXTS) {
      const answer = await answered(`{"type":"newMessage","data":{"chat":${chat},"text":${json}}}`);
      if (stored === undefined) assert.equal(answer.code, 'invalid', what);
      else assert.equal(answer.data.text, stored, what);
    }
    const expected = STRANGE_TEXTS.map(([, , stored]) => stored).filter((stored) => stored !== undefined);
    const listed = (await type.messages(alice, chat)).map(({ text }) => text);
    assert.deepEqual(listed.slice(2), expected);
  });
});

describe('in the action dialect', () => {
  let alice;
  let witness;
  let pk;
  before(async () => {
    alice = await action.connectAction(scope, server, 'alice', { acks: true });
    witness = await action.connectAction(scope, server, 'witness');
    pk = await action.newRoom(alice);
    await action.enter(witness, pk);
    await action.ask(alice, 'join_room', { pk });
    await action.ask(alice, 'create_message', { message: WORDS });
    await action.untilReceived(witness, WORDS);
    alice.wire.takeRest();
  });

  async function refused(text, status, name) {
    alice.wire.sendText(text);
    const reply = await alice.wire.take();
    const expected = Array.isArray(status) ? status : [status];
    assert.ok(expected.includes(reply.response_status), `${brief(text)} was answered with ${brief(reply)}`);
    assert.deepEqual(action.isReply(reply, reply.action, reply.response_status).data, null);
    if (name !== undefined) assert.deepEqual(reply.action, name);
    return reply;
  }

  async function answered(text) {
    alice.wire.sendText(text);
    const answer = await alice.wire.take();
    const reply = answer.payload ?? answer;
    assert.equal(typeof reply.response_status, 'number', brief(answer));
    assert.notEqual(reply.response_status, 500, `${brief(text)} was answered with ${brief(answer)}`);
    return reply;
  }

  for (const [what, text] of Object.entries(NO_JSON)) {
    test(`${what} is a bad request`, async () => {
      assert.strictEqual((await refused(text, 400, null)).request_id, null);
    });
  }

  test('JSON that is no object is a bad request', async () => {
    for (const text of NO_OBJECT) assert.strictEqual((await refused(text, 400, null)).request_id, null);
  });

  test('JSON that is nested beyond measure is an error', async () => {
    for (const text of NESTED) assert.ok((await answered(text)).response_status >= 400, brief(text));
  });

  test('each bad request gets the status and the text that it deserves, and its request_id', async (t) => {
    for (const [name, fields, status, errors] of badActionRequests({ pk, maxMessageBytes })) {
      await t.test(`${brief(name)} with ${brief(fields)}`, async () => {
        const reply = await refused(JSON.stringify({ action: name, ...fields, request_id: 'r' }), status);
        assert.equal(reply.request_id, 'r');
        if (typeof name !== 'object') assert.deepEqual(reply.action, name ?? null);
        if (errors) assert.deepEqual(reply.errors, errors);
      });
    }
  });

  test('of a key that stands there twice the last one counts', async () => {
    assert.equal((await answered('{"action":"foo","action":"list"}')).response_status, 200);
    await refused('{"action":"list","action":"foo"}', 405, 'foo');
    assert.equal((await answered(`{"action":"retrieve","pk":0,"pk":${pk}}`)).data.pk, pk);
  });

  test('an envelope with the wrong things in it has an answer', async () => {
    for (const value of ANY_VALUES) {
      await answered(`{"stream":"room","payload":${value}}`);
      await answered(`{"stream":${value},"payload":{"action":"foo"}}`);
      await answered(`{"stream":"room","payload":{"action":${value}}}`);
    }
    await answered('{"stream":"room"}');
    await answered('{"payload":{"action":"foo"}}');
    await answered('{"stream":"a","payload":{"stream":"b","payload":{"action":"foo"}}}');
  });

  test('any value in any field has one answer', async () => {
    const fields = {
      retrieve: ['pk'], list: ['data'], unsubscribe_instance: ['pk'], update: ['data'], patch: ['data'],
      create_message: ['pk', 'client_id'], foo: ['pk'],
    };
    for (const [name, names] of Object.entries(fields)) {
      for (const field of names) {
        for (const value of ANY_VALUES) {
          await answered(`{"action":"${name}","message":"","${field}":${value}}`);
          await answered(`{"action":"${name}","message":null,"${field}":${value},"request_id":${value},"self":1}`);
        }
      }
    }
    for (const value of ANY_VALUES) await answered(`{"action":${value},"pk":${pk}}`);
  });

  test('nothing of it was stored or delivered, and the connection stays open', async () => {
    const { messages, member } = await action.room(witness, pk);
    assert.deepEqual([messages.map(({ text }) => text), member.length], [[WORDS], 2]);
    await action.ask(alice, 'create_message', { message: 'after the bad frames' });
    const received = await action.untilReceived(witness, 'after the bad frames');
    assert.deepEqual(received.map(({ text }) => text), [WORDS, 'after the bad frames']);
    await action.listed(witness, witness, alice);
    assert.equal(action.memberEvents(witness).length, 1);
  });

  test('a strange text is stored as it is, or refused', async () => {
    alice.wire.takeRest();
    for (const [what, json, stored] of STRANGE_TEXTS) {
      const reply = await answered(`{"action":"create_message","message":${json}}`);
      if (stored === undefined) assert.equal(reply.response_status, 400, what);
      else assert.equal(reply.data.text, stored, what);
    }
    const expected = STRANGE_TEXTS.map(([, , stored]) => stored).filter((stored) => stored !== undefined);
    assert.deepEqual((await action.room(witness, pk)).messages.slice(2).map(({ text }) => text), expected);
  });
});
