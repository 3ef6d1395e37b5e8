// @ts-check
// Owns the promise that what is changed about a user at one node counts at all of them: a profile shows in the next message,
// and revoked tokens and closed connections end at every node, and open no new ones.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DIALECTS, OF_MEMBERS, connectInEach, endOf, enterAll } from '../clients/dialects.mjs';
import { uniqueName } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { TRANSPORT_LOST, connectRefused } from '../clients/socketio.mjs';
import { PATH, refusedWith } from '../clients/websocket.mjs';
import { DIRECTIONS, onEachBus } from '../harness/nodes.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';

/** How the profile of a user is changed at a node. */
const CHANGES = {
  REST: (t, node, user, profile) => new Backend(node).ok(200, 'PATCH', `/users/${user.id}`, profile),
  'REST, by its external id': (t, node, { externalUserId }, profile) => (
    new Backend(node).ok(200, 'POST', '/users', { externalUserId, ...profile })
  ),
  'create-user': async (t, node, user, profile) => {
    const client = await OF_MEMBERS['event-name'](t, node, user);
    const { externalUserId } = user;
    assert.equal((await client.request('create-user', { user: { externalUserId, ...profile } })).code, undefined);
    client.close();
  },
};

onEachBus(2, (nodes) => {
  for (const direction of DIRECTIONS) {
    const [here, there] = [() => nodes[direction.here], () => nodes[direction.there]];

    describe(`a profile that is changed ${direction.title}`, () => {
      for (const [way, change] of Object.entries(CHANGES)) {
        test(`by ${way} shows there in the next message, and wherever the user is shown`, async (t) => {
          const host = new Backend(here());
          const [anna, boris] = [await host.user('anna', { name: 'Anna' }), await host.user('boris')];
          const { chatId, pk } = await host.eventChat(await host.event(anna), boris);
          const chat = { id: chatId, pk };
          const annas = await connectInEach(t, there(), anna);
          const borises = await connectInEach(t, there(), boris);
          await enterAll([...annas, ...borises], chat);
          await annas[0].send(chat, 'before');
          for (const client of borises) await client.untilHeard(chat, 'before');

          for (const round of [1, 2, 3]) {
            const profile = { name: uniqueName('Anna'), username: uniqueName('anna'), avatar: `/media/${round}.jpg` };
            await change(t, here(), anna, profile);
            const eventName = borises[0];
            const shown = { id: anna.id, ...profile };
            const shows = (user) => Object.entries(shown).every(([field, value]) => user[field] === value);
            const get = async () => (await eventName.request('get-user', { user: { id: anna.id } })).value.user;
            await eventually(async () => shows(await get()), 'get-user shows it');
            assert.ok(shows((await annas[0].request('whoami', {})).value.user), 'whoami');
            const { externalUserId } = anna;
            const { value } = await annas[0].request('create-user', { user: { externalUserId } });
            assert.ok(shows(value.user), JSON.stringify(value.user));
            assert.ok(shows(await new Backend(there()).get(`/users/${anna.id}`)), 'REST');

            await annas[round % 4].send(chat, `round ${round}`);
            for (const client of borises) await client.untilHeard(chat, `round ${round}`);
            const [, byAction, byType, market] = borises;
            const { user } = byAction.wire.frames.findLast((frame) => frame.data?.text === `round ${round}`).data;
            assert.deepEqual([user.username, user.avatar], [profile.username, profile.avatar]);
            const { sender } = byType.wire.frames.findLast((frame) => frame.type === 'messageCreated').data;
            assert.equal(sender.username, profile.username);
            const update = market.connection.frames.findLast(({ event }) => event === 'chat_updates').data;
            assert.deepEqual([update.user.id, update.user.name], [anna.pk, profile.name]);
          }
        });
      }
    });
  }

  test('a profile that is claimed by tokens at both nodes shows as the last one', async (t) => {
    const externalUserId = uniqueName('vera');
    const names = [];
    for (let round = 0; round < 10; round++) {
      const client = await OF_MEMBERS['event-name'](t, nodes[round % 2], { externalUserId });
      names.push(uniqueName('Vera'));
      await client.request('create-user', { user: { externalUserId, name: names.at(-1) } });
      const other = await OF_MEMBERS['event-name'](t, nodes[1 - round % 2], { externalUserId });
      const { value } = await other.request('whoami', {});
      assert.equal(value.user.name, names.at(-1));
      for (const each of [client, other]) each.close();
    }
  });
});

