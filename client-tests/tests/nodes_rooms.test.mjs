// @ts-check
// Owns the promise that whoever watches a room at one node learns what happens to it at another: its name, its policy, its
// members, its end; and that roles, mutes and bans given at one are reported and obeyed at the others.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import * as action from '../clients/action.mjs';
import { OF_MEMBERS, connectInEach, enterAll } from '../clients/dialects.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { collect } from '../clients/socketio.mjs';
import { DIRECTIONS, onEachBus } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

onEachBus(2, (nodes) => {
  for (const direction of DIRECTIONS) {
    const [here, there] = [() => nodes[direction.here], () => nodes[direction.there]];
    const asActor = (t, node, base) => action.connectAction(t, node, base, { acks: true });

    describe(`a room that is changed ${direction.title}`, () => {
      /** A room with its owner at one node, and a watcher, who is a member or not, at the other one. */
      async function watched(t, { isMember }) {
        const [owner, watcher] = [await asActor(t, here(), 'owner'), await asActor(t, there(), 'watcher')];
        const pk = await action.newRoom(owner);
        await action.ask(owner, 'join_room', { pk });
        if (isMember) await action.ask(watcher, 'join_room', { pk });
        await action.ask(watcher, 'subscribe_instance', { pk }, 201);
        // Nodes that have just started compare their rooms with the store, and may send the latest state once more.
        const isRepeated = (frame, index, all) => index > 0 && isDeepStrictEqual(frame, all[index - 1]);
        const seen = () => watcher.wire.frames.filter((frame) => ['update', 'delete'].includes(frame.action))
          .filter((...frame) => !isRepeated(...frame));
        const untilSeen = async (count) => {
          await eventually(() => seen().length >= count, `notification ${count}`);
          return seen();
        };
        return { owner, watcher, pk, seen, untilSeen, host: new Backend(here()) };
      }

      for (const isMember of [true, false]) {
        test(`is sent to its ${isMember ? 'members' : 'watchers that are no members'} there: names, teams, the end, once each`, async (t) => {
          const { owner, pk, host, untilSeen } = await watched(t, { isMember });
          const changes = [
            () => action.ask(owner, 'patch', { pk, data: { name: 'Tea' } }),
            () => host.ok(200, 'PATCH', `/chats/${pk}`, { team: 7 }),
            () => host.ok(200, 'PATCH', `/chats/${pk}`, { name: 'Coffee', team: null }),
            () => action.ask(owner, 'update', { pk, data: { name: 'Water' } }),
            () => action.ask(owner, 'delete', { pk }, 204),
          ];
          for (const [index, change] of changes.entries()) {
            await change();
            await untilSeen(index + 1); // what is shown is the room as it is then
          }
          const seen = await untilSeen(changes.length);
          const of = ({ action: name, data }) => [name, data.name ?? null, data.team ?? null, data.pk];
          assert.deepEqual(seen.map(of), [
            ['update', 'Tea', null, pk], ['update', 'Tea', 7, pk], ['update', 'Coffee', null, pk],
            ['update', 'Water', null, pk], ['delete', null, null, pk],
          ]);
          for (const frame of seen.slice(0, -1)) action.isRoom(frame.data);
          assert.deepEqual([...new Set(seen.map(({ request_id }) => request_id))].length, 1);
        });
      }

      test('shows its new name there in every list and at every node', async (t) => {
        const { owner, watcher, pk, host, untilSeen } = await watched(t, { isMember: true });
        for (const name of ['one', 'two', 'three']) {
          await action.ask(owner, 'patch', { pk, data: { name } });
          await untilSeen(['one', 'two', 'three'].indexOf(name) + 1);
          assert.equal((await action.room(watcher, pk)).name, name);
          assert.equal((await new Backend(there()).get(`/chats/${pk}`)).name, name);
          assert.equal((await host.get(`/chats/${pk}`)).name, name);
        }
      });

      test('to closed is lost to those there who only watched it, and its members go on', async (t) => {
        const { owner, watcher, pk, host, seen } = await watched(t, { isMember: false });
        const member = await asActor(t, there(), 'member');
        await action.ask(member, 'join_room', { pk });
        await action.ask(member, 'subscribe_instance', { pk }, 201);
        await host.ok(200, 'PATCH', `/chats/${pk}`, { policy: 'closed' });
        const isHidden = async () => (await watcher.wire.ask({ action: 'retrieve', pk })).response_status === 404;
        await eventually(isHidden, 'the room is not found');
        const before = seen().length;
        await action.ask(owner, 'patch', { pk, data: { name: 'Secret' } });
        await member.wire.until(({ data }) => data?.name === 'Secret', 'the new name');
        await action.refusal(watcher, 'subscribe_instance', { pk }, 404);
        await action.refusal(watcher, 'join_room', { pk }, 404);
        assert.equal(seen().length, before);
        assert.ok(!watcher.wire.texts.some((text) => text.includes('Secret')));

        await host.ok(200, 'PATCH', `/chats/${pk}`, { policy: 'open' });
        await eventually(async () => !await isHidden(), 'the room is found again');
        await action.ask(watcher, 'join_room', { pk });
        assert.equal((await action.room(watcher, pk)).name, 'Secret');
      });

      test('in its members is followed there by a list of them, whichever node they join and leave at', async (t) => {
        const { owner, watcher, pk } = await watched(t, { isMember: false });
        const comers = await Promise.all([here(), there(), here()].map((node) => asActor(t, node, 'comer')));
        let members = [owner.name];
        const isListed = () => {
          const list = watcher.wire.frames.findLast((frame) => 'join_user' in frame)?.join_user ?? [];
          return `${list.map(({ username }) => username)}` === `${members}`;
        };
        for (const comer of comers) {
          await action.ask(comer, 'join_room', { pk });
          members.push(comer.name);
          await eventually(isListed, `the list of ${members}`);
        }
        for (const comer of comers) {
          await action.ask(comer, 'leave_room', { pk });
          members = members.filter((name) => name !== comer.name);
          await eventually(isListed, `the list of ${members}`);
        }
        for (const who of [owner, watcher]) assert.deepEqual(await action.members(who, pk), members);
      });
    });

    describe(`what a moderator does ${direction.title}`, () => {
      /** A chat of four: its owner at one node, Boris and Carol at the other one, where they hear of roles, mutes and bans. */
      async function moderated(t) {
        const host = new Backend(here());
        const [anna, boris, carol] = [await host.user('anna'), await host.user('boris'), await host.user('carol')];
        const owner = await OF_MEMBERS['event-name'](t, here(), anna);
        const users = [anna, boris, carol].map(({ id }) => ({ id }));
        const { value: { chat } } = await owner.request('create-chat', { chat: { name: uniqueName('chat') }, users });
        const borises = await connectInEach(t, there(), boris, OF_MEMBERS);
        const carols = await connectInEach(t, there(), carol, OF_MEMBERS);
        await enterAll([...borises, ...carols], chat);
        for (const client of [...borises, ...carols]) await client.send(chat, 'before');
        const of = (user, more = {}) => ({ room: chat.id, user: { id: user.id }, ...more });
        const noticesOf = (event) => [borises[0], carols[0]].map(({ socket }) => collect(socket, event));
        return { host, anna, boris, carol, owner, chat, borises, carols, of, noticesOf };
      }

      /** Each of these clients is refused, or each sends, at once. */
      async function assertMaySend(clients, chat, maySend) {
        for (const client of clients) {
          if (maySend) await client.send(chat, 'allowed');
          else assert.equal(await client.sendRefusal(chat, 'refused'), 'forbidden', client.name);
        }
      }

      /** The same once the node knows of a change that permits it. */
      const untilMaySend = (clients, chat) => Promise.all(clients.map((client) => (
        eventually(async () => !(await client.trySend(chat, 'allowed')).code, `${client.name} sends`)
      )));

      test('is reported there: each role, mute and ban once, to each member', async (t) => {
        const { host, anna, boris, carol, owner, chat, of, noticesOf } = await moderated(t);
        const notices = Object.fromEntries(['set-role', 'mute-user', 'ban-user'].map((event) => [event, noticesOf(event)]));
        const expected = { 'set-role': [], 'mute-user': [], 'ban-user': [] };
        const acts = [
          ['set-role', of(boris, { role: 'reader' })], ['set-role', of(boris, { role: 'moderator' })],
          ['mute-user', of(boris, { seconds: 600 })], ['mute-user', of(boris, { seconds: 0 })], ['ban-user', of(carol)],
        ];
        const untilAllHave = (event) => Promise.all(notices[event].map((inbox) => inbox.until(expected[event].length)));
        for (const [event, body] of acts) {
          expected[event].push((await owner.request(event, body)).value);
          await untilAllHave(event);
        }
        await host.ok(200, 'PUT', `/chats/${chat.id}/members/${boris.id}/role`, { role: 'member' });
        await notices['set-role'][0].until(3);
        for (const [event, [ofBoris, ofCarol]] of Object.entries(notices)) {
          assert.deepEqual([...ofCarol], expected[event]);
          assert.deepEqual(ofBoris.slice(0, expected[event].length), expected[event]);
        }
        assert.deepEqual(notices['set-role'][0][2], { room: chat.id, user_id: boris.id, role: 'member' });
        const { members } = await new Backend(there()).get(`/chats/${chat.id}/members`);
        assert.deepEqual(members.map(({ id, role }) => [id, role]), [[anna.id, 'owner'], [boris.id, 'member']]);
      });

      test('with a role is obeyed there: a reader sends nothing, and a member sends again', async (t) => {
        const { boris, owner, chat, borises, carols, of, noticesOf } = await moderated(t);
        const [notices] = noticesOf('set-role');
        for (let round = 0; round < 3; round++) {
          assert.equal((await owner.request('set-role', of(boris, { role: 'reader' }))).code, undefined);
          await notices.until(2 * round + 1);
          await assertMaySend(borises, chat, false);
          await assertMaySend(carols, chat, true);
          assert.equal((await owner.request('set-role', of(boris, { role: 'member' }))).code, undefined);
          await untilMaySend(borises, chat);
        }
      });

      test('with a role is obeyed there by moderators: they begin and cease to moderate', async (t) => {
        const { boris, carol, owner, chat, borises, of } = await moderated(t);
        const mute = async () => (await borises[0].request('mute-user', of(carol, { seconds: 0 }))).code;
        assert.equal(await mute(), 'forbidden');
        await owner.request('set-role', of(boris, { role: 'moderator' }));
        await eventually(async () => await mute() === undefined, 'he moderates');
        await owner.request('set-role', of(boris, { role: 'member' }));
        await eventually(async () => await mute() === 'forbidden', 'he does not moderate');
        assert.equal((await borises[0].request('set-role', of(carol, { role: 'reader' }))).code, 'forbidden');
        assert.ok((await borises[0].history(chat)).length > 0);
      });

      test('with a mute is obeyed there: the member sends nothing, receives, and sends again once it is lifted', async (t) => {
        const { boris, host, owner, chat, borises, carols, of, noticesOf } = await moderated(t);
        const [notices] = noticesOf('mute-user');
        for (let round = 0; round < 3; round++) {
          const { value } = await owner.request('mute-user', of(boris, { seconds: 600 }));
          assert.equal(value.muted, true);
          await notices.until(2 * round + 1);
          await assertMaySend(borises, chat, false);
          const { error } = await new Promise((resolve) => {
            borises[0].socket.emit('new-message', { room: chat.id, msg: 'refused' }, resolve);
          });
          assert.ok(error.retry_after_ms > 500_000, JSON.stringify(error));
          await carols[0].send(chat, `received ${round}`);
          for (const client of borises) await client.untilHeard(chat, `received ${round}`);
          await host.ok(204, 'DELETE', `/chats/${chat.id}/mutes/${boris.id}`);
          await untilMaySend(borises, chat);
        }
        assert.ok(!(await borises[0].history(chat)).some(({ text }) => text === 'refused'));
      });

      test('with a ban is obeyed there until it is lifted: the user neither joins nor sees the open room', async (t) => {
        const { boris, host, owner, chat, borises, of } = await moderated(t);
        await host.ok(200, 'PATCH', `/chats/${chat.id}`, { policy: 'open' });
        const join = async () => (await borises[1].request('join_room', { pk: chat.pk })).code;
        for (let round = 0; round < 3; round++) {
          assert.ok((await owner.request('ban-user', of(boris, { seconds: 600 }))).value.banned);
          await assertMaySend(borises, chat, false);
          await eventually(async () => await join() === 'forbidden', 'he does not join');
          const isHidden = async () => (await borises[0].tryHistory(chat)).code === 'forbidden';
          await eventually(isHidden, 'the history is hidden');
          await host.ok(204, 'DELETE', `/chats/${chat.id}/bans/${boris.id}`);
          await eventually(async () => await join() === undefined, 'he joins');
          await untilMaySend(borises, chat);
          assert.ok((await host.get(`/chats/${chat.id}`)).users.includes(boris.id));
        }
      });
    });
  }
});
