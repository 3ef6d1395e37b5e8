// @ts-check
// Owns the initial data of a user of the marketplace: events grouped on the owner's and on the guest's side, the latest
// activity first, as many messages as are new (at least 20, at most 200), and the history before them to the beginning.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { upTo } from '../clients/fixtures.mjs';
import { TRANSPORTS, enterSocketIo, enterWebSocket, entered, flush, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { tick } from '../harness/wait.mjs';

const LEAST = 20;
const MOST = 200;
const PAGE = 50;

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope);
  host = new Backend(server);
});

const users = (...bases) => Promise.all(bases.map((base) => host.user(base)));

/** The entries as `[event, [guest or owner, …]]`, in their order. */
const grouped = (initial) => initial.map(({ event, chats }) => [event.id, chats.map(({ user }) => user.id)]);

/** The same clock tick would leave the order of activity open. */
async function sendMessage(chat, user, text) {
  await tick();
  return host.sendMessage(chat, user, text);
}

for (const [transport, connecting] of Object.entries(TRANSPORTS)) {
  describe(`over ${transport}`, () => {
    const enter = async (t, user) => entered(connecting(t, server, user));
    const groups = async (t, user) => grouped((await enter(t, user)).initial);

    test('an owner has one entry per event with all its chats, a guest one with the own chat only', async (t) => {
      const [olga, gleb, anna, other] = await users('olga', 'gleb', 'anna', 'other');
      const events = [await host.event(olga), await host.event(olga), await host.event(olga)];
      const foreign = await host.event(other);
      const chats = [
        await host.eventChat(events[0], gleb), await host.eventChat(events[1], anna),
        await host.eventChat(events[0], anna), await host.eventChat(foreign, olga),
      ];
      await host.eventChat(foreign, gleb);
      for (const [index, chat] of chats.entries()) await sendMessage(chat, [gleb, anna, anna, olga][index], 'hello');
      const [first, second, third] = events.map(({ id }) => id);
      assert.deepEqual(await groups(t, olga), [
        [foreign.id, [other.pk]], [first, [anna.pk, gleb.pk]], [second, [anna.pk]], [third, []],
      ]);
      assert.deepEqual(await groups(t, anna), [[first, [olga.pk]], [second, [olga.pk]]]);
      assert.deepEqual(await groups(t, gleb), [[first, [olga.pk]], [foreign.id, [other.pk]]]);
      const { initial } = await enter(t, olga);
      const owners = initial.map(({ event, eventOwnerId }) => [event.id, eventOwnerId]);
      assert.deepEqual(owners, [[foreign.id, other.pk], [first, olga.pk], [second, olga.pk], [third, olga.pk]]);
    });

    test('the latest message brings the event, and the chat in it, to the top on both sides', async (t) => {
      const [olga, gleb, anna] = await users('olga', 'gleb', 'anna');
      const [one, two] = [await host.event(olga), await host.event(olga)];
      const chats = {
        oneGleb: await host.eventChat(one, gleb), oneAnna: await host.eventChat(one, anna),
        twoGleb: await host.eventChat(two, gleb), twoAnna: await host.eventChat(two, anna),
      };
      for (const [name, chat] of Object.entries(chats)) await sendMessage(chat, name.endsWith('Gleb') ? gleb : anna, 'hello');
      assert.deepEqual(await groups(t, olga), [[two.id, [anna.pk, gleb.pk]], [one.id, [anna.pk, gleb.pk]]]);
      await sendMessage(chats.oneGleb, gleb, 'again');
      assert.deepEqual(await groups(t, olga), [[one.id, [gleb.pk, anna.pk]], [two.id, [anna.pk, gleb.pk]]]);
      assert.deepEqual(await groups(t, gleb), [[one.id, [olga.pk]], [two.id, [olga.pk]]]);
      await sendMessage(chats.twoGleb, olga, 'my answer counts, too');
      assert.deepEqual(await groups(t, olga), [[two.id, [gleb.pk, anna.pk]], [one.id, [gleb.pk, anna.pk]]]);
      assert.deepEqual(await groups(t, gleb), [[two.id, [olga.pk]], [one.id, [olga.pk]]]);
      assert.deepEqual(await groups(t, anna), [[two.id, [olga.pk]], [one.id, [olga.pk]]]);
    });

    test('a user may be the owner of one event and the guest of the next', async (t) => {
      const [anna, boris] = await users('anna', 'boris');
      const [hers, his] = [await host.event(anna), await host.event(boris)];
      const [asked, asking] = [await host.eventChat(hers, boris), await host.eventChat(his, anna)];
      await sendMessage(asked, boris, 'to anna');
      await sendMessage(asking, anna, 'to boris');
      const view = await enter(t, anna);
      assert.deepEqual(grouped(view.initial), [[his.id, [boris.pk]], [hers.id, [boris.pk]]]);
      assert.deepEqual(frontEnd(view).counts(asked.chatId), [1, 0]);
      assert.deepEqual(frontEnd(view).counts(asking.chatId), [0, 1]);
    });
  });
}

