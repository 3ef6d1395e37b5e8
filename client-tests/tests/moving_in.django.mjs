// @ts-check
// Owns the move of a front end of Django Channels: its client of one room, its host application, and each difference that
// the chapter names.
import assert from 'node:assert/strict';
import { isReply } from '../clients/action.mjs';
import { ActionClient } from '../clients/seeds/action.mjs';
import { PATH, dial, refusedWith } from '../clients/websocket.mjs';
import { eventually } from '../harness/wait.mjs';
import { DJANGO } from './moving_in.databases.mjs';
import { ANNA, BORIS, MINTS, NAMES, execute, startHost } from './moving_in.host.mjs';
import { LIVE, REST, commonStops, page, placedAt, serverOf, show } from './moving_in.page.mjs';
import { changesOf, evaluate } from './moving_in.walk.mjs';

export const chapter = 'Front end: Django Channels';

const OLD = ['Hi world!!!', 'Привет!', 'same second'];
const VERA = 17;
const textsOf = ({ messages }) => messages.map(({ text }) => text);
const idsOf = (users) => users.map(({ id }) => id).sort();

const make = (call, user, { id, name }) => call('POST', '/chats', {
  externalChatId: `room-${id}`, pk: id, name, policy: 'open', users: [`external:${user}`],
});

/** The client of the original, with the address of the document. */
async function open(t, place, host, id, room) {
  const [{ after }] = changesOf(chapter);
  const url = await evaluate(placedAt(place, after), { fetch: host.fetchAs(id) }, 'url');
  const token = `${new URL(url).searchParams.get('token')}`;
  const client = page(t, new ActionClient(`127.0.0.1:${place.port}`, token, { id }));
  assert.equal(url, `ws://127.0.0.1:${place.port}/ws/chat/room/?token=${token}`, 'the client has the line of the document');
  client.open(room);
  await eventually(() => client.others.some(({ action }) => action === 'subscribe_instance'), 'the page is in the room');
  return client;
}

/** Anna's page shows the old conversation as it was. */
function assertImported(anna) {
  assert.deepEqual(textsOf(anna), OLD);
  assert.deepEqual(anna.messages.map(({ create_date }) => create_date), [
    '2021-12-08T16:34:41.243000Z', '2021-12-08T16:34:42.000000Z', '2021-12-08T16:34:42.000000Z',
  ]);
  assert.deepEqual([anna.isOwner, anna.room.name, idsOf(anna.members)], [true, 'Python', [ANNA, BORIS]]);
}

/** Both talk with the new address. */
async function talk(t, place, host) {
  const [anna, boris] = [await open(t, place, host, ANNA, 7), await open(t, place, host, BORIS, 7)];
  anna.write(LIVE[0]);
  await show(() => textsOf(boris), [...OLD, REST, LIVE[0]]);
  boris.write(LIVE[1]);
  for (const client of [anna, boris]) {
    await show(() => textsOf(client), [...OLD, REST, ...LIVE]);
    assert.deepEqual(idsOf(client.members), [ANNA, BORIS]);
    assert.deepEqual(client.messages.map(({ user }) => user.username), client.messages.map(({ user }) => NAMES[user.id]));
    assert.deepEqual(client.others.filter(({ errors }) => errors?.length), []);
    const own = client.messages.filter((message) => client.isMine(message)).map(({ text }) => text);
    assert.deepEqual(own, client === anna ? [OLD[0], OLD[2], LIVE[0]] : [OLD[1], REST, LIVE[1]]);
    const ids = client.messages.map(({ id }) => id);
    assert.deepEqual(ids, ids.toSorted((a, b) => a - b));
  }
  const { messages } = await host.call('GET', '/chats/external:room-7/messages');
  assert.deepEqual(messages.map(({ original_id }) => original_id), ['8811', '8812', '8813', '8820', undefined, undefined]);
}

/** What the chapter says about differences. */
async function assertDifferences(t, place, host) {
  const server = serverOf(place);
  assert.equal(await refusedWith(t, server, PATH.action), 401);
  const token = await (await host.fetchAs(VERA)('/chat-token')).text();
  const vera = await dial(t, server, PATH.action, { token });
  vera.sendText('{');
  isReply(await vera.take(), null, 400);
  vera.send({ action: 'join_room', pk: 999, request_id: 1 });
  isReply(await vera.take(), 'join_room', 404);

  const boris = await open(t, place, host, BORIS, 7);
  vera.send({ action: 'join_room', pk: 7, request_id: 2 });
  await eventually(() => boris.members.some(({ id }) => id === VERA), 'the others learn that Vera has joined');
  const earlier = boris.others.length;
  vera.send({ action: 'leave_room', pk: 7, request_id: 3 }, { action: 'create_message', message: 'too late', request_id: 4 });
  const refused = isReply(await vera.take(), 'create_message', 403);
  assert.deepEqual([refused.code, refused.retryable], ['forbidden', false]);
  assert.deepEqual(boris.others.slice(earlier), [], 'nothing but lists of members');
}

/** A message of the old chat that comes after newer ones, and a line that is wrong, are refused, each with its reason. */
async function assertRefused(place) {
  const late = { chat: 'external:room-7', original_id: 8899, sender: 'external:14', text: 'too late', created_at: '2022-01-01' };
  const { sender: _, ...wrong } = late;
  const imported = (record, options) => {
    const lines = [{ type: 'polychat', version: 1 }, { type: 'message', ...record }].map((line) => JSON.stringify(line));
    place.save('late.jsonl', lines.join('\n'));
    return place.untilEnd(`polychat import late.jsonl ${options}`);
  };
  const refused = await imported(late, '--to http://127.0.0.1:3000 --token-file service-token');
  assert.equal(refused.code, 1, refused.output);
  assert.match(refused.output, /line 2: created_at: is earlier than message 6/);
  const rehearsed = await imported(wrong, '--dry-run');
  assert.equal(rehearsed.code, 1, rehearsed.output);
  assert.match(rehearsed.output, /line 2: sender: is missing/);
}

/** The stops of the walk. */
export async function stops(t, place) {
  execute(place, DJANGO.before);
  const host = await startHost(t, place, { mint: MINTS.python, make });
  const [{ before }] = changesOf(chapter);
  return {
    ...commonStops(t, place, host, { database: DJANGO, ids: [8811, 8812, 8813, 8820], live: LIVE }),
    'The line to change.': async () => {
      const uses = { window: { location: { host: 'old.example' } }, localStorage: { getItem: (key) => `the ${key}` } };
      assert.equal(await evaluate(before, uses, 'url'), 'ws://old.example/ws/chat/room/?token=the Token');
    },
    'Rooms.': async () => {
      const room = await host.create(ANNA, { id: 12, name: 'Go' });
      const anna = await open(t, place, host, ANNA, room.pk);
      assert.deepEqual([anna.room.pk, anna.room.name, idsOf(anna.members)], [12, 'Go', [ANNA]]);
      assert.equal(anna.isOwner, false, 'the owner of a room that POST /chats makes is the backend');
      anna.leave();
      const own = await open(t, place, host, ANNA, 10);
      assert.equal(own.isOwner, true, 'the owner of a room that POST /import makes is the one that it names');
      own.leave();
    },
    '2. Import': async () => {
      const anna = await open(t, place, host, ANNA, 7);
      assertImported(anna);
      anna.leave();
    },
    '5. Switch the URL': () => talk(t, place, host),
    '6. Look.': async () => {
      await assertDifferences(t, place, host);
      await assertRefused(place);
    },
  };
}
