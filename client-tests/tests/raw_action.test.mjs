// @ts-check
// Owns the promises of the action dialect about taking part: the recorded sequence, silence and acknowledgements,
// the receivers of member events and of messages, and the effect of a subscription.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  ask, connectAction, enter, flush, received, isMemberEvent, isMessage, isMessageEvent, isReply, isRoom, memberEvents,
  LIST_WINDOW_MS, listWindowEnds, listed, members, newRoom, refusal, room, send, sendAndFlush, untilReceived,
} from '../clients/action.mjs';
import { unpair } from '../data/normalize.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const AVATAR = '/media/default/default.jpg';
const SILENT = ['join_room', 'subscribe_to_messages_in_room', 'create_message', 'leave_room'];

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

const actors = (t, ...bases) => Promise.all(bases.map((base) => connectAction(t, server, base)));
const texts = (messages) => messages.map(({ text }) => text);

test('the seed, sent at once as every front end does, is answered as recorded', async (t) => {
  const [owner, alice, bob] = await actors(t, 'owner', 'alice', 'bob');
  const pk = await newRoom(owner, 'Python');
  const request_id = 1638979242972;
  alice.wire.send(
    { pk, action: 'join_room', request_id },
    { pk, action: 'retrieve', request_id },
    { pk, action: 'subscribe_to_messages_in_room', request_id },
    { pk, action: 'subscribe_instance', request_id },
    { message: 'Hi world!!!', action: 'create_message', request_id },
  );
  const first = isReply(await alice.wire.take(), 'retrieve', 200);
  assert.strictEqual(first.request_id, request_id);
  const { member: [{ id, ...me }], messages, ...rest } = isRoom(first.data);
  assert.deepEqual(me, { username: alice.name, avatar: AVATAR, github: '' });
  assert.deepEqual(messages, []);
  assert.deepEqual([rest.pk, rest.team, typeof rest.user, rest.name.startsWith('Python')], [pk, null, 'number', true]);
  const subscribed = isReply(await alice.wire.take(), 'subscribe_instance', 201);
  assert.deepEqual([subscribed.data, subscribed.request_id], [null, request_id]);

  const message = isMessageEvent(await alice.wire.take());
  assert.deepEqual([message.text, message.room, message.user], ['Hi world!!!', pk, { id, ...me }]);
  assert.deepEqual(unpair(message.id), { pk, seq: 1 });

  await sendAndFlush(bob, 'join_room', { pk });
  assert.deepEqual(isMemberEvent(await alice.wire.take()), [alice.name, bob.name]);
  await sendAndFlush(bob, 'create_message', { message: 'мое сообщение' });
  assert.equal(isMessageEvent(await alice.wire.take()).text, 'мое сообщение');
  const [old] = (await room(bob, pk)).messages;
  assert.deepEqual({ ...old, ...message }, old);

  send(alice, 'leave_room', { pk });
  await flush(alice);
  assert.deepEqual(await members(bob, pk), [bob.name]);
  assert.equal(alice.wire.frames.length, 6, alice.wire.texts.join('\n'));
});

describe('silence', () => {
  test('is the answer to what succeeds, unless replies were asked for', async (t) => {
    for (const acks of [false, true]) {
      const alice = await connectAction(t, server, 'alice', { acks });
      const pk = await newRoom(alice);
      const before = alice.wire.frames.length;
      for (const action of SILENT) send(alice, action, { pk, message: 'hello', request_id: action });
      await flush(alice);
      const frames = alice.wire.frames.slice(before, -1);
      const replies = frames.filter((frame) => 'errors' in frame);
      assert.deepEqual(replies.map(({ action }) => action), acks ? SILENT : []);
      for (const reply of replies) {
        isReply(reply, reply.request_id, 200);
        if (reply.action === 'create_message') assert.equal(isMessage(reply.data).text, 'hello');
        else assert.equal(reply.data, null);
      }
    }
  });

  test('with replies asked for, the sender gets the reply and the event, of one message', async (t) => {
    const alice = await connectAction(t, server, 'alice', { acks: true });
    const pk = await newRoom(alice);
    await enter(alice, pk);
    const message = await ask(alice, 'create_message', { message: 'hello' });
    assert.deepEqual(await untilReceived(alice, 'hello'), [message]);
  });
});

