// @ts-check
// Owns the promise that membership counts at every node: who left, was removed or banned at one sends nothing more at another,
// reads nothing and soon receives nothing there, also on a new connection; who was added takes part there at once.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask as askAction } from '../clients/action.mjs';
import { OF_MEMBERS, allHear, connectInEach, enterAll } from '../clients/dialects.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { nextEvent } from '../clients/socketio.mjs';
import { join as joinType } from '../clients/type-data.mjs';
import { DIRECTIONS, onEachBus } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

/** How soon a user that was added takes part at another node. */
const ADDED_MS = 3000;

const nameOf = ({ externalUserId }) => externalUserId;
const [eventNameOf, actionOf, typeOf] = Object.keys(OF_MEMBERS).map((dialect) => (clients) => (
  clients.find((client) => client.dialect === dialect)
));

/** What ends the membership of Carol at the first node: by its owner's clients, her own, or the backend. */
const WAYS_OUT = {
  'removed by REST': ({ host, chat, carol }) => host.ok(200, 'DELETE', `/chats/${chat.id}/members/${carol.id}`),
  'banned by REST': ({ host, chat, carol }) => host.ok(200, 'PUT', `/chats/${chat.id}/bans/${carol.id}`, {}),
  'banned by the owner': async ({ annas, chat, carol }) => {
    const body = { room: chat.id, user: { id: carol.id } };
    assert.ok((await eventNameOf(annas).request('ban-user', body)).value.banned);
  },
  'gone by leaving': async ({ carolHere, chat }) => {
    assert.equal((await actionOf(carolHere).request('leave_room', { pk: chat.pk })).code, undefined);
  },
};

/** What makes Dora a member at the first node. */
const WAYS_IN = {
  'added by REST': ({ host, chat, dora }) => host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [dora.id] }),
  'joining by action': ({ doraHere, chat }) => askAction(actionOf(doraHere).connection, 'join_room', { pk: chat.pk }),
  'joining by type': ({ doraHere, chat }) => joinType(typeOf(doraHere).connection, chat.pk),
};

