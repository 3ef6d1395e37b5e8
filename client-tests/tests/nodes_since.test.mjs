// @ts-check
// Owns the promise that a client which reconnects to any node misses nothing of what others did meanwhile, and receives
// nothing twice: by `auth.since`, by `sync`, and by the initial data of the marketplace.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { DIALECTS, OF_MEMBERS, enterAll } from '../clients/dialects.mjs';
import { sendMany, seqsAfter, startTraffic, upTo } from '../clients/fixtures.mjs';
import { frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { onEachBus } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

const VISITS = 12;

/** How many missed messages come before anything new; the rest is requested page by page. */
const AT_ONCE = 1000;

const seqs = (messages) => messages.map(({ seq }) => seq);

onEachBus(2, (nodes) => {
  const connectEvent = OF_MEMBERS['event-name'];
  const users = (...names) => Promise.all(names.map((name) => new Backend(nodes[0]).user(name)));

  /** Anna writes at the first node; Boris stays at the second, where Carol comes and goes. */
  async function scene(t) {
    const [anna, boris, carol] = await users('anna', 'boris', 'carol');
    const chat = await new Backend(nodes[0]).chat(anna, boris, carol);
    const writer = await connectEvent(t, nodes[0], anna);
    const stays = await connectEvent(t, nodes[1], boris);
    return { anna, boris, carol, chat, writer, stays };
  }

  const untilCount = (client, chat, count) => (
    eventually(() => client.heard(chat).length >= count, `${client.name} receives ${count} messages`)
  );

  describe('auth.since', () => {
    test('at a node where another member stays brings what was written at the first one', async (t) => {
      const { chat, carol, writer, stays } = await scene(t);
      for (const index of upTo(5)) await writer.send(chat, `${index}`);
      await stays.untilHeard(chat, '5');
      for (const index of [6, 7, 8]) await writer.send(chat, `${index}`);
      const back = await connectEvent(t, nodes[1], carol, { since: { [chat.id]: 5 } });
      await writer.send(chat, '9');
      await allHave([back, stays], chat, '9');
      assert.deepEqual(seqs(back.heard(chat)), [6, 7, 8, 9]);
      assert.deepEqual(seqs(stays.heard(chat)), upTo(9));
      assert.equal(back.synced.length, 0);
    });

    test('in the middle of what the first node writes brings one sequence without gap or duplicate', async (t) => {
      const { chat, carol, writer, stays } = await scene(t);
      const traffic = startTraffic(writer, chat);
      const row = [];
      for (let visits = 0; visits < VISITS; visits++) {
        const back = await connectEvent(t, nodes[1], carol, { since: { [chat.id]: row.length } });
        await untilCount(back, chat, 10 * (visits % 4) + 1);
        back.close();
        row.push(...seqs(back.heard(chat)));
        assert.deepEqual(row, upTo(row.length));
        assert.equal(back.synced.length, 0);
      }
      const total = await traffic.stop();
      assert.ok(row.length > VISITS && row.length <= total, `${row.length} of ${total}`);
      await untilCount(stays, chat, total);
      assert.deepEqual(seqs(stays.heard(chat)), upTo(total));
    });

    test('now here, now there, while both nodes write, brings one sequence without gap or duplicate', async (t) => {
      const { chat, carol, writer, stays } = await scene(t);
      const traffics = [startTraffic(writer, chat), startTraffic(stays, chat)];
      const row = [];
      for (let visits = 0; visits < 2 * VISITS; visits++) {
        const back = await connectEvent(t, nodes[visits % 2], carol, { since: { [chat.id]: row.length } });
        await untilCount(back, chat, 10 * (visits % 4) + 1);
        back.close();
        row.push(...seqs(back.heard(chat)));
        assert.deepEqual(row, upTo(row.length));
      }
      const total = Math.max(...await Promise.all(traffics.map((traffic) => traffic.stop())));
      assert.ok(row.length > VISITS && row.length <= total, `${row.length} of ${total}`);
    });

    test('brings the first thousand of more, and names the chat of which there is more', async (t) => {
      const { chat, carol, writer, stays } = await scene(t);
      const missed = AT_ONCE + 500;
      await sendMany(writer, chat, missed, (index) => `${index + 1}`);
      const back = await connectEvent(t, nodes[1], carol, { since: { [chat.id]: 0 } });
      await back.synced.until(1);
      assert.deepEqual(back.synced[0], { chats: { [chat.id]: { messages: [], head: missed, has_more: true } } });
      await writer.send(chat, 'live');
      const { found } = await back.syncAll(chat, AT_ONCE);
      await allHave([back, stays], chat, 'live');
      const [first, live] = [seqs(back.heard(chat)).slice(0, AT_ONCE), seqs(back.heard(chat)).slice(AT_ONCE)];
      assert.deepEqual([...first, ...found, ...live], upTo(missed + 1));
      assert.deepEqual(seqs(stays.heard(chat)), upTo(missed + 1));
    });
  });

  /** Waits until these received this text. */
  const allHave = (clients, chat, text) => Promise.all(clients.map((client) => client.untilHeard(chat, text)));

  describe('sync', () => {
    for (const [dialect, connecting] of Object.entries(OF_MEMBERS)) {
      test(`at the second node in the middle of what both write brings exactly what is not received live (${dialect})`, async (t) => {
        const { chat, carol, writer, stays } = await scene(t);
        const traffics = [startTraffic(writer, chat), startTraffic(stays, chat)];
        let known = 0;
        for (let visits = 0; visits < VISITS; visits++) {
          const back = await connecting(t, nodes[1], carol);
          if (visits % 3 === 1) await sleep(20);
          await back.enter(chat);
          if (visits % 3 === 2) await untilCount(back, chat, 5);
          const { found, head } = await back.syncAll(chat, known);
          assert.equal(found.at(-1) ?? known, head);
          await untilCount(back, chat, visits * 2 + 1);
          await back.close();
          const row = [...found, ...seqs(back.heard(chat))];
          assert.deepEqual(row, seqsAfter(known, row.length));
          known += row.length;
        }
        const total = Math.max(...await Promise.all(traffics.map((traffic) => traffic.stop())));
        assert.ok(known > VISITS && known <= total, `${known} of ${total}`);
      });

      test(`of a client that stayed, after the other node wrote, goes up to the end (${dialect})`, async (t) => {
        const { chat, carol, writer } = await scene(t);
        const client = await connecting(t, nodes[1], carol);
        await enterAll([client], chat);
        assert.deepEqual(await client.syncAll(chat, 0), { found: [], head: 0 });
        for (const index of upTo(3)) await writer.send(chat, `${index}`);
        await client.untilHeard(chat, '3');
        assert.deepEqual(await client.syncAll(chat, 1), { found: [2, 3], head: 3 });
      });
    }
  });

  test('who enters the marketplace at the second node misses nothing of what the first one writes', async (t) => {
    const [owner, guest] = await users('owner', 'guest');
    const host = new Backend(nodes[0]);
    const { chatId, pk } = await host.eventChat(await host.event(owner), guest);
    const chat = { id: chatId, pk };
    const writer = await connectEvent(t, nodes[0], owner);
    const stays = await DIALECTS.marketplace(t, nodes[1], guest);
    const traffic = startTraffic(writer, chat);
    const views = [];
    for (let visits = 0; visits < VISITS; visits++) {
      const view = await DIALECTS.marketplace(t, nodes[visits % 2], guest);
      // The front end fails where messages are missing between its initial data and what comes live, or between these.
      await view.connection.until(() => view.heard(chat).length > visits, 'live messages');
      assert.ok(frontEnd(view.connection).head(chatId) > 0);
      if (visits % 2) view.close(); else views.push(view);
    }
    const total = await traffic.stop();
    for (const { connection } of [...views, stays]) {
      await connection.until(() => frontEnd(connection).head(chatId) === total, `message ${total}`);
    }
    await stays.connection.until(() => `${frontEnd(stays.connection).counts(chatId)}` === `${[total, 0]}`, 'the counts');
    assert.deepEqual(seqs(stays.heard(chat)), upTo(total));
  });
});
