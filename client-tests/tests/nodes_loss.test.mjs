// @ts-check
// Owns the promise that what nodes do while their bus is broken reaches the clients of the others once it works again: chats
// with all their messages, members, access, read positions, and the end of connections whose tokens were revoked.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { OF_MEMBERS } from '../clients/dialects.mjs';
import { TRANSPORTS, entered, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { BUSES, startNodes } from '../harness/nodes.mjs';
import { startRedis } from '../harness/redis.mjs';
import { useScope } from '../harness/scope.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';

/** Only a bus of its own can break while the store goes on. */
const skip = BUSES.includes('redis') ? false : 'without a Redis nothing can break beside the store';

describe('while the Redis of the bus is away', { skip }, () => {
  const scope = useScope();
  let redis;
  let nodes;
  let host;
  before(async () => {
    redis = await startRedis(scope);
    const args = ['--bus', redis.url, '--auth', 'jwt', '--jwt-secret', SECRET];
    nodes = await startNodes(scope, 2, { bus: 'mongodb', args });
    host = new Backend(nodes[0], await token({ sub: 'backend', role: 'service' }));
  });

  /** A user with a token that may be revoked. */
  async function user(name) {
    const made = await host.user(name);
    return { ...made, token: await token({ sub: made.externalUserId, iat: now() - 60 }) };
  }

  /** Runs `change` while there is no Redis. */
  async function broken(change) {
    await redis.kill();
    try {
      return await change();
    } finally {
      await redis.start();
    }
  }

  for (const [dialect, connecting] of Object.entries(OF_MEMBERS)) {
    test(`a chat is made, members are added, and all of its messages arrive once and in order (${dialect})`, async (t) => {
      const [anna, boris, carol] = [await user('anna'), await user('boris'), await user('carol')];
      const annas = await OF_MEMBERS['event-name'](t, nodes[0], anna);
      const [borises, carols] = [await connecting(t, nodes[1], boris), await connecting(t, nodes[1], carol)];
      const texts = ['one', 'two', 'three', 'four'];
      const chat = await broken(async () => {
        const users = [anna, boris].map(({ id }) => ({ id }));
        const { value } = await annas.request('create-chat', { chat: { name: 'late' }, users });
        for (const text of texts.slice(0, 2)) await annas.send(value.chat, text);
        await host.ok(200, 'POST', `/chats/${value.chat.id}/members`, { users: [carol.id] });
        for (const text of texts.slice(2)) await annas.send(value.chat, text);
        return value.chat;
      });
      if (dialect === 'action') for (const client of [borises, carols]) await client.enter(chat);
      await annas.send(chat, 'five');
      for (const client of [borises, carols]) await client.untilHeard(chat, 'five');
      if (dialect === 'action') return; // It receives the messages of a chat once it has subscribed to them.
      const heard = (client) => client.heard(chat).map(({ text }) => text);
      assert.deepEqual(heard(borises), [...texts, 'five']);
      // Since she joined, or since boris did: both are entered with the same messages.
      const all = [...texts, 'five'];
      const found = heard(carols);
      assert.deepEqual(found, all.slice(-found.length));
      assert.ok(found.length >= 3, `${found}`);
    });
  }

  test('connections whose tokens are revoked end at the other node, and no others', async (t) => {
    const [vera, other] = [await user('vera'), await user('other')];
    const veras = await Promise.all(Object.values(OF_MEMBERS).map((connecting) => connecting(t, nodes[1], vera)));
    const stays = await OF_MEMBERS['event-name'](t, nodes[1], other);
    const revoked = { before: new Date((now() - 30) * 1000).toISOString() };
    await broken(() => host.ok(200, 'POST', `/users/${vera.id}/revoke`, revoked));
    await eventually(() => veras.every(({ isOpen }) => !isOpen), 'all connections have ended');
    assert.ok(stays.isOpen);
  });

  test('an application is granted and messages are read, and the guest at the other node is shown both', async (t) => {
    const [owner, guest] = [await user('owner'), await user('guest')];
    const event = await host.event(owner);
    const { chatId } = await host.eventChat(event, guest);
    /** @type {any[]} */
    const [connect] = Object.values(TRANSPORTS);
    const owning = await entered(connect(t, nodes[0], owner));
    const visiting = await entered(connect(t, nodes[1], guest));
    await visiting.ask('send_message', { chatId, message: { text: 'May I?' } });
    await visiting.ask('request_access', { eventId: event.id, message: 'Please' });
    const shown = () => frontEnd(visiting).shown.get(chatId);
    await visiting.until(() => shown()?.isRequestSended, 'the application');
    await owning.until(() => frontEnd(owning).shown.get(chatId)?.isRequestSended, 'the application at the owner');
    await broken(async () => {
      await owning.ask('grant_access', { chatId, granted: true });
      await owning.ask('read_messages', { chatId, lastReadedMessageId: 2 });
    });
    await visiting.until(() => shown().isAccessGranted && shown().interlocutorUnreadCount === 0, 'the access and the reads');
  });
});
