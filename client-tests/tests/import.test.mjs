// @ts-check
// Owns the promise of `polychat import --to`: what is in the file is read afterwards by clients of every dialect, connected
// members receive it once and in order, and an import that is disturbed, repeated or done twice loses and doubles nothing.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as action from '../clients/action.mjs';
import { fullHistory, history, received, seqsOf, startTraffic, upTo, withInbox } from '../clients/fixtures.mjs';
import { connectSocketIo, connectWebSocket, entered, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, refusal } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { fromAction, fromEventName, fromMarketplace, fromType, pair } from '../data/normalize.mjs';
import { freePort, startServer, storeFile, tempDir } from '../harness/server.mjs';
import { token } from '../harness/tokens.mjs';
import { eventually } from '../harness/wait.mjs';
import { JWT, assertRefused, faults, imported, into, linesOf, runImport, saved, startImport } from './import.commands.mjs';
import { AT, PICNIC, SENDER, SOUP, WORLD, external, inCommon, longTalk, message } from './import.world.mjs';

/** A server whose tokens are signed, its backend, and the options of an import into it. */
async function startHome(t, args = []) {
  const server = await startServer(t, [...JWT, ...args]);
  const host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
  return { server, host, to: await into(t, server) };
}

/** A user with a connection of each dialect. */
async function everywhere(t, server, name) {
  const signed = await token({ sub: name });
  const socket = await connect(t, server.url, { auth: { token: signed } });
  const { user } = await ask(socket, 'create-user', { user: { externalUserId: name } });
  return {
    ...withInbox(socket, user), name,
    byType: await type.connectType(t, server, name, { token: signed, push: true }),
    byAction: await action.connectAction(t, server, name, { token: signed, acks: true }),
  };
}

/** All messages of a chat, by REST, oldest first. */
const stored = async (host, chat) => (await host.all(`/chats/${chat}/messages?after_seq=0`, 'messages', 1000)).flat();

/** The messages of a chat are those of the file, in the order of time. */
async function assertStored(host, chat, expected) {
  const messages = await stored(host, chat);
  assert.deepEqual(seqsOf(messages), upTo(expected.length));
  assert.deepEqual(messages.map(({ original_id }) => original_id), expected.map(({ original_id }) => original_id));
}

/** Waits until more than a thousand messages of a chat were imported. */
const partlyImported = (host, name) => eventually(async () => {
  const { body } = await host.call('GET', `/chats/external:${name}/messages?after_seq=1000&limit=1`);
  return body.messages?.length > 0;
}, 'a part was imported', 60_000);

test('a file of everything is read by clients of all dialects as it was written', async (t) => {
  const { server, host, to } = await startHome(t);
  const printed = await imported(await saved(t, linesOf(WORLD)), to);
  assert.match(printed, /^users +6 new, 0 there before$/m);
  assert.match(printed, /^chats +3 new, 0 there before$/m);
  assert.match(printed, /^messages +14 new, 0 there before$/m);
  assert.match(printed, /^read positions +2 new, 0 there before$/m);

  const anna = await everywhere(t, server, 'anna');
  assert.deepEqual([anna.user.pk, anna.user.name], [101, 'Анна']);
  const { chats } = await ask(anna.socket, 'list-chats', {});
  assert.deepEqual(chats.map(({ pk, name }) => [pk, name]).sort(), [[70, 'Soup'], [71, 'Lobby']]);
  const soup = chats.find(({ pk }) => pk === 70);
  const expected = SOUP.map(inCommon);
  const authors = SOUP.map(({ sender }) => sender.replace('external:', ''));

  const byEventName = await history(anna, soup);
  assert.deepEqual(byEventName.map(fromEventName), expected);
  assert.deepEqual(byEventName.map(({ original_id }) => original_id), SOUP.map(({ original_id }) => original_id));
  const byRest = await stored(host, 'external:soup');
  const named = ({ original_id, user_id, seq, msg }) => [original_id, user_id, seq, msg];
  assert.deepEqual(byRest.map(named), byEventName.map(named));
  const byType = await type.messages(anna.byType, 70);
  assert.deepEqual(byType.map(fromType), expected);
  assert.deepEqual(byType.map(({ sender }) => [sender.id, sender.username]), authors.map((name) => [SENDER.get(name), name]));
  const byAction = (await action.room(anna.byAction, 70)).messages;
  assert.deepEqual(byAction.map(fromAction), expected);
  assert.deepEqual(byAction.map(({ user }) => user.id), authors.map((name) => SENDER.get(name)));

  const { members } = await host.get('/chats/external:soup/members');
  const pkOf = new Map((await host.all('/users', 'users', 100)).flat().map(({ id, pk }) => [id, pk]));
  assert.deepEqual(members.map(({ id, role }) => [pkOf.get(id), role]), [[101, 'owner'], [102, 'moderator'], [103, 'reader']]);
  const carl = await everywhere(t, server, 'carl');
  assert.equal((await refusal(carl.socket, 'new-message', { room: soup.id, msg: 'x' })).code, 'forbidden', 'a reader');
  const vera = await everywhere(t, server, 'vera');
  assert.equal((await refusal(vera.socket, 'list-messages', { chat: { id: soup.id } })).code, 'not_found', 'no member any more');
  const eve = await everywhere(t, server, 'eve');
  await action.refusal(eve.byAction, 'join_room', { pk: 71 }, 403);
});

