// @ts-check
// Owns the promises of the action dialect about rooms: making, changing, watching and ending them, how they are named
// in requests, the replies that fail, the envelope, and the times in a zone.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  ask, connectAction, enter, flush, isMemberEvent, isMessageEvent, isReply, isRoom, members, newRoom, refusal, room,
  sendAndFlush,
} from '../clients/action.mjs';
import { chatOf as closedChatOf, connectUser } from '../clients/fixtures.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const NEVER_GIVEN_OUT = 4_000_000_000;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

const actors = (t, ...bases) => Promise.all(bases.map((base) => connectAction(t, server, base)));

describe('a room', () => {
  test('is made, listed, changed in whole and in part, and deleted', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const made = isRoom(await ask(alice, 'create', { data: { name: 'Tea', team: 3 } }, 201));
    assert.deepEqual([made.name, made.team, made.messages, made.member], ['Tea', 3, [], []]);
    const { pk } = made;
    assert.deepEqual(await room(bob, pk), made);
    for (const data of [{}, undefined]) {
      const listed = (await ask(bob, 'list', { data })).map(isRoom);
      assert.deepEqual(listed.find((each) => each.pk === pk), made);
    }
    await sendAndFlush(alice, 'join_room', { pk });
    assert.equal((await room(bob, pk)).member[0].id, made.user);

    const updated = isRoom(await ask(alice, 'update', { pk, data: { name: 'Coffee', team: 4 } }));
    assert.deepEqual([updated.name, updated.team], ['Coffee', 4]);
    assert.deepEqual([isRoom(await ask(alice, 'patch', { pk, data: { team: null } })).team], [null]);
    assert.equal((await ask(alice, 'patch', { pk: `${pk}`, data: { name: 'Water' } })).name, 'Water');
    const { name, team, user } = await room(bob, pk);
    assert.deepEqual({ name, team, user }, { name: 'Water', team: null, user: made.user });

    assert.equal(await ask(alice, 'delete', { pk, data: {} }, 204), null);
    assert.deepEqual(await refusal(bob, 'retrieve', { pk }, 404), ['Not found']);
    assert.ok(!(await ask(bob, 'list', {})).some((each) => each.pk === pk));
    await refusal(alice, 'create_message', { pk, message: 'anyone?' }, 404);
  });

  test('is changed by members only, and deleted by its owner only', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const pk = await newRoom(alice);
    await refusal(bob, 'update', { pk, data: { name: 'Mine' } }, 403);
    await refusal(bob, 'patch', { pk, data: { name: 'Mine' } }, 403);
    await sendAndFlush(bob, 'join_room', { pk });
    assert.equal((await ask(bob, 'patch', { pk, data: { name: 'Ours' } })).name, 'Ours');
    await refusal(bob, 'delete', { pk }, 403);
    assert.equal((await room(alice, pk)).name, 'Ours');
  });

  test('of a few does not exist for anyone else', async (t) => {
    const member = await connectUser(t, server, 'member');
    const { pk } = await closedChatOf(member);
    const eve = await connectAction(t, server, 'eve');
    assert.ok(!(await ask(eve, 'list', {})).some((each) => each.pk === pk));
    for (const action of ['retrieve', 'join_room', 'leave_room', 'subscribe_to_messages_in_room', 'subscribe_instance',
      'create_message', 'update', 'patch', 'delete']) {
      const fields = { message: 'hello', data: { name: 'Mine' } };
      for (const each of [pk, NEVER_GIVEN_OUT]) {
        assert.deepEqual(await refusal(eve, action, { pk: each, ...fields }, 404), ['Not found'], action);
      }
    }
    const itself = await connectAction(t, server, 'member', { token: member.user.externalUserId });
    assert.deepEqual(await members(itself, pk), [itself.name]);
    assert.ok((await ask(itself, 'list', {})).some((each) => each.pk === pk));
  });

  test('with wrong data is refused, field by field', async (t) => {
    const alice = await connectAction(t, server, 'alice');
    const wrong = [
      [{}, { name: ['This field is required.'] }],
      [{ name: '' }, { name: ['This field may not be blank.'] }],
      [{ name: 'x'.repeat(256) }, { name: ['Ensure this field has no more than 255 characters.'] }],
      [{ name: 'Tea', team: 'x' }, { team: ['Incorrect type. Expected pk value, received str.'] }],
      [['Tea'], { non_field_errors: ['Invalid data. Expected a dictionary, but got list.'] }],
    ];
    for (const [data, errors] of wrong) {
      assert.deepEqual(await refusal(alice, 'create', { data }, 400), [errors], JSON.stringify(data).slice(0, 80));
    }
    await refusal(alice, 'create', {}, 400);
    const pk = await newRoom(alice);
    await sendAndFlush(alice, 'join_room', { pk });
    assert.deepEqual(await refusal(alice, 'update', { pk, data: {} }, 400), [wrong[0][1]]);
    assert.deepEqual(await refusal(alice, 'patch', { pk, data: { name: '' } }, 400), [wrong[1][1]]);
    assert.equal((await ask(alice, 'create', { data: { name: 'x'.repeat(255) } }, 201)).name.length, 255);
  });

  test('has at most as many members as the server allows', async (t) => {
    const small = await startServer(t, ['--max-members', '2']);
    const everyone = await Promise.all(['alice', 'bob', 'carol'].map((base) => connectAction(t, small, base, { acks: true })));
    const pk = await newRoom(everyone[0]);
    for (const who of everyone.slice(0, 2)) await ask(who, 'join_room', { pk });
    const [error] = await refusal(everyone[2], 'join_room', { pk }, 413);
    assert.match(error, /\b2\b/);
    assert.deepEqual(await members(everyone[2], pk), everyone.slice(0, 2).map(({ name }) => name));
  });

  test('survives that its people disconnect, with its members', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const pk = await newRoom(alice);
    await enter(alice, pk);
    await alice.wire.close();
    assert.deepEqual(await members(bob, pk), [alice.name]);
  });
});