test('new chats of several events keep coming to their owner, each under its event', async (t) => {
  const [olga, ...guests] = await users('olga', 'a', 'b', 'c');
  const events = [await host.event(olga), await host.event(olga)];
  const views = [await enterSocketIo(t, server, olga), await enterWebSocket(t, server, olga)];
  const expected = [];
  for (const user of guests) {
    const guest = await enterWebSocket(t, server, user);
    for (const event of events) {
      guest.send('open_chat', { eventId: event.id });
      const { chatId } = await guest.next('chat_updates');
      guest.send('send_message', { chatId, message: { text: `to ${event.id}` } });
      await guest.take(2);
      expected.push([chatId, event.id, user.pk]);
    }
  }
  for (const view of views) {
    await view.until(() => frontEnd(view).shown.size === expected.length, `${expected.length} chats`);
    const shown = [...frontEnd(view).shown.values()].map(({ chatId, event, user }) => [chatId, event, user.id]);
    assert.deepEqual(shown.sort(), expected.sort());
  }
});

test('an event that changes shows so at the next connection, and in the next update', async (t) => {
  const [olga, gleb] = await users('olga', 'gleb');
  const event = await host.event(olga, { name: 'Picnic', location: 'here' });
  const chat = await host.eventChat(event, gleb);
  const view = await enterSocketIo(t, server, gleb);
  assert.equal(view.initial[0].event.name, 'Picnic');
  await host.ok(200, 'PATCH', `/events/${event.id}`, { name: 'Ball', iconsUUIDs: ['i-9'] });
  await host.sendMessage(chat, olga, 'we dance');
  const { event: { name, iconsUUIDs, location } } = await view.next('chat_updates');
  assert.deepEqual([name, iconsUUIDs, location], ['Ball', ['i-9'], 'here']);
  assert.equal((await enterWebSocket(t, server, olga)).initial[0].event.name, 'Ball');
});

test('an event that is deleted takes its chats along: they are not found, and nobody begins with them', async (t) => {
  const [olga, gleb] = await users('olga', 'gleb');
  const event = await host.event(olga);
  const { chatId } = await host.eventChat(event, gleb);
  const views = [await enterSocketIo(t, server, olga), await enterWebSocket(t, server, gleb)];
  await host.ok(204, 'DELETE', `/events/${event.id}`);
  const requests = {
    send_message: { message: { text: 'x' } }, load_history: { lastMessageId: 1 }, read_messages: { lastReadedMessageId: 1 },
  };
  for (const view of views) {
    for (const [name, body] of Object.entries(requests)) {
      view.send(name, { chatId, ...body });
      assert.equal((await view.next('debug_info')).code, 'not_found');
    }
    view.send('open_chat', { eventId: event.id });
    assert.equal((await view.next('debug_info')).code, 'not_found');
    assert.deepEqual((await enterWebSocket(t, server, view.user)).initial, []);
  }
});