test('read positions of the file and of those who wrote count as unread messages', async (t) => {
  const { server, to } = await startHome(t);
  await imported(await saved(t, linesOf(WORLD)), to);
  const counts = { olga: [1, 0], gleb: [0, 1] };
  for (const [name, expected] of Object.entries(counts)) {
    for (const connecting of [connectSocketIo, connectWebSocket]) {
      const connection = await entered(connecting(t, server, { token: await token({ sub: name }) }));
      const [{ event, chats: [chat] }] = connection.initial;
      assert.deepEqual([event.id, event.name], [10, 'Picnic']);
      assert.deepEqual(chat.messages.map(fromMarketplace), PICNIC.map(inCommon));
      assert.deepEqual(frontEnd(connection).counts(chat.chatId), expected, connection.name);
    }
  }
  const boris = await everywhere(t, server, 'boris');
  // The first one is his own, which anna has read; he has read the second, too.
  assert.deepEqual(await type.readFlags(boris.byType, 71), [true, true, false]);
});

test('connected members receive what is imported once and in order, while another chat goes on', async (t) => {
  const { server, host, to } = await startHome(t);
  const [anna, boris, carl] = await Promise.all(['anna', 'boris', 'carl'].map((name) => everywhere(t, server, name)));
  const { chat } = await ask(carl.socket, 'create-chat', { chat: { name: 'live' }, users: [anna.id, carl.id] });
  const chatAt = new Date().toISOString();
  await imported(await saved(t, linesOf([
    { type: 'chat', externalChatId: 'old', pk: 900, members: [external('anna'), external('boris')], created_at: chatAt },
  ])), to);
  for (const who of [anna, boris]) await action.ask(who.byAction, 'subscribe_to_messages_in_room', { pk: 900 });
  const { records, messages } = longTalk('old', 700);
  const traffic = startTraffic(carl, chat);
  await eventually(() => traffic.latest > 0, 'the other chat goes on');
  const before = traffic.latest;
  await imported(await saved(t, linesOf(records)), to);
  const during = traffic.latest;
  const last = await traffic.stop();
  assert.ok(during > before, 'nobody wrote meanwhile');

  const { id } = await host.get('/chats/external:old');
  const expected = messages.map(inCommon);
  const end = expected.at(-1)?.text;
  for (const who of [anna, boris]) {
    await eventually(() => received(who, { id }).length >= 700, `${who.name} has all by Socket.IO`);
    await who.byType.wire.until(({ data }) => data?.text === end, 'the last by type');
    await who.byAction.wire.until((frame) => frame.data?.text === end, 'the last by action');
    assert.deepEqual(received(who, { id }).map(fromEventName), expected);
    const pushed = type.pushed(who.byType, 'messageCreated').filter((each) => each.chat === 900);
    assert.deepEqual(pushed.map(fromType), expected);
    assert.deepEqual(action.received(who.byAction).filter(({ room }) => room === 900).map(fromAction), expected);
  }
  await eventually(() => received(anna, chat).length >= last, 'anna has the other chat');
  assert.deepEqual(seqsOf(received(anna, chat)), upTo(last));
  await assertStored(host, 'external:old', messages);
});