describe('a client that watches a room', () => {
  /** The notifications that came for a request id, as action, status and data. */
  const notices = ({ wire }, request_id) => wire.frames
    .filter((frame) => frame.request_id === request_id && ['update', 'delete'].includes(frame.action))
    .map(({ action, response_status, data }) => [action, response_status, data.name ?? data]);

  const watch = ({ wire }, pk, ...ids) => wire.send(...ids.map((request_id) => (
    { action: 'subscribe_instance', pk, request_id }
  )));

  test('is notified once for each request id of its name, its team and its end, and of nothing else', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const pk = await newRoom(alice);
    watch(bob, pk, 'a', 2, 'a');
    await flush(bob);
    await enter(alice, pk);
    await sendAndFlush(alice, 'create_message', { message: 'hello' });
    await ask(alice, 'update', { pk, data: { name: 'Tea' } });
    await ask(alice, 'patch', { pk, data: { team: 5 } });
    await ask(alice, 'delete', { pk }, 204);
    for (const id of ['a', 2]) {
      const isEnd = (frame) => frame.action === 'delete' && frame.request_id === id;
      isReply(await bob.wire.until(isEnd, 'the end of the room'), 'delete', 204);
    }
    await flush(bob);
    const all = [['update', 200, 'Tea'], ['update', 200, 'Tea'], ['delete', 204, { pk }]];
    assert.deepEqual([notices(bob, 'a'), notices(bob, 2)], [all, all]);
    const updates = bob.wire.frames.filter(({ action }) => action === 'update');
    for (const update of updates) isRoom(isReply(update, 'update', 200).data);
    assert.equal(updates.at(-1).data.team, 5);
    assert.deepEqual(await refusal(bob, 'unsubscribe_instance', { pk }, 404), ['Not found']);
  });

  test('may cancel one request id, of one room, without losing the others', async (t) => {
    const [alice, bob] = await actors(t, 'alice', 'bob');
    const [here, there] = [await newRoom(alice), await newRoom(alice)];
    for (const pk of [here, there]) await sendAndFlush(alice, 'join_room', { pk });
    watch(bob, here, 'a', 'b');
    watch(bob, there, 'a');
    await flush(bob);
    const rename = (pk, name) => ask(alice, 'patch', { pk, data: { name } });
    await rename(here, 'one');
    bob.wire.send({ action: 'unsubscribe_instance', pk: here, request_id: 'a' });
    await flush(bob);
    await rename(here, 'two');
    await rename(there, 'three');
    await bob.wire.until(({ data }) => data?.name === 'three', 'the new name');
    await rename(here, 'four');
    await bob.wire.until(({ data }) => data?.name === 'four', 'the new name');
    assert.deepEqual(notices(bob, 'a').map(([, , name]) => name), ['one', 'three']);
    assert.deepEqual(notices(bob, 'b').map(([, , name]) => name), ['one', 'two', 'four']);
    assert.equal(await ask(bob, 'unsubscribe_instance', { pk: here }, 204), null);
  });
});

describe('a pk', () => {
  test('may be a number or its text, and is answered as a number', async (t) => {
    const alice = await connectAction(t, server, 'alice');
    const pk = await newRoom(alice);
    for (const form of [pk, `${pk}`, ` ${pk} `, pk + 0.5]) {
      assert.strictEqual((await ask(alice, 'retrieve', { pk: form })).pk, pk, JSON.stringify(form));
    }
    await sendAndFlush(alice, 'join_room', { pk: `${pk}` });
    assert.equal((await members(alice, pk)).length, 1);
  });

  test('that is none, or unknown, or missing is not found', async (t) => {
    const alice = await connectAction(t, server, 'alice');
    const pks = ['abc', '', null, -1, 0, [1], {}, 2 ** 70, NEVER_GIVEN_OUT, undefined];
    const actions = ['retrieve', 'subscribe_instance', 'unsubscribe_instance', 'join_room', 'leave_room',
      'subscribe_to_messages_in_room'];
    for (const action of actions) {
      for (const pk of pks) {
        const { errors, response_status } = await alice.wire.ask({ action, pk });
        const where = `${action} ${JSON.stringify(pk)}`;
        assert.ok([404, ...(pk === undefined || pk === null ? [400] : [])].includes(response_status), where);
        if (response_status === 404) assert.deepEqual(errors, ['Not found'], where);
      }
    }
  });
});