onEachBus(2, (nodes) => {
  /** Anna owns a chat at one node; Boris, and who comes and goes, are at the other one. */
  async function scene(t, { here, there }, { policy, members }) {
    const host = new Backend(nodes[here]);
    const named = /** @type {{ anna: any, boris: any, carol: any, dora: any }} */ ({});
    for (const name of ['anna', 'boris', 'carol', 'dora']) named[name] = await host.user(name);
    const annas = await connectInEach(t, nodes[here], named.anna, OF_MEMBERS);
    const borises = await connectInEach(t, nodes[there], named.boris, OF_MEMBERS);
    const make = (users) => eventNameOf(annas).request('create-chat', {
      chat: { name: uniqueName('chat') }, users: users.map((name) => ({ id: named[name].id })),
    });
    const { value: { chat } } = await make(members);
    if (policy === 'open') await host.ok(200, 'PATCH', `/chats/${chat.id}`, { policy });
    const staying = [...annas, ...borises];
    await enterAll(staying, chat);
    return { host, ...named, annas, borises, staying, chat, make };
  }

  /** The members as the latest list shows them, on each action connection that stays. */
  async function assertListed({ annas, borises }, ...users) {
    const names = `${users.map(nameOf)}`;
    for (const { wire, name } of [actionOf(annas), actionOf(borises)]) {
      const latest = () => wire.frames.findLast((frame) => 'join_user' in frame)?.join_user ?? [];
      await eventually(() => `${latest().map(({ username }) => username)}` === names, `${name} has the list of ${names}`);
    }
  }

  /** Waits until all that was sent to these clients before has arrived, by a message in another chat of theirs. */
  async function flush({ annas, make }, user, clients) {
    const { value: { chat } } = await make(['anna', user]);
    await enterAll(clients, chat);
    await eventNameOf(annas).send(chat, 'is anything still under way?');
    await allHear(clients, chat, 'is anything still under way?');
  }

  for (const direction of DIRECTIONS) {
    describe(`a member that is no member any more, ${direction.title},`, () => {
      for (const [way, end] of Object.entries(WAYS_OUT)) {
        for (const policy of ['closed', 'open']) {
          const code = policy === 'closed' ? 'not_found' : 'forbidden';
          const mayRead = policy === 'open' && !way.startsWith('banned');

          test(`${way} (${policy}) sends nothing at all, and soon receives nothing`, async (t) => {
            const set = await scene(t, direction, { policy, members: ['anna', 'boris', 'carol'] });
            const { carol, anna, boris, annas, borises, staying, chat } = set;
            const carolHere = await connectInEach(t, nodes[direction.here], carol, OF_MEMBERS);
            const carolThere = await connectInEach(t, nodes[direction.there], carol, OF_MEMBERS);
            const carols = [...carolHere, ...carolThere];
            await enterAll(carols, chat);
            for (const client of carols) await client.send(chat, `in time, ${client.name}`);
            const bans = way.startsWith('banned')
              ? [eventNameOf(carolThere), eventNameOf(borises)].map(({ socket }) => nextEvent(socket, 'ban-user')) : [];

            await end({ ...set, carolHere });
            for (const client of [...carolThere, ...carolHere]) {
              assert.equal(await client.sendRefusal(chat, 'too late'), code, client.name);
            }
            for (const ban of bans) {
              assert.deepEqual(await ban, { room: chat.id, user_id: carol.id, banned: true, until: null });
            }
            const reads = async () => {
              for (const client of carols) {
                if ((await client.tryHistory(chat)).code !== (mayRead ? undefined : code)) return false;
              }
              return true;
            };
            await eventually(reads, `the history is ${mayRead ? 'shown' : code}`);
            await assertListed(set, anna, boris);

            for (const client of staying) await client.send(chat, `afterwards, ${client.name}`);
            await flush(set, 'carol', carols);
            for (const client of carols) {
              assert.ok(!client.textsHeard(chat).some((text) => text.startsWith('afterwards')), client.name);
            }
            const fresh = await connectInEach(t, nodes[direction.there], carol, OF_MEMBERS);
            for (const client of fresh) {
              assert.equal(await client.sendRefusal(chat, 'too late'), code, client.name);
              if (!mayRead) assert.equal(await client.historyRefusal(chat), code, client.name);
              if (client.dialect !== 'action' || !mayRead) assert.ok(!await client.lists(chat), client.name);
            }
            if (mayRead) await enterAll(fresh, chat);
            for (const client of staying) await client.send(chat, `at the end, ${client.name}`);
            await flush(set, 'carol', fresh);
            for (const client of fresh) assert.deepEqual(client.heard(chat), [], client.name);

            await allHear(staying, chat, `at the end, ${staying.at(-1).name}`);
            const stored = await annas[0].history(chat);
            assert.equal(stored.length, carols.length + 2 * staying.length);
            for (const client of staying) assert.deepEqual(client.heard(chat), stored, client.name);
          });
        }
      }

      test('and is added again there takes part again, with what was sent meanwhile in the history alone', async (t) => {
        const set = await scene(t, direction, { policy: 'closed', members: ['anna', 'boris', 'carol'] });
        const { host, carol, anna, boris, annas, staying, chat } = set;
        const far = new Backend(nodes[direction.there]);
        const carols = await connectInEach(t, nodes[direction.there], carol, OF_MEMBERS);
        await enterAll(carols, chat);
        for (let round = 0; round < 5; round++) {
          for (const client of carols) await client.send(chat, `${round}, ${client.name}`);
          await host.ok(200, 'DELETE', `/chats/${chat.id}/members/${carol.id}`);
          for (const client of carols) assert.equal(await client.sendRefusal(chat, 'too late'), 'not_found', client.name);
          await assertListed(set, anna, boris);
          await annas[0].send(chat, `meanwhile ${round}`);
          await far.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [carol.id] });
          await assertListed(set, anna, boris, carol);
          await enterAll(carols, chat);
        }
        const last = await annas[0].send(chat, 'the end');
        await allHear([...carols, ...staying], chat, 'the end');
        const stored = await annas[0].history(chat);
        assert.deepEqual(stored.at(-1), last);
        const own = stored.filter(({ text }) => !text.startsWith('meanwhile'));
        assert.equal(own.length, 5 * carols.length + 1);
        for (const client of carols) {
          assert.deepEqual(client.heard(chat), own, client.name);
          assert.deepEqual(await client.history(chat), stored, client.name);
        }
        for (const client of staying) assert.deepEqual(client.heard(chat), stored, client.name);
      });
    });

    describe(`a user that becomes a member, ${direction.title},`, () => {
      for (const [way, begin] of Object.entries(WAYS_IN)) {
        for (const policy of way.startsWith('added') ? ['closed', 'open'] : ['open']) {
          test(`${way} (${policy}) takes part there at once, though it was no member a moment before`, async (t) => {
            const set = await scene(t, direction, { policy, members: ['anna', 'boris'] });
            const { dora, anna, boris, annas, borises, staying, chat } = set;
            const doraHere = await connectInEach(t, nodes[direction.here], dora, OF_MEMBERS);
            const doraThere = await connectInEach(t, nodes[direction.there], dora, OF_MEMBERS);
            for (const client of [...borises, ...annas]) await client.send(chat, `before, ${client.name}`);
            const early = [...doraHere, ...doraThere];
            const code = policy === 'closed' ? 'not_found' : 'forbidden';
            for (const client of early) assert.equal(await client.sendRefusal(chat, 'too early'), code, client.name);
            if (policy === 'open') await enterAll(early, chat);

            await begin({ ...set, doraHere });
            const welcome = await annas[0].send(chat, 'welcome');
            for (const client of early) {
              if (client.dialect === 'action' && policy === 'closed') continue; // it could not subscribe before
              await client.untilHeard(chat, 'welcome');
              assert.deepEqual(client.heard(chat), [welcome], client.name);
            }
            for (const client of doraThere) {
              await eventually(async () => !(await client.trySend(chat, 'here I am')).code, `${client.name} sends`, ADDED_MS);
              assert.ok(await client.lists(chat), client.name);
              assert.equal((await client.history(chat)).length, staying.length + 1 + 1 + doraThere.indexOf(client));
            }
            await enterAll(early, chat);
            await assertListed(set, anna, boris, dora);
            for (const { wire } of [typeOf(annas), typeOf(borises), typeOf(doraThere)]) {
              const joins = (frame) => frame.type === 'chatJoined' && frame.data.user.username === nameOf(dora);
              await wire.until(joins, 'the joining');
              assert.equal(wire.frames.filter(joins).length, 1);
            }
            const sent = [];
            for (const client of [...early, ...staying]) sent.push(await client.send(chat, `now, ${client.name}`));
            await allHear([...early, ...staying], chat, sent.at(-1).text);
            for (const client of early) {
              const heard = client.heard(chat).filter(({ text }) => text.startsWith('now'));
              assert.deepEqual(heard, sent, client.name);
            }
          });
        }
      }

      test('with a new chat for every round takes part in each', async (t) => {
        const set = await scene(t, direction, { policy: 'closed', members: ['anna', 'boris'] });
        const { host, dora, make, borises } = set;
        const doras = await connectInEach(t, nodes[direction.there], dora, OF_MEMBERS);
        for (let round = 0; round < 20; round++) {
          const { value: { chat } } = await make(['anna', 'boris']);
          await borises[0].send(chat, 'before'); // the second node has the members at hand
          await host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [dora.id] });
          const sends = async () => !(await doras[round % 3].trySend(chat, 'here I am')).code;
          await eventually(sends, `${doras[round % 3].name} sends`, ADDED_MS);
          await borises[0].untilHeard(chat, 'here I am');
        }
      });
    });
  }
});