test('the sides of an event receive the messages that are imported, and their counts', async (t) => {
  const { server, to } = await startHome(t);
  const isMessage = ({ type: kind }) => kind === 'message' || kind === 'read';
  await imported(await saved(t, linesOf(WORLD.filter((record) => !isMessage(record)))), to);
  const sides = [];
  for (const [name, connecting] of Object.entries({ olga: connectSocketIo, gleb: connectWebSocket })) {
    sides.push(await entered(connecting(t, server, { token: await token({ sub: name }) })));
  }
  await imported(await saved(t, linesOf(WORLD)), to);
  for (const [index, side] of sides.entries()) {
    const [chatId] = frontEnd(side).shown.keys();
    await side.until(() => frontEnd(side).head(chatId) === PICNIC.length, 'all messages');
    assert.deepEqual(frontEnd(side).shown.get(chatId).messages.map(fromMarketplace), PICNIC.map(inCommon));
    if (index === 1) assert.equal(frontEnd(side).counts(chatId)?.[0], 0, 'the guest wrote last');
  }
});

describe('an import is refused', () => {
  test('with a token that is no service token, or none', async (t) => {
    const { server } = await startHome(t);
    const file = await saved(t, linesOf(WORLD));
    const run = (...args) => runImport(file, ['--to', server.url, ...args]);
    assertRefused(await run('--token', await token({ sub: 'anna' })), /answers 403/);
    assertRefused(await run(), /answers 401/);
    assertRefused(await run('--token', 'nonsense'), /answers 401/);
    assertRefused(await run('--token', await token({ sub: 'backend', role: 'service', exp: 1 })), /answers 401/);
    assertRefused(await run('--token-file', '/nowhere'), /--token-file \/nowhere/);
  });

  test('by an address that is none, or not that of a polychat', async (t) => {
    const { server } = await startHome(t);
    const file = await saved(t, linesOf(WORLD));
    for (const address of ['chat.example', 'ftp://chat.example', 'http://', '']) {
      assertRefused(await runImport(file, ['--to', address]), /--to: ".*" is no address of a server/);
    }
    assertRefused(await runImport(file, ['--to', `${server.url}/nothing`]), /\/nothing\/api\/v1\/import answers 404/);
  });

  test('if there is no file, or nothing in it', async (t) => {
    const { to } = await startHome(t);
    assertRefused(await runImport('/nowhere/old.jsonl', to), /\/nowhere\/old\.jsonl: No such file/);
    assertRefused(await runImport(await saved(t, ''), to), /it is empty; the first line has to be/);
    assertRefused(await runImport(await saved(t, '\n \r\n'), to), /it is empty/);
    assertRefused(await runImport(await tempDir(t), to), /Is a directory/);
  });
});