describe('a member event', () => {
  test('goes once to every other connection that joined or subscribed, and to nobody else', async (t) => {
    const [owner, joined, reader, watcher, both, stranger, bob] = await actors(
      t, 'owner', 'joined', 'reader', 'watcher', 'both', 'stranger', 'bob',
    );
    const twin = await connectAction(t, server, 'bob', { token: bob.token });
    const pk = await newRoom(owner);
    await sendAndFlush(joined, 'join_room', { pk });
    await sendAndFlush(reader, 'subscribe_to_messages_in_room', { pk });
    for (const who of [watcher, twin]) await ask(who, 'subscribe_instance', { pk }, 201);
    await listWindowEnds();
    await enter(both, pk);
    await enter(stranger, await newRoom(owner));
    for (const who of [joined, reader, watcher, twin]) await listed(who, joined, both);

    await enter(bob, pk);
    for (const who of [joined, reader, watcher, twin, both]) await listed(who, joined, both, bob);
    await sendAndFlush(bob, 'leave_room', { pk });
    const others = [joined.name, both.name];
    for (const who of [joined, reader, watcher, twin, both]) {
      await listed(who, joined, both);
      await flush(who);
      const since = who === both ? [] : [others];
      assert.deepEqual(memberEvents(who), [...since, [...others, bob.name], others], who.name);
    }
    for (const who of [owner, stranger, bob]) {
      await flush(who);
      assert.deepEqual(memberEvents(who), [], who.name);
    }
  });

  test('goes only for what changed: not for joining again, nor for leaving what one is not in', async (t) => {
    const [alice, bob, carol] = await actors(t, 'alice', 'bob', 'carol');
    const pk = await newRoom(alice);
    await enter(alice, pk);
    for (let times = 0; times < 3; times++) await sendAndFlush(bob, 'join_room', { pk });
    send(carol, 'leave_room', { pk });
    await flush(carol);
    await sendAndFlush(bob, 'create_message', { message: 'the end' });
    await untilReceived(alice, 'the end');
    await listed(alice, alice, bob);
    assert.deepEqual(memberEvents(alice), [[alice.name, bob.name]]);
  });

  test('follows many changes in quick succession once or twice, the last time with all members', async (t) => {
    const [witness, ...others] = await actors(t, 'witness', 'a', 'b', 'c', 'd', 'e');
    const pk = await newRoom(witness);
    await enter(witness, pk);
    await listWindowEnds();
    const began = performance.now();
    for (const other of others) await sendAndFlush(other, 'join_room', { pk });
    const windows = (performance.now() - began) / LIST_WINDOW_MS;
    await listed(witness, witness, ...others);
    const events = memberEvents(witness);
    assert.deepEqual(events[0], [witness.name, others[0].name]);
    assert.ok(events.length <= 2 + windows, `${events.length} events`);
  });

  test('names who takes part, online or not', async (t) => {
    const [alice, bob, carol] = await actors(t, 'alice', 'bob', 'carol');
    const pk = await newRoom(alice);
    await enter(alice, pk);
    await listWindowEnds();
    await enter(bob, pk);
    await bob.wire.close();
    await listed(alice, alice, bob);
    await enter(carol, pk);
    await listed(alice, alice, bob, carol);
    assert.equal(memberEvents(alice).length, 2);
  });
});

