// @ts-check
// Owns the promise that a node which is killed takes nothing along: the clients of the others go on, and receive everything
// that it acknowledged, each message once; what it did to members counts; and a new node takes its place.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DIALECTS, OF_MEMBERS, connectInEach, endOf, enterAll } from '../clients/dialects.mjs';
import { upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { BUSES, crash, startNodes } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

/** How many messages the node acknowledges before it is killed, and how many are on their way at once. */
const BEFORE = 200;
const LANES = 4;

/** Within this time the others notice that a node is gone, and compare what it may have written. */
const GONE_MS = 60_000;

/** Sends without a pause on one connection until it ends: what was sent, and what was acknowledged. */
function startWriter(client, chat) {
  const [sent, acknowledged] = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])];
  let open = true;
  const ended = endOf(client).then(() => { open = false; });
  const lane = async () => {
    while (open) {
      const client_id = `${client.dialect} ${sent.length}`;
      const text = `${client.name} ${client_id}`;
      sent.push({ text, client_id });
      const answer = await Promise.race([client.trySend(chat, text, { client_id }), ended]).catch(() => undefined);
      if (answer?.value) acknowledged.push(answer.value);
    }
  };
  const over = Promise.all(Array.from({ length: LANES }, lane));
  return { client, sent, acknowledged, over };
}

/** Sends one message after the other until `stop()`; each has to be acknowledged. */
function startTalk(client, chat) {
  let goesOn = true;
  const stored = [];
  const over = (async () => {
    while (goesOn) stored.push(await client.send(chat, `${client.name} goes on ${stored.length}`));
  })();
  over.catch(() => {}); // `stop` reports it
  return async () => {
    goesOn = false;
    await over;
    return stored;
  };
}