describe('an import is completed', () => {
  test('with the numbers of the file, none of which the service token takes', async (t) => {
    const { host, to } = await startHome(t);
    await imported(await saved(t, linesOf([{ type: 'user', externalUserId: 'first', pk: 1 }])), to);
    assert.equal((await host.get('/users/external:first')).pk, 1);
  });

  test('not where no server is, which it says at once', async (t) => {
    const file = await saved(t, linesOf(longTalk('late', 100).records));
    const result = await runImport(file, await into(t, { url: `http://127.0.0.1:${await freePort()}` }));
    assertRefused(result, /does not answer: .*[Cc]onnection refused/);
  });

  test('although the server is killed in the middle, and nothing is lost or doubled', async (t) => {
    const args = ['--listen', `127.0.0.1:${await freePort()}`, '--store', (await storeFile(t)).store];
    const { records, messages } = longTalk('long', 20_000);
    const { server, host, to } = await startHome(t, args);
    const file = await saved(t, linesOf(records));
    const running = startImport(file, to);
    await partlyImported(host, 'long');
    await server.kill();
    const again = await startHome(t, args);
    const early = await stored(again.host, 'external:long');
    const { code, stdout, stderr } = await running.ended;
    assert.equal(code, 0, stdout + stderr);
    assert.ok(early.length >= 1000 && early.length < messages.length, `killed after ${early.length}`);
    await assertStored(again.host, 'external:long', messages);
    const second = await imported(file, to);
    assert.match(second, /^messages +0 new, 20000 there before$/m);
  });

  test('by a second run if the first was killed, although the chat was read meanwhile', async (t) => {
    const { host, to } = await startHome(t);
    const { records, messages } = longTalk('cut', 20_000);
    const file = await saved(t, linesOf(records));
    const running = startImport(file, to);
    await partlyImported(host, 'cut');
    running.kill();
    assert.equal((await running.ended).signal, 'SIGKILL');
    const [, created, found] = /^messages +(\d+) new, (\d+) there before$/m.exec(await imported(file, to)) ?? [];
    assert.equal(Number(created) + Number(found), messages.length);
    assert.ok(Number(found) >= 1000);
    await assertStored(host, 'external:cut', messages);
  });

  test('by two at the same time, each message once', async (t) => {
    const { host, to } = await startHome(t);
    const talks = ['one', 'two', 'three'].map((name) => longTalk(name, 2000));
    const file = await saved(t, linesOf([...talks.flatMap(({ records }) => records), ...WORLD]));
    const runs = await Promise.all([imported(file, to), imported(file, to)]);
    const created = runs.map((printed) => Number(/^messages +(\d+) new/m.exec(printed)?.[1]));
    assert.equal(created[0] + created[1], 6014);
    for (const [index, name] of ['one', 'two', 'three'].entries()) await assertStored(host, external(name), talks[index].messages);
    await assertStored(host, 'external:soup', SOUP);
  const users = (await host.all('/users', 'users', 100)).flat().map(({ externalUserId }) => externalUserId);
    assert.deepEqual(users.sort(), ['anna', 'backend', 'boris', 'carl', 'eve', 'gleb', 'olga', 'vera']);
    assert.equal((await host.all('/chats', 'chats', 100)).flat().length, 6);
  });

  test('by a later file, which adds what is new', async (t) => {
    const { host, to } = await startHome(t);
    await imported(await saved(t, linesOf(WORLD)), to);
    const later = { type: 'message', chat: 70, original_id: 9, sender: 102, text: 'later', created_at: AT + 60_000, mood: { level: 3 } };
    const printed = await imported(await saved(t, linesOf([later, ...SOUP])), to);
    assert.match(printed, /^messages +1 new, 6 there before$/m);
    const last = (await stored(host, 'external:soup')).at(-1);
    assert.deepEqual([last.seq, last.original_id, last.msg, last.metadata], [7, '9', 'later', { mood: { level: 3 } }]);
  });
});