onEachBus(2, (nodes) => {
  const service = async (node) => new Backend(node, await token({ sub: 'backend', role: 'service' }));

  /** A user with a connection in each dialect and by polling at a node, with a token that was issued a minute ago. */
  async function holder(t, host, node, more = {}) {
    const user = await host.user('vera');
    const jwt = await token({ sub: user.externalUserId, iat: now() - 60, ...more });
    const clients = await connectInEach(t, node, { ...user, token: jwt });
    clients.push(await OF_MEMBERS['event-name'](t, node, { ...user, token: jwt }, { transports: ['polling'] }));
    return { ...user, token: jwt, clients, ended: clients.map(endOf) };
  }

  const isOver = (clients) => eventually(() => clients.every(({ isOpen }) => !isOpen), 'all connections have ended');

  for (const direction of DIRECTIONS) {
    const [here, there] = [() => nodes[direction.here], () => nodes[direction.there]];

    describe(`tokens that are revoked ${direction.title}`, () => {
      test('end the connections there, and open none', async (t) => {
        const host = await service(here());
        const vera = await holder(t, host, there());
        const stays = await connectInEach(t, there(), { ...vera, token: await token({ sub: vera.externalUserId, iat: now() }) });
        const other = await holder(t, host, there());
        const before = new Date((now() - 30) * 1000).toISOString();
        await host.ok(200, 'POST', `/users/${vera.id}/revoke`, { before });
        await isOver(vera.clients);
        for (const [index, end] of (await Promise.all(vera.ended)).entries()) {
          if (vera.clients[index].wire) assert.deepEqual(end, { code: 1008, reason: 'token expired' });
          else assert.match(end, TRANSPORT_LOST);
        }
        for (const node of [here(), there()]) {
          const refused = await connectRefused(t, node.url, { auth: { token: vera.token } });
          assert.equal(refused.message, 'unauthenticated');
          const market = await connectRefused(t, `${node.url}/events`, { auth: { token: vera.token } });
          assert.equal(market.message, 'unauthenticated');
          for (const path of Object.values(PATH)) assert.equal(await refusedWith(t, node, path, { token: vera.token }), 401);
        }
        for (const client of [...stays, ...other.clients]) assert.ok(client.isOpen, client.name);
        const fresh = await connectInEach(t, there(), stays[0].user);
        assert.deepEqual((await fresh[0].request('list-chats', {})).value, { chats: [] });
      });

      test('at once are refused there, though they were used a moment before', async (t) => {
        const host = await service(here());
        for (let round = 0; round < 5; round++) {
          const user = await host.user('vera');
          const jwt = await token({ sub: user.externalUserId, iat: now() - 60 });
          const used = await OF_MEMBERS.type(t, there(), { ...user, token: jwt });
          await host.ok(200, 'POST', `/users/${user.id}/revoke`, { before: new Date((now() - 30) * 1000).toISOString() });
          const isRefused = async () => {
            const again = await DIALECTS.type(t, there(), { ...user, token: jwt }).catch(() => undefined);
            await again?.close();
            return again === undefined;
          };
          await eventually(isRefused, 'the token is refused');
          assert.equal(await refusedWith(t, there(), PATH.type, { token: jwt }), 401);
          await isOver([used]);
        }
      });
    });

    test(`connections that are closed ${direction.title} end there, all of the user and no others, who may come back`, async (t) => {
      const host = await service(here());
      const [vera, other] = [await holder(t, host, there()), await holder(t, host, there())];
      const atHome = await connectInEach(t, here(), { ...vera });
      await host.ok(204, 'DELETE', `/users/${vera.id}/connections`);
      await isOver([...vera.clients, ...atHome]);
      for (const client of other.clients) assert.ok(client.isOpen, client.name);
      const back = await connectInEach(t, there(), { ...vera });
      assert.deepEqual((await back[0].request('list-chats', {})).value, { chats: [] });
      await host.ok(204, 'DELETE', `/users/${vera.id}/connections`);
      await isOver(back);
    });
  }
}, { args: ['--auth', 'jwt', '--jwt-secret', SECRET] });
