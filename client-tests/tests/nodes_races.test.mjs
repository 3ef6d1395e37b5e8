// @ts-check
// Owns the promise that a removal is exact, however often it happens: while a node adds and removes a user, a message that
// the user begins to send at another node after the removal was acknowledged is never stored. NODES_LONG=1 does it longer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OF_MEMBERS, connectInEach, enterAll } from '../clients/dialects.mjs';
import { fullHistory } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { onEachBus } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

const ROUNDS = process.env.NODES_LONG === '1' ? 10_002 : 300;

/** How soon a user that was added sends at another node, and one that was removed reads nothing there. */
const KNOWN_MS = 3000;

/** How often it is checked that the user reads nothing, which may take a moment. */
const READS_EVERY = 20;
const PAUSE_MS = 10;

onEachBus(2, (nodes) => {
  const WAYS = {
    'added and removed by REST': {
      rounds: ROUNDS,
      policy: 'closed',
      refusal: 'not_found',
      out: ({ host, chat, boris }) => host.ok(200, 'DELETE', `/chats/${chat.id}/members/${boris.id}`),
      in: ({ host, chat, boris }) => host.ok(200, 'POST', `/chats/${chat.id}/members`, { users: [boris.id] }),
    },
    'joining and leaving': {
      rounds: ROUNDS / 3,
      policy: 'open',
      refusal: 'forbidden',
      out: ({ elsewhere, chat }) => elsewhere.request('leave_room', { pk: chat.pk }),
      in: ({ elsewhere, chat }) => elsewhere.request('join_room', { pk: chat.pk }),
    },
  };

  for (const [what, way] of Object.entries(WAYS)) {
    test(`${way.rounds} times ${what} at one node, a user sends at the other one as a member, and never otherwise`, async (t) => {
      const host = new Backend(nodes[0]);
      const [anna, boris] = [await host.user('anna'), await host.user('boris')];
      const chat = await host.chat(anna, boris);
      if (way.policy === 'open') await host.ok(200, 'PATCH', `/chats/${chat.id}`, { policy: 'open' });
      const witness = await OF_MEMBERS['event-name'](t, nodes[0], anna);
      const elsewhere = await OF_MEMBERS.action(t, nodes[0], boris);
      const senders = await connectInEach(t, nodes[1], boris, OF_MEMBERS);
      const others = await connectInEach(t, nodes[1], boris, OF_MEMBERS);
      await enterAll([...senders, ...others], chat);
      const set = { host, chat, boris, elsewhere };

      /** `out` from the acknowledgement of a removal to the request that adds again; `turn` counts these changes. */
      const phase = { out: false, turn: 0 };
      const become = (out) => Object.assign(phase, { out, turn: phase.turn + 1 });
      /** Texts that must never be stored, and those that were acknowledged. */
      const [never, acknowledged] = [/** @type {string[]} */ ([]), /** @type {string[]} */ ([])];
      let running = true;

      /** Sends and reads all the time, so that the node has the members at hand; judges what began and ended in one phase. */
      const background = async (client, lane) => {
        for (let count = 0; running; count++) {
          const [{ out, turn }, text] = [{ ...phase }, `in the background ${lane} ${count}`];
          const { code } = await client.trySend(chat, text);
          if (code) assert.equal(code, way.refusal);
          else acknowledged.push(text);
          if (out && phase.turn === turn) {
            never.push(text);
            assert.equal(code, way.refusal, text);
          }
          if (client.dialect === 'event-name') {
            await client.request('list-messages', { chat: { id: chat.id }, query: { limit: 1 } });
          }
          await sleep(PAUSE_MS);
        }
      };
      const lanes = Promise.all(others.map(background));
      lanes.catch(() => { running = false; }); // it is awaited below

      for (let round = 0; round < way.rounds && running; round++) {
        const { code } = await way.out(set);
        assert.equal(code, undefined);
        become(true);
        const sender = senders[round % senders.length];
        const texts = [`too late ${round}`, `too late again ${round}`];
        never.push(...texts);
        for (const text of texts) assert.equal(await sender.sendRefusal(chat, text), way.refusal, text);
        if (round % READS_EVERY === 0 && way.policy === 'closed') {
          const readsNothing = async () => (await senders[1].tryHistory(chat)).code === way.refusal;
          await eventually(readsNothing, `${sender.name} reads nothing in round ${round}`, KNOWN_MS);
        }
        become(false);
        assert.equal((await way.in(set)).code, undefined);
        const text = `welcome ${round}`;
        const sends = async () => !(await sender.trySend(chat, text)).code;
        await eventually(sends, `${sender.name} sends in round ${round}`, KNOWN_MS);
        acknowledged.push(text);
      }
      running = false;
      await lanes;

      await witness.send(chat, 'the end');
      await witness.untilHeard(chat, 'the end');
      const stored = await fullHistory(witness, chat);
      const texts = stored.map(({ msg }) => msg);
      const once = new Set(texts);
      assert.equal(once.size, texts.length, 'a text is stored once');
      assert.deepEqual(never.filter((text) => once.has(text)), []);
      assert.deepEqual(acknowledged.filter((text) => !once.has(text)), []);
      assert.deepEqual(witness.textsHeard(chat), texts);
      assert.ok(never.length >= 2 * way.rounds && acknowledged.length >= way.rounds);
      t.diagnostic(`${never.length} messages refused to no member, ${acknowledged.length} stored`);
    });
  }
});