describe('messages', () => {
  test('reach each subscribed connection of a member once, in order, however often it subscribed', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const alsoAlice = await connectAction(t, server, 'alice', { token: alice.token });
    const pk = await newRoom(alice);
    for (const each of [alice, alsoAlice, bob]) {
      await enter(each, pk);
      for (const again of [pk, `${pk}`]) send(each, 'subscribe_to_messages_in_room', { pk: again, request_id: again });
      await flush(each);
    }
    for (let count = 0; count < 10; count++) send([alice, bob][count % 2], 'create_message', { message: `${count}` });
    await Promise.all([flush(alice), flush(bob)]);
    await sendAndFlush(bob, 'create_message', { message: 'the end' });
    const all = await Promise.all([alice, alsoAlice, bob].map((each) => untilReceived(each, 'the end')));
    assert.deepEqual(all[0].map(({ id }) => unpair(id).seq), Array.from({ length: 11 }, (_, index) => index + 1));
    assert.deepEqual(all[1], all[0]);
    assert.deepEqual(all[2], all[0]);
  });

  test('come only with a subscription, which may stand before the joining', async (t) => {
    const [alice, bob, early] = await actors(t, 'alice', 'bob', 'early');
    const pk = await newRoom(alice);
    await enter(alice, pk);
    await sendAndFlush(bob, 'join_room', { pk });
    await ask(early, 'subscribe_instance', { pk }, 201);
    await sendAndFlush(early, 'subscribe_to_messages_in_room', { pk });
    await sendAndFlush(early, 'join_room', { pk });
    await sendAndFlush(alice, 'create_message', { message: 'one' });
    assert.deepEqual(texts(await untilReceived(early, 'one')), ['one']);
    await sendAndFlush(bob, 'create_message', { message: 'two' });
    await untilReceived(early, 'two');
    await flush(bob);
    assert.deepEqual(received(bob), []);
  });

  test('reach members only: nobody before joining or after leaving', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const pk = await newRoom(alice);
    await enter(alice, pk);
    await sendAndFlush(bob, 'subscribe_to_messages_in_room', { pk });
    await sendAndFlush(alice, 'create_message', { message: 'before' });
    await sendAndFlush(bob, 'join_room', { pk });
    await sendAndFlush(alice, 'create_message', { message: 'between' });
    await untilReceived(bob, 'between');
    await sendAndFlush(bob, 'leave_room', { pk });
    await sendAndFlush(alice, 'create_message', { message: 'after' });
    await sendAndFlush(bob, 'join_room', { pk });
    await sendAndFlush(bob, 'subscribe_to_messages_in_room', { pk });
    await sendAndFlush(alice, 'create_message', { message: 'again' });
    assert.deepEqual(texts(await untilReceived(bob, 'again')), ['between', 'again']);
  });

  test('go to the room joined last, or to the one named', async (t) => {
    const alice = await connectAction(t, server, 'alice', { acks: true });
    const [first, second] = [await newRoom(alice), await newRoom(alice)];
    const create = async (fields) => (await ask(alice, 'create_message', { message: 'hello', ...fields })).room;
    await ask(alice, 'join_room', { pk: first });
    assert.equal(await create(), first);
    await ask(alice, 'join_room', { pk: second });
    assert.equal(await create(), second);
    assert.equal(await create({ pk: first }), first);
    assert.equal(await create({ pk: `${second}`, room: first, user: 1, images: [] }), second);
  });

  test('before joining, without a text or with none in it, are refused', async (t) => {
    const alice = await connectAction(t, server, 'alice');
    const pk = await newRoom(alice);
    await refusal(alice, 'create_message', { message: 'too early' }, 400);
    await refusal(alice, 'create_message', { message: 'no member', pk }, 403);
    await sendAndFlush(alice, 'join_room', { pk });
    for (const fields of [{}, { message: null }, { message: '' }, { message: ' \n\u3000' }]) {
      await refusal(alice, 'create_message', fields, 400);
    }
    await sendAndFlush(alice, 'leave_room', { pk });
    const { response_status } = await alice.wire.ask({ action: 'create_message', message: 'too late' });
    assert.ok([400, 403].includes(response_status), `${response_status}`);
    assert.deepEqual((await room(alice, pk)).messages, []);
  });

  test('keep their text as it came; anything else becomes its JSON text', async (t) => {
    const alice = await connectAction(t, server, 'alice', { acks: true });
    await ask(alice, 'join_room', { pk: await newRoom(alice) });
    const sendMessage = async (message) => (await ask(alice, 'create_message', { message })).text;
    for (const text of ['  spaces \n', '"quoted" \\ </script>', '👩‍👩‍👧', 'a\u2028b\u0007']) {
      assert.equal(await sendMessage(text), text);
    }
    for (const value of [5, 1.5, true, false, { a: [1, null] }, [], ['x']]) {
      assert.equal(await sendMessage(value), JSON.stringify(value));
    }
  });

  test('may be sent again with their client_id: they are stored and delivered once', async (t) => {
    const alice = await connectAction(t, server, 'alice', { acks: true });
    const pk = await newRoom(alice);
    await enter(alice, pk);
    const first = await ask(alice, 'create_message', { message: 'hello', client_id: 'c-1' });
    assert.deepEqual(await ask(alice, 'create_message', { message: 'other', client_id: 'c-1' }), first);
    await ask(alice, 'create_message', { message: 'the end' });
    assert.deepEqual(texts(await untilReceived(alice, 'the end')), ['hello', 'the end']);
    assert.deepEqual(texts((await room(alice, pk)).messages), ['hello', 'the end']);
  });

  test('of a long room: the latest thousand come with it, oldest first', async (t) => {
    const alice = await connectAction(t, server, 'alice');
    const pk = await newRoom(alice);
    await sendAndFlush(alice, 'join_room', { pk });
    for (let count = 1; count <= 1005; count++) send(alice, 'create_message', { message: `${count}` });
    await flush(alice);
    const { messages } = await room(alice, pk);
    assert.deepEqual(texts(messages), Array.from({ length: 1000 }, (_, index) => `${index + 6}`));
  });
});