test('an unknown action is not allowed, and its name comes back as it was', async (t) => {
  const { wire } = await connectAction(t, server, 'alice');
  const spelled = [['foo', 'foo'], ['', ''], [5, '5'], [null, 'None'], [true, 'True'], ['JOIN_ROOM', 'JOIN_ROOM']];
  for (const [action, name] of spelled) {
    const { errors } = isReply(await wire.ask({ action }), action, 405);
    assert.deepEqual(errors, [`Method "${name}" not allowed.`]);
  }
  for (const frame of [{}, { type: 'getChats', data: {} }]) {
    const { errors } = isReply(await wire.ask(frame), null, 405);
    assert.deepEqual(errors, ['Unable to find action in message body.']);
  }
});

for (const value of ['"text"', '7', '-1.5', 'true', 'null', '[1,"a"]', '{"a":{"b":null}}', '1638979242972',
  '123456789012345678901234567890']) {
  test(`a request_id that is ${value} comes back as it came`, async (t) => {
    const { wire } = await connectAction(t, server, 'alice');
    for (const request of ['"list"', '"foo"', '"retrieve","pk":0']) {
      wire.sendText(`{"action":${request},"request_id":${value}}`);
      const text = await wire.takeText();
      assert.ok(text.includes(`"request_id":${value}`), text);
    }
    wire.send({ action: 'list' });
    assert.strictEqual((await wire.take()).request_id, null);
  });
}

test('in an envelope everything comes in the same envelope, and everything is answered', async (t) => {
  const [alice, bob] = await actors(t, 'alice', 'bob');
  const pk = await newRoom(alice);
  const actions = ['join_room', 'subscribe_to_messages_in_room', 'subscribe_instance', 'create_message'];
  bob.wire.send(...actions.map((action) => (
    { stream: 'rooms', payload: { action, pk, message: 'hello', request_id: action } }
  )));
  await bob.wire.until(({ payload }) => payload?.request_id === 'create_message', 'the last reply');
  await sendAndFlush(alice, 'join_room', { pk });
  await ask(alice, 'patch', { pk, data: { name: 'Tea' } });
  const found = await bob.wire.untilMany(({ stream }) => stream === 'rooms', 7, 'frames in the envelope');
  for (const frame of found) assert.deepEqual(Object.keys(frame), ['stream', 'payload']);
  const payloads = found.map(({ payload }) => payload);
  const replies = payloads.filter(({ request_id, action }) => request_id && action === request_id);
  assert.deepEqual(replies.map(({ action, response_status }) => [action, response_status]), [
    ['join_room', 200], ['subscribe_to_messages_in_room', 200], ['subscribe_instance', 201], ['create_message', 200],
  ]);
  assert.equal(isMessageEvent(payloads.find(({ action }) => action === 'create')).text, 'hello');
  assert.deepEqual(isMemberEvent(payloads.find((payload) => payload.join_user)), [bob.name, alice.name]);
  assert.equal(isReply(payloads.find(({ action }) => action === 'update'), 'update', 200).data.name, 'Tea');
  assert.equal(bob.wire.frames.length, 7);
});

test('times are in the zone of the server, those of old messages in UTC as well', async (t) => {
  const zones = { UTC: 'Z', 'Europe/Moscow': '+03:00', 'Asia/Kolkata': '+05:30', 'America/St_Johns': null };
  for (const [zone, offset] of Object.entries(zones)) {
    const there = await startServer(t, ['--timezone', zone]);
    const alice = await connectAction(t, there, 'alice', { acks: true });
    const pk = await newRoom(alice);
    await ask(alice, 'join_room', { pk });
    const start = Date.now();
    const { create_date } = await ask(alice, 'create_message', { message: 'hello' });
    const [old] = (await room(alice, pk)).messages;
    assert.ok(Math.abs(Date.parse(create_date) - start) < 60_000, create_date);
    if (offset) assert.ok(create_date.endsWith(offset), create_date);
    else assert.match(create_date, /-0[23]:30$/);
    assert.equal(old.create_date, create_date);
    const [, day, month, year, time] = /^(\d\d)-(\d\d)-(\d{4}) ([\d:]{8})$/.exec(old.created_at_formatted) ?? [];
    assert.equal(`${year}-${month}-${day}T${time}`, new Date(create_date).toISOString().slice(0, 19));
  }
});