describe('of a long chat', () => {
  /** How many messages there are, up to which one the owner has read, and how many the owner's initial data then has. */
  const CASES = [
    [0, 0, 0], [1, 0, 1], [1, 1, 1], [LEAST - 1, 0, LEAST - 1], [LEAST, LEAST, LEAST], [LEAST + 1, LEAST + 1, LEAST],
    [60, 60, LEAST], [60, 45, LEAST], [60, 39, 21], [60, 10, 50], [60, 0, 60],
    [MOST, 0, MOST], [MOST + 1, 1, MOST], [MOST + 1, 0, MOST], [320, 50, MOST], [320, 119, MOST], [320, 121, 199],
  ];
  let olga;
  let event;
  before(async () => {
    olga = await host.user('olga');
    event = await host.event(olga);
  });

  /** A chat with this many messages of its guest, of which the owner has read some. */
  async function longChat(length, read) {
    const guest = await host.user('guest');
    const { chatId } = await host.eventChat(event, guest);
    const writer = await enterWebSocket(scope, server, guest);
    for (let index = 1; index <= length; index++) {
      writer.send('send_message', { chatId, message: { text: `message ${index}` } });
    }
    await writer.until(() => frontEnd(writer).head(chatId) === length, `${length} messages`);
    if (read > 0) {
      const reader = await enterWebSocket(scope, server, olga);
      reader.send('read_messages', { chatId, lastReadedMessageId: read });
      await reader.next('chat_unread');
      await reader.close();
    }
    return { chatId, writer };
  }

  for (const [length, read, shown] of CASES) {
    test(`${length} messages, ${read} read: the latest ${shown} come, and history leads to the first`, async (t) => {
      const { chatId } = await longChat(length, read);
      for (const enter of [enterSocketIo, enterWebSocket]) {
        const view = await enter(t, server, olga);
        const chat = frontEnd(view).shown.get(chatId);
        const numbers = () => chat.messages.map(({ messageId }) => messageId);
        assert.deepEqual(numbers(), upTo(length).slice(length - shown));
        assert.deepEqual(frontEnd(view).counts(chatId), [length - read, 0]);
        let pages = 0;
        for (; numbers().length > 0; pages++) {
          const first = numbers()[0];
          view.send('load_history', { chatId, lastMessageId: first });
          const { messages } = await view.next('history');
          assert.equal(messages.length, Math.min(PAGE, first - 1));
          assert.equal(messages.at(-1)?.messageId ?? 0, first - 1);
          if (messages.length === 0) break;
          assert.equal(frontEnd(view).shown.get(chatId).messages[0].messageId, messages[0].messageId);
        }
        assert.deepEqual(numbers(), upTo(length));
        assert.deepEqual(chat.messages.map(({ text }) => text), upTo(length).map((index) => `message ${index}`));
        assert.equal(pages, Math.ceil((length - shown) / PAGE));
      }
    });
  }

  test('a page of history may begin past the end, and anywhere', async () => {
    const { chatId, writer } = await longChat(60, 0);
    const before = async (lastMessageId) => {
      await flush(writer);
      writer.send('load_history', { chatId, lastMessageId });
      return (await writer.next('history')).messages.map(({ messageId }) => messageId);
    };
    assert.deepEqual(await before(61), upTo(60).slice(10));
    assert.deepEqual(await before(1_000_000), upTo(60).slice(10));
    assert.deepEqual(await before(Number.MAX_SAFE_INTEGER), upTo(60).slice(10));
    assert.deepEqual(await before(60), upTo(59).slice(9));
    assert.deepEqual(await before(51), upTo(50));
    assert.deepEqual(await before(2), [1]);
    for (const nothing of [1, 0]) assert.deepEqual(await before(nothing), []);
  });
});
