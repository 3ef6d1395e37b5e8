// @ts-check
// Owns the promise that the metrics show what nodes hear of each other: how many there are, what they published and received,
// how much of that was for their own connections, and that one is missing.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DIALECTS } from '../clients/dialects.mjs';
import { Backend } from '../clients/rest.mjs';
import { scrape } from '../harness/metrics.mjs';
import { BUSES, ONE_SERVER, startNodes } from '../harness/nodes.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;

/** The metrics of a node once `check` of them is truthy. */
async function scrapeUntil(node, check, what) {
  let scraped;
  const checked = async () => {
    scraped = await scrape(node);
    return check(scraped);
  };
  await eventually(checked, what, PATIENCE_MS);
  return scraped;
}

const hears = (node, count) => scrapeUntil(node, (scraped) => scraped.of('polychat_nodes') === count, `${count} nodes are heard`);

for (const bus of BUSES) {
  describe(`with ${bus}`, { skip: ONE_SERVER }, () => {
    test('each notice is published once, received by the other node, and relevant where it has a client', async (t) => {
      const nodes = await startNodes(t, 2, { bus });
      const host = new Backend(nodes[0]);
      const [anna, boris, carol] = [await host.user('anna'), await host.user('boris'), await host.user('carol')];
      const [both, here] = [await host.chat(anna, boris), await host.chat(anna, carol)];
      const client = await DIALECTS['event-name'](t, nodes[0], anna);
      const other = await DIALECTS['event-name'](t, nodes[1], boris);
      await Promise.all(nodes.map((node) => hears(node, 2)));
      const before = await Promise.all(nodes.map((node) => scrape(node)));

      for (const text of ['one', 'two', 'three']) await client.send(both, text);
      for (const text of ['four', 'five']) await client.send(here, text);
      await client.send(both, 'the end');
      await other.untilHeard(both, 'the end');

      const received = (scraped) => scraped.since(before[1], 'polychat_bus_received_total');
      const there = await scrapeUntil(nodes[1], (scraped) => received(scraped) >= 6, 'the notices are received');
      assert.equal(received(there), 6);
      assert.equal(there.since(before[1], 'polychat_bus_relevant_total'), 4);
      assert.equal(there.since(before[1], 'polychat_bus_published_total'), 0);
      const published = (scraped) => scraped.since(before[0], 'polychat_bus_published_total');
      const own = await scrapeUntil(nodes[0], (scraped) => published(scraped) >= 6, 'they are published');
      assert.equal(published(own), 6);
      for (const scraped of [own, there]) {
        assert.ok(scraped.of('polychat_bus_lag_seconds') > 0);
        assert.equal(scraped.of('polychat_bus_owed'), 0);
      }
      for (const name of ['polychat_bus_gaps_total', 'polychat_resyncs_total']) assert.equal(there.since(before[1], name), 0, name);
    });

    test('a node that was killed is not heard, and what it may have done is compared with the store', async (t) => {
      const [staying, killed] = await startNodes(t, 2, { bus });
      const before = await hears(staying, 2);
      await killed.kill();
      const after = await scrapeUntil(staying, (scraped) => (
        scraped.of('polychat_nodes') === 1 && scraped.since(before, 'polychat_resyncs_total', { scope: 'everything' }) > 0
      ), 'it is alone, and has compared');
      assert.equal(after.since(before, 'polychat_resyncs_total', { scope: 'chats' }), 0);
    });
  });
}