test('records that are refused are named with their lines, and the others are imported', async (t) => {
  const { host, to } = await startHome(t);
  await imported(await saved(t, linesOf(WORLD)), to);
  const records = [
    { type: 'user', externalUserId: 'other', pk: 101 }, { type: 'user', externalUserId: 'anna', pk: 999 }, { type: 'user', externalUserId: 'new' },
    { type: 'chat', externalChatId: 'another', pk: 70 }, { type: 'chat', externalChatId: 'soup', pk: 79 },
    { type: 'chat', externalChatId: 'strangers', members: [5555] }, { type: 'chat', externalChatId: 'twice', members: [101, external('anna')] },
    { type: 'chat', externalChatId: 'e', event: { id: 99, guest: 101 } }, { type: 'chat', externalChatId: 'e2', event: { id: 10, guest: external('olga') } },
    { type: 'chat', externalChatId: 'e3', event: { id: 10, guest: 101 }, members: [101, 102] },
    message('soup', -1, 'anna'), message('soup', 99, 'anna', { sender: 5555 }), message('nowhere', 1, 'anna'), message('soup', 100, 'anna'),
    { type: 'read', chat: 70, user: external('vera'), seq: 1 }, { type: 'read', chat: 70, user: 101, original_id: 'soup-55' },
    { type: 'event', id: 11, eventOwnerId: 5555, name: 'x' }, message('soup', 101, 'anna', { text: ' ' }),
  ];
  const file = await saved(t, linesOf(records));
  const expected = [
    [2, /^pk: another user has it/], [3, /^pk: this user has the number 101/], [5, /^pk: another chat has it/],
    [6, /^pk: this chat has the number 70/], [7, /^no such user 5555/], [8, /^members: names user .* twice/],
    [9, /^no such event 99/], [10, /^guest: is the owner of the event/], [11, /^members: must be the owner of the event and the guest/],
    [12, /^created_at: is earlier than message 6 /], [13, /^no such user 5555/], [14, /^no such chat external:nowhere/],
    [16, /^user: external:vera is no member of the chat/], [17, /^no such message with this original_id/], [18, /^no such user 5555/],
    [19, /^text: is empty/],
  ];
  const map = join(await tempDir(t), 'map.jsonl');
  const result = await runImport(file, [...to, '--map', map]);
  assert.equal(result.code, 1);
  const found = faults(result).sort((a, b) => a.line - b.line);
  assert.deepEqual(found.map(({ line }) => line), expected.map(([line]) => line), result.stdout);
  for (const [index, { why }] of found.entries()) assert.match(why, /** @type {RegExp} */ (expected[index][1]));
  const [user, last] = readFileSync(map, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(user.externalUserId, 'new');
  assert.deepEqual([last.original_id, last.seq], ['soup-100', 7]);
  await assertStored(host, 'external:soup', [...SOUP, message('soup', 100, 'anna')]);
});

test('the map has the old and the new names of every record', async (t) => {
  const { host, to } = await startHome(t);
  const map = join(await tempDir(t), 'map.jsonl');
  const file = await saved(t, linesOf(WORLD));
  const maps = [];
  for (const _ of upTo(2)) {
    await imported(file, [...to, '--map', map]);
    maps.push(readFileSync(map, 'utf8'));
  }
  assert.equal(maps[0], maps[1], 'a repetition has the same names');
  const lines = maps[0].trim().split('\n').map((line) => JSON.parse(line));
  const of = (kind) => lines.filter((line) => line.type === kind);
  assert.equal(lines.length, 6 + 1 + 3 + 14);
  for (const { externalUserId, id, pk } of of('user')) {
    const user = await host.get(`/users/external:${externalUserId}`);
    assert.deepEqual([user.id, user.pk], [id, pk]);
  }
  assert.deepEqual(of('event'), [{ type: 'event', id: 10 }]);
  for (const { externalChatId, id, pk } of of('chat')) {
    const chat = await host.get(`/chats/external:${externalChatId}`);
    assert.deepEqual([chat.id, chat.pk], [id, pk]);
    const messages = of('message').filter((each) => each.chat === id);
    const expected = (await stored(host, id)).map((each) => ({
      type: 'message', chat: id, original_id: each.original_id, id: each.id, seq: each.seq, pk: pair(pk, each.seq),
    }));
    assert.deepEqual(messages, expected);
  }
});

test('standard input is a file, too', async (t) => {
  const { host, to } = await startHome(t);
  await imported('-', to, { input: linesOf(WORLD) });
  await assertStored(host, 'external:soup', SOUP);
  const { code, stdout } = await runImport('-', ['--dry-run'], { input: `${linesOf(WORLD)}nothing` });
  assert.equal(code, 1);
  assert.match(stdout, /^line 28: the line: must be a JSON object$/m);
});

test('names may be numbers, and a time may be a text or milliseconds', async (t) => {
  const { host, to } = await startHome(t);
  const times = ['2024-03-01T12:00:00.123Z', '2024-03-01T15:00:00.123+03:00', AT, '2024-03-01T12:00:00.123456789Z'];
  const records = [
    { type: 'user', externalUserId: 14 }, { type: 'chat', externalChatId: 7, members: ['external:14'] },
    ...times.map((created_at, index) => ({
      type: 'message', chat: 'external:7', original_id: index + 1, sender: { externalUserId: '14' }, text: 'x', created_at,
    })),
    { type: 'message', chat: 'external:7', original_id: 5, sender: 'external:14', text: 'x', created_at: '2024-03-01 12:00:01' },
  ];
  await imported(await saved(t, linesOf(records)), to);
  const messages = await stored(host, 'external:7');
  const same = new Date(AT).toISOString();
  assert.deepEqual(messages.map(({ original_id, created_at }) => [original_id, created_at]), [
    ...times.map((_, index) => [`${index + 1}`, same]), ['5', '2024-03-01T12:00:01.000Z'],
  ]);
  assert.equal((await fullHistory(await everywhere(t, { url: to[1] }, '14'), { id: messages[0].room })).length, 5);
});
