// @ts-check
// Owns the promise that messages reach the members at every node as on one: from each dialect to each, each message once, in
// the one order of its chat, whichever nodes write at the same time, and however often a message is sent again.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DIALECTS, OF_MEMBERS, allHear, connectInEach, enterAll } from '../clients/dialects.mjs';
import { upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { onEachBus } from '../harness/nodes.mjs';

/** How many messages two sides of a pair send together. */
const TOGETHER = 200;

/** How many messages each of two nodes sends at once, and how many of them are on the way. */
const PIPELINED = 500;
const WINDOW = 64;
const PATIENCE_MS = 60_000;

const PAIRS = Object.keys(DIALECTS).flatMap((one) => Object.keys(DIALECTS).map((other) => [one, other]));

const seqs = (messages) => messages.map(({ seq }) => seq);

onEachBus(3, (nodes) => {
  /** A chat of these users, made at the first node: in the marketplace that of an event of the first of two. */
  async function chatOf(users, market) {
    const host = new Backend(nodes[0]);
    if (!market) return host.chat(...users);
    const [owner, guest] = users;
    const { chatId, pk } = await host.eventChat(await host.event(owner), guest);
    return { id: chatId, pk };
  }

  const users = (...names) => Promise.all(names.map((name) => new Backend(nodes[0]).user(name)));

  /** Sends these, each once the one before was acknowledged: the stored messages. */
  async function sendInTurn(client, chat, texts) {
    const stored = [];
    for (const text of texts) stored.push(await client.send(chat, text));
    return stored;
  }

  /** Sends these on one connection with `WINDOW` of them unanswered: the stored messages. */
  async function sendPipelined(client, chat, texts) {
    const stored = [];
    let next = 0;
    const lane = async () => {
      while (next < texts.length) {
        const index = next++;
        stored[index] = await client.send(chat, texts[index], { client_id: `${client.dialect} ${index}` });
      }
    };
    await Promise.all(Array.from({ length: WINDOW }, lane));
    return stored;
  }

  const textsOf = (client, count) => upTo(count).map((index) => `${client.name} ${index}`);

  /** All of them received these messages, and nothing else, in the order of their seqs; so has the history. */
  async function assertEqual(clients, chat, sent, ms) {
    const expected = sent.toSorted((one, other) => one.seq - other.seq);
    assert.deepEqual(seqs(expected), upTo(expected.length));
    await allHear(clients, chat, expected.at(-1).text, ms);
    for (const client of clients) assert.deepEqual(client.heard(chat), expected, client.name);
    for (const client of clients) {
      const history = await client.history(chat);
      assert.deepEqual(history, expected.slice(-history.length), client.name);
      assert.ok(history.length >= Math.min(expected.length, 1000), client.name);
    }
  }

  describe('between two nodes', { concurrency: 4 }, () => {
    for (const [one, other] of PAIRS) {
      test(`${one} and ${other} receive each message once, in order, while both sides write`, async (t) => {
        const [anna, boris] = await users('anna', 'boris');
        const chat = await chatOf([anna, boris], [one, other].includes('marketplace'));
        const sides = [await DIALECTS[one](t, nodes[0], anna), await DIALECTS[other](t, nodes[1], boris)];
        await enterAll(sides, chat);
        const alone = [];
        for (const client of sides) alone.push(await client.send(chat, `${client.name} alone`));
        const together = await Promise.all(sides.map((client) => (
          sendInTurn(client, chat, textsOf(client, TOGETHER / 2))
        )));
        const last = await sides[0].send(chat, 'the end');
        await assertEqual(sides, chat, [...alone, ...together.flat(), last]);
      });
    }
  });

  test('three connections of one user at three nodes receive all, also what the user sends at the others', async (t) => {
    const [anna, boris] = await users('anna', 'boris');
    const chat = await chatOf([anna, boris], true);
    const everywhere = (await Promise.all(nodes.map((node) => connectInEach(t, node, anna)))).flat();
    const other = await DIALECTS.marketplace(t, nodes[2], boris);
    const all = [...everywhere, other];
    await enterAll(all, chat);
    const sent = await Promise.all(all.map((client, index) => (
      sendInTurn(client, chat, upTo(10).map((count) => `connection ${index} ${count}`))
    )));
    const last = await other.send(chat, 'the end');
    await assertEqual(all, chat, [...sent.flat(), last]);
  });

  test('a node whose clients only listen receives what two others write', async (t) => {
    const [anna, boris, vera] = await users('anna', 'boris', 'vera');
    const chat = await chatOf([anna, boris, vera], false);
    const writers = [
      await OF_MEMBERS['event-name'](t, nodes[0], anna), await OF_MEMBERS.type(t, nodes[1], boris),
    ];
    const listeners = await connectInEach(t, nodes[2], vera, OF_MEMBERS);
    await enterAll([...writers, ...listeners], chat);
    const sent = await Promise.all(writers.map((client) => sendInTurn(client, chat, textsOf(client, 100))));
    const last = await writers[1].send(chat, 'the end');
    await assertEqual([...writers, ...listeners], chat, [...sent.flat(), last]);
  });

  for (const dialect of Object.keys(DIALECTS)) {
    test(`who sends by ${dialect} after the other node wrote receives each message once, the own one, too`, async (t) => {
      const [anna, boris] = await users('anna', 'boris');
      const chat = await chatOf([anna, boris], true);
      const sender = await DIALECTS[dialect](t, nodes[0], anna);
      const others = await connectInEach(t, nodes[1], boris);
      await enterAll([sender, ...others], chat);
      const sent = [];
      for (const [index, other] of [...others, ...others, ...others].entries()) {
        sent.push(await other.send(chat, `${other.name} ${index}`));
        sent.push(await sender.send(chat, `the own one ${index}`));
      }
      sent.push(await others[0].send(chat, 'the end'));
      await assertEqual([sender, ...others], chat, sent);
    });
  }

  for (const dialect of Object.keys(OF_MEMBERS)) {
    test(`${PIPELINED} messages of each of two nodes at once are stored without an error, all in one order (${dialect})`, async (t) => {
      const [anna, boris] = await users('anna', 'boris');
      const chat = await chatOf([anna, boris], false);
      const sides = [await OF_MEMBERS[dialect](t, nodes[0], anna), await OF_MEMBERS[dialect](t, nodes[1], boris)];
      const witness = await OF_MEMBERS['event-name'](t, nodes[2], boris);
      await enterAll([...sides, witness], chat);
      const sent = await Promise.all(sides.map((client) => sendPipelined(client, chat, textsOf(client, PIPELINED))));
      for (const own of sent) {
        assert.deepEqual(seqs(own), seqs(own).toSorted((one, other) => one - other), 'one connection keeps its order');
      }
      await assertEqual([...sides, witness], chat, sent.flat(), PATIENCE_MS);
    });
  }

  describe('a message that is sent again with its client_id at another node', () => {
    for (const dialect of Object.keys(DIALECTS)) {
      test(`is stored and received once, and answered with the first one (${dialect})`, async (t) => {
        const [anna, boris] = await users('anna', 'boris');
        const chat = await chatOf([anna, boris], true);
        const annas = await Promise.all([0, 1].map((node) => DIALECTS[dialect](t, nodes[node], anna)));
        const listeners = (await Promise.all([0, 1].map((node) => connectInEach(t, nodes[node], boris)))).flat();
        await enterAll([...annas, ...listeners], chat);
        const stored = [];
        for (let round = 0; round < 10; round++) {
          const client_id = `${dialect} ${round}`;
          const [first, second] = round % 2 ? annas : annas.toReversed();
          const message = await first.send(chat, `first ${round}`, { client_id });
          assert.deepEqual(await second.send(chat, `second ${round}`, { client_id }), message);
          assert.deepEqual(await first.send(chat, `third ${round}`, { client_id }), message);
          stored.push(message);
        }
        stored.push(await annas[0].send(chat, 'the end'));
        await allHear(listeners, chat, 'the end');
        for (const client of listeners) assert.deepEqual(client.heard(chat), stored, client.name);
        assert.deepEqual(await annas[1].history(chat), stored);
      });
    }

    test('at the same time is stored and received once', async (t) => {
      const [anna, boris] = await users('anna', 'boris');
      const chat = await chatOf([anna, boris], true);
      const annas = (await Promise.all([0, 1].map((node) => connectInEach(t, nodes[node], anna)))).flat();
      const listeners = (await Promise.all([0, 1, 2].map((node) => connectInEach(t, nodes[node], boris)))).flat();
      await enterAll([...annas, ...listeners], chat);
      const stored = [];
      for (let round = 0; round < 10; round++) {
        const answers = await Promise.all(annas.map((client) => client.send(chat, `round ${round}`, { client_id: `${round}` })));
        for (const answer of answers) assert.deepEqual(answer, answers[0]);
        stored.push(answers[0]);
      }
      assert.deepEqual(seqs(stored), upTo(stored.length));
      stored.push(await annas[0].send(chat, 'the end'));
      await allHear(listeners, chat, 'the end');
      for (const client of listeners) assert.deepEqual(client.heard(chat), stored, client.name);
    });
  });
});