for (const bus of BUSES) {
  describe(`with ${bus}`, () => {
    /** Three nodes, the last of which is to be killed: Anna is at the first, Boris at the last, Carol at both others. */
    async function scene(t) {
      const nodes = await startNodes(t, 3, { bus });
      const host = new Backend(nodes[0]);
      const [anna, boris, carol] = [await host.user('anna'), await host.user('boris'), await host.user('carol')];
      const annas = await connectInEach(t, nodes[0], anna, OF_MEMBERS);
      const borises = await connectInEach(t, nodes[2], boris, OF_MEMBERS);
      const carols = [...await connectInEach(t, nodes[0], carol, OF_MEMBERS), ...await connectInEach(t, nodes[1], carol, OF_MEMBERS)];
      return { nodes, host, anna, boris, carol, annas, borises, carols, staying: [...annas, ...carols] };
    }

    /** These have received exactly what is stored, each message once, in order. */
    async function assertAllReceived(staying, chat) {
      const last = await staying[0].send(chat, 'the end');
      const stored = await staying[0].history(chat);
      assert.deepEqual(stored.at(-1), last);
      assert.deepEqual(stored.map(({ seq }) => seq), upTo(stored.length));
      for (const client of staying) {
        await client.untilHeard(chat, 'the end', GONE_MS);
        assert.deepEqual(client.heard(chat), stored, client.name);
        assert.ok(client.isOpen, client.name);
      }
      return stored;
    }

    test('what a killed node acknowledged comes to the clients of the others, who go on meanwhile', async (t) => {
      const { nodes, host, anna, boris, carol, annas, borises, carols, staying } = await scene(t);
      const chat = await host.chat(anna, boris, carol);
      await enterAll([...staying, ...borises], chat);
      const talks = [annas[0], carols[4]].map((client) => startTalk(client, chat));
      const writers = borises.map((client) => startWriter(client, chat));
      const count = () => writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
      await eventually(() => count() >= BEFORE, `${BEFORE} messages were acknowledged`, GONE_MS);
      await crash(nodes[2], borises);
      await Promise.all(writers.map(({ over }) => over));
      for (const client of staying) await client.send(chat, `${client.name} is still here`);

      const again = await OF_MEMBERS['event-name'](t, nodes[1], boris);
      const answers = [];
      for (const { text, client_id } of writers.flatMap(({ sent }) => sent)) {
        answers.push(await again.send(chat, text, { client_id }));
      }
      for (const stop of talks) assert.ok((await stop()).length > 0);
      const stored = await assertAllReceived(staying, chat);
      const bySeq = new Map(stored.map((message) => [message.seq, message]));
      for (const message of [...answers, ...writers.flatMap(({ acknowledged }) => acknowledged)]) {
        assert.deepEqual(bySeq.get(message.seq), message);
      }
      const own = stored.filter(({ text }) => text.startsWith(boris.externalUserId));
      assert.deepEqual(own.map(({ text }) => text).sort(), writers.flatMap(({ sent }) => sent.map(({ text }) => text)).sort());
    });

    test('what a killed node acknowledged last comes to the others though nobody writes any more', async (t) => {
      const { nodes, host, anna, boris, carol, borises, staying } = await scene(t);
      const chats = [];
      for (let made = 0; made < 20; made++) chats.push(await host.chat(anna, boris, carol));
      for (const chat of chats) await enterAll([...staying, ...borises], chat);
      const sent = await Promise.all(chats.map((chat, index) => borises[index % 3].send(chat, `the last in ${index}`)));
      await crash(nodes[2], borises);
      for (const [index, chat] of chats.entries()) {
        for (const client of staying) {
          await client.untilHeard(chat, sent[index].text, GONE_MS);
          assert.deepEqual(client.heard(chat), [sent[index]], client.name);
        }
      }
      for (const chat of chats.slice(0, 3)) await assertAllReceived(staying, chat);
    });

    test('members that a killed node removed and added are out and in at the others', async (t) => {
      const { nodes, host, anna, boris, carol, annas, borises, carols } = await scene(t);
      const [without, within] = [await host.chat(anna, boris, carol), await host.chat(anna, boris)];
      for (const client of [...annas, ...borises, ...carols]) {
        await client.enter(without);
        await client.send(without, 'before');
      }
      await enterAll([...annas, ...borises], within);
      for (const client of carols) assert.equal(await client.sendRefusal(within, 'too early'), 'not_found');
      const there = new Backend(nodes[2]);
      await Promise.all([
        there.ok(200, 'DELETE', `/chats/${without.id}/members/${carol.id}`),
        there.ok(200, 'POST', `/chats/${within.id}/members`, { users: [carol.id] }),
      ]);
      await crash(nodes[2], borises);
      for (const client of carols) assert.equal(await client.sendRefusal(without, 'too late'), 'not_found', client.name);
      for (const client of carols) {
        const isOut = async () => (await client.tryHistory(without)).code === 'not_found';
        await eventually(isOut, `${client.name} reads nothing`, GONE_MS);
        await eventually(async () => !(await client.trySend(within, 'here I am')).code, `${client.name} sends`, GONE_MS);
      }
      await enterAll(carols, within);
      for (const client of annas) await client.send(without, 'afterwards');
      const last = await annas[0].send(within, 'the end');
      for (const client of [...annas, ...carols]) await client.untilHeard(within, 'the end', GONE_MS);
      for (const client of carols) {
        assert.ok(!client.textsHeard(without).includes('afterwards'), client.name);
        assert.deepEqual(client.heard(within).at(-1), last);
      }
    });

    test('without a killed node the others work as before, and so does one that starts in its place', async (t) => {
      const { nodes, host, anna, boris, carol, annas, borises, carols, staying } = await scene(t);
      const before = await host.chat(anna, boris, carol);
      await enterAll([...staying, ...borises], before);
      await borises[0].send(before, 'before');
      await crash(nodes[2], borises);

      const { value: { chat } } = await annas[0].request('create-chat', {
        chat: { name: 'Tea' }, users: [anna, carol, boris].map(({ id }) => ({ id })),
      });
      await eventually(() => carols[3].made.some((body) => body.chat.id === chat.id), 'the chat came', GONE_MS);
      const node = await nodes.another();
      const back = await connectInEach(t, node, boris, OF_MEMBERS);
      const all = [...staying, ...back];
      await enterAll(all, chat);
      await enterAll(back, before);
      const sent = [];
      for (const client of all) sent.push(await client.send(chat, `${client.name} talks`));
      for (const client of all) {
        await client.untilHeard(chat, sent.at(-1).text, GONE_MS);
        assert.deepEqual(client.heard(chat), sent, client.name);
      }
      await assertAllReceived(staying, before);
      for (const client of back) await client.untilHeard(before, 'the end');
    });

    test('an owner and a guest of an event lose no message and no count with a node', async (t) => {
      const nodes = await startNodes(t, 3, { bus });
      const host = new Backend(nodes[0]);
      const [owner, guest] = [await host.user('owner'), await host.user('guest')];
      const event = await host.event(owner);
      const [owning, visiting] = [await DIALECTS.marketplace(t, nodes[0], owner), await DIALECTS.marketplace(t, nodes[2], guest)];
      const watching = await DIALECTS.marketplace(t, nodes[1], guest);
      const { chatId } = (await visiting.request('request_access', { eventId: event.id })).value;
      const chat = { id: chatId };
      for (const count of upTo(5)) await visiting.send(chat, `${count}`);
      await crash(nodes[2], [visiting]);
      await Promise.all([owning, watching].map((client) => client.untilHeard(chat, '5', GONE_MS)));
      await owning.request('grant_access', { chatId, granted: true });
      const last = () => watching.connection.frames.findLast((frame) => frame.event === 'chat_updates').data;
      await eventually(() => last().isAccessGranted, 'the access is granted', GONE_MS);
      await owning.request('read_messages', { chatId, lastReadedMessageId: 5 });
      const counts = () => watching.connection.frames.findLast((frame) => frame.event === 'chat_unread').data;
      await eventually(() => counts().interlocutorUnreadCount === 0, 'all was read', GONE_MS);
      for (const client of [owning, watching]) assert.deepEqual(client.textsHeard(chat), upTo(5).map(String), client.name);
    });
  });
}
