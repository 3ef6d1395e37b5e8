// @ts-check
// Owns the promise of the converters in examples/import: the chats of a Django database, of a MongoDB collection and of a
// CSV file are the same in polychat, nothing is left out in silence, and a repetition adds only what is new.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Binary, Long, MongoClient, ObjectId, Timestamp, UUID } from 'mongodb';
import { connectAction, room } from '../clients/action.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { tempDir } from '../harness/server.mjs';
import { useScope } from '../harness/scope.mjs';
import { newHome } from './import_converters.moved.mjs';
import { convertCsv, djangoProject, failureOf, mongodbConverter, recordsOf, reportOf } from './import_converters.programs.mjs';

const LATEST = 1000;
const DEFAULT_AVATAR = '/media/default/default.jpg';
const withoutNumbers = ({ id: _, seq: __, metadata: ___, ...message }) => message;

describe('a Django database', () => {
  const MODELS = ['--rooms', 'chat.Room', '--messages', 'chat.Message'];

  /** The content of a server is that of the project. */
  function assertMoved(content, { users, rooms }) {
    assert.deepEqual(content.users, users.map(({ pk, username, name, github, avatar }) => (
      { pk, externalUserId: `${pk}`, username, name: name || username, github, avatar: avatar ?? DEFAULT_AVATAR }
    )));
    assert.equal(content.chats.length, rooms.length);
    content.chats.forEach(({ messages, ...chat }, index) => {
      const { pk, name, owner, members, messages: old } = rooms[index];
      assert.deepEqual(chat, {
        pk, externalChatId: `room-${pk}`, name, policy: 'open', owner: owner && `${owner}`, members: members.map(String).sort(),
      });
      const expected = old.map(({ user, ...message }) => ({ ...message, sender: `${user}` }));
      assert.deepEqual(messages.map(withoutNumbers), expected.map(({ original_id, sender, text, time }) => (
        { original_id, sender, text, time }
      )));
      assert.deepEqual(messages.map(({ seq }) => seq), old.map((_, at) => at + 1));
    });
  }

  for (const hasZones of [true, false]) {
    test(`is the same in polychat, and grows with it, ${hasZones ? 'with' : 'without'} USE_TZ`, async (t) => {
      const project = await djangoProject(t, { hasZones });
      const home = await newHome(t);
      const converted = await project.convert(MODELS);
      recordsOf(converted);
      assert.match(converted.stderr, /chat\.Message: room is room, sender is user, text is text, time is created_at/);
      assert.match(converted.stderr, /wrote 5 users, 3 chats, 3000 messages; left out 0 records/);
      await home.moveIn(converted);
      const first = await home.content();
      assertMoved(first, await project.dump());

      const repeated = await project.convert(MODELS);
      assert.equal(repeated.stdout, converted.stdout);
      await home.moveIn(repeated);
      assert.deepEqual(await home.content(), first);

      await project.add();
      const later = await project.convert(MODELS);
      await home.moveIn(later);
      assertMoved(await home.content(), await project.dump());
      // For users, rooms, their members, messages: as many with another room.
      for (const { stderr } of [converted, later]) assert.match(stderr, /^queries: 4$/m);
    });
  }

  test('is read by a client of the action dialect with the numbers of Django', async (t) => {
    const project = await djangoProject(t);
    const home = await newHome(t);
    await home.moveIn(await project.convert(MODELS));
    const server = await home.start();
    const boris = await connectAction(t, server, 'boris', { token: '14' });
    for (const old of (await project.dump()).rooms) {
      const moved = await room(boris, old.pk);
      assert.deepEqual([moved.name, moved.user], [old.name, old.owner]);
      assert.deepEqual(moved.member.map(({ id }) => id).sort((a, b) => a - b), old.members);
      assert.deepEqual(
        moved.messages.map(({ user, text, create_date }) => ({ user: user.id, text, time: Date.parse(create_date) })),
        old.messages.slice(-LATEST).map(({ user, text, time }) => ({ user, text, time })),
      );
    }
  });

  test('with other fields: they are named, and a message without a sender is left out or gets one', async (t) => {
    const project = await djangoProject(t);
    const models = ['--rooms', 'chat.Ticket', '--messages', 'chat.Note'];
    assert.match((await project.convert(models)).stderr, /name the field of chat\.Note with --message-text/);
    const named = [...models, '--room-name', 'subject', '--message-text', 'words', '--metadata', 'mood'];
    const converted = await project.convert(named);
    const { chats, messages } = recordsOf(converted, 1);
    assert.deepEqual(chats, [{
      externalChatId: 'room-1', pk: 1, name: 'Printer', policy: 'open', members: [{ externalUserId: '3' }],
      created_at: '2021-12-02T10:29:38.171083Z',
    }]);
    assert.deepEqual(messages, [{
      chat: { externalChatId: 'room-1' }, original_id: '1', sender: { externalUserId: '3' }, text: 'note 0',
      metadata: { mood: 'calm' }, created_at: '2021-12-02T10:29:38.171083Z',
    }]);
    assert.ok(reportOf(converted).includes('message 2 is left out: it has no writer (see --deleted-user)'), converted.stderr);
    assert.match(converted.stderr, /left out 1 records/);

    const options = ['--deleted-user', 'deleted', '--policy', 'closed', '--chat-prefix', 't-', '--room-members', ''];
    const complete = recordsOf(await project.convert([...named, ...options]));
    assert.deepEqual(complete.messages[1].sender, { externalUserId: 'deleted' });
    const [{ externalChatId, policy, members }] = complete.chats;
    assert.deepEqual([externalChatId, policy, members], ['t-1', 'closed', []]);
  });

  test('that cannot be read: one sentence says why', async (t) => {
    const project = await djangoProject(t);
    assert.match(failureOf(await project.convert(MODELS, { DJANGO_SETTINGS_MODULE: 'nowhere' })), /No module named 'nowhere'/);
    assert.match(failureOf(await project.convert(MODELS, { DJANGO_SETTINGS_MODULE: '' })), /DJANGO_SETTINGS_MODULE/);
    const lastLine = async (...args) => {
      const result = await project.convert(args);
      assert.equal(result.code, 2, result.stderr);
      assert.doesNotMatch(result.stderr, /Traceback/);
      return reportOf(result).at(-2) ?? ''; // the last one is of the project
    };
    assert.match(await lastLine('--rooms', 'chat.Hall', '--messages', 'chat.Message'), /there is no model chat\.Hall/);
    assert.match(await lastLine(...MODELS, '--room-owner', 'boss'), /Room has no field named 'boss'/);
    assert.match(await lastLine(...MODELS, '--message-sender', 'text'), /text/);
    assert.match((await project.convert(['--help'])).stdout, /--message-sender FIELD/);
  });
});

describe('a MongoDB collection', () => {
  const scope = useScope();
  const AT = Date.parse('2025-03-01T13:51:53.285Z');
  const objectIdAt = (seconds, rest) => new ObjectId(`${seconds.toString(16).padStart(8, '0')}${String(rest).padStart(16, '0')}`);
  let databases = 0;
  /** @type {Promise<any>} */
  let running;

  /** A new database with these collections, and the converter that reads it. */
  async function collections(content) {
    running ??= (async () => {
      const mongod = await startMongod(scope);
      const client = new MongoClient(mongod.url);
      scope.after(() => client.close());
      return { mongod, client, convert: await mongodbConverter(scope) };
    })();
    const { mongod, client, convert } = await running;
    const name = `old-${++databases}`;
    const database = client.db(name);
    for (const [collection, documents] of Object.entries(content)) await database.collection(collection).insertMany(documents);
    const url = new URL(mongod.url);
    url.pathname = `/${name}`;
    return { database, convert: (...args) => convert(url.href, ...args) };
  }

  test('is the same in polychat, and grows with it', async (t) => {
    const texts = ['Привет!', 'Hi 👩‍👩‍👧', 'one\ntwo', '"quoted" \\ \u2028'];
    const documents = Array.from({ length: 2500 }, (_, index) => ({
      chat: index % 5 ? 'lobby' : 'kitchen', sender: ['anna', 'boris', 'vera'][index % 3], text: `${index} ${texts[index % 4]}`,
      timestamp: new Date(AT + (index * 7919) % 600),
    }));
    const { database, convert } = await collections({ messages: documents });
    const home = await newHome(t);
    const converted = await convert();
    recordsOf(converted);
    await home.moveIn(converted);

    const assertMoved = async ({ chats }) => {
      const stored = await database.collection('messages').find().toArray();
      assert.deepEqual(chats.map(({ externalChatId }) => externalChatId).sort(), ['kitchen', 'lobby']);
      for (const { externalChatId, policy, members, messages } of chats) {
        const old = stored.filter(({ chat }) => chat === externalChatId);
        assert.deepEqual([policy, members], ['closed', [...new Set(old.map(({ sender }) => sender))].sort()]);
        old.sort((a, b) => a.timestamp - b.timestamp || (`${a._id}` < `${b._id}` ? -1 : 1));
        assert.deepEqual(messages.map(withoutNumbers), old.map(({ _id, sender, text, timestamp }) => (
          { original_id: `${_id}`, sender, text, time: timestamp.getTime() }
        )));
      }
    };
    const first = await home.content();
    await assertMoved(first);
    await home.moveIn(await convert());
    assert.deepEqual(await home.content(), first);
    await database.collection('messages').insertOne({ chat: 'kitchen', sender: 'vera', text: 'later', timestamp: new Date(AT + 900) });
    await home.moveIn(await convert());
    await assertMoved(await home.content());
  });

  test('has times and ids of many kinds', async () => {
    const seconds = Math.floor(AT / 1000);
    const uuid = new UUID('01a201b1-0000-7000-8000-000000000001');
    const times = [
      [new Date(AT), AT], [AT, AT], [Long.fromNumber(AT), AT], [seconds, seconds * 1000], [`${AT}`, AT],
      ['2025-03-01T13:51:53.285Z', AT], ['2025-03-01 16:51:53.285+0300', AT], ['2025-03-01T15:51:53.285', AT],
      [new Timestamp({ t: seconds, i: 1 }), seconds * 1000], [null, seconds * 1000], [undefined, seconds * 1000],
    ];
    const { convert } = await collections({
      messages: times.map(([timestamp], index) => ({
        _id: objectIdAt(seconds, index), chat: index ? uuid : `${uuid}`, sender: index % 2 ? 14 : '14', text: `${index}`, ...(timestamp !== undefined && { timestamp }),
      })),
    });
    const converted = await convert('--utc-offset', '+02:00');
    const { chats, messages } = recordsOf(converted);
    assert.deepEqual(messages.map(({ created_at }) => Date.parse(created_at)), times.map(([, ms]) => ms));
    assert.deepEqual(chats, [{ externalChatId: uuid.toString(), policy: 'closed', members: [{ externalUserId: '14' }] }]);
    assert.ok(reportOf(converted).includes('2 messages without a timestamp have the time of their _id'), converted.stderr);
  });

  test('has other fields, and collections of chats and users', async () => {
    const [anna, boris, lunch] = [new ObjectId(), new ObjectId(), new ObjectId()];
    const { convert } = await collections({
      posts: [{ _id: 7, where: { id: lunch }, from: anna, body: 'Soup?', createdAt: new Date(AT), likes: 3 }],
      rooms: [{ _id: lunch, chatName: 'Lunch', people: [anna, boris] }],
      accounts: [{ _id: anna, username: 'anna', fullName: 'Анна' }, { _id: boris, username: 'boris' }],
    });
    const { users, chats, messages } = recordsOf(await convert(
      '--collection', 'posts', '--chat', 'where.id', '--sender', 'from', '--text', 'body', '--time', 'createdAt', '--metadata', 'likes',
      '--chats', 'rooms', '--chat-name', 'chatName', '--members', 'people', '--policy', 'open',
      '--users', 'accounts', '--user-name', 'fullName',
    ));
    const [a, b] = [{ externalUserId: `${anna}` }, { externalUserId: `${boris}` }];
    assert.deepEqual(users, [{ ...a, name: 'Анна', username: 'anna' }, { ...b, username: 'boris' }]);
    assert.deepEqual(chats, [{ externalChatId: `${lunch}`, policy: 'open', members: [a, b], name: 'Lunch' }]);
    assert.deepEqual(messages, [{
      chat: { externalChatId: `${lunch}` }, original_id: '7', sender: a, text: 'Soup?', metadata: { likes: 3 },
      created_at: '2025-03-01T13:51:53.285Z',
    }]);
  });

  test('has messages that are none: each is named with its number and its _id, and the others are written', async () => {
    const good = { chat: 'a', sender: 'anna', text: 'good', timestamp: new Date(AT) };
    /** @type {[any, string][]} */
    const bad = [
      [{ chat: null }, 'its chat is no id'], [{ sender: { name: 'anna' } }, 'its sender is no id'], [{ text: 5 }, 'its text is no text'],
      [{ timestamp: 'yesterday' }, 'its timestamp is no time: "yesterday"'], [{ timestamp: true }, 'its timestamp is no time: true'],
      [{ timestamp: '2025-03-01T13:51:53' }, "its time '2025-03-01T13:51:53' has no zone: give --utc-offset"],
      [{ timestamp: null }, 'it has no timestamp, and its _id has no time'],
      [{ _id: new Binary(new Uint8Array([9])) }, 'its _id is no text, number, ObjectId or UUID'],
    ];
    const { convert } = await collections({
      messages: [...bad.map(([change], index) => ({ _id: index + 1, ...good, ...change })), { _id: 0, ...good }],
    });
    const converted = await convert();
    assert.equal(recordsOf(converted, 1).messages.length, 1);
    const report = reportOf(converted);
    assert.equal(report.pop(), 'wrote 0 users, 1 chats, 1 messages; left out 8 records');
    const reasons = bad.map(([{ _id }, why], index) => (
      `message ${index + 2}, _id ${_id === undefined ? index + 1 : JSON.stringify(_id)}, is left out: ${why}`
    ));
    assert.deepEqual(report, reasons);
  });

  test('that cannot be read: one sentence says why', async () => {
    const { convert } = await collections({ messages: [{ chat: 'a' }] });
    assert.match(failureOf(await convert('--collection', 'nothing')), /has no collection nothing/);
    assert.match(failureOf(await convert('--chta', 'x')), /--chta/);
    assert.match(failureOf(await convert('--policy', 'secret')), /--policy is open or closed/);
    assert.match(failureOf(await convert('another')), /give one address/);
    assert.match((await convert('--help')).stdout, /--utc-offset ZONE/);
  });
});

describe('a CSV file', () => {
  const HEADER = 'chat,sender,text,time';

  /** Saves a CSV file and converts it. */
  async function converted(t, content, args = [], name = 'old.csv') {
    const file = join(await tempDir(t), name);
    writeFileSync(file, content);
    return convertCsv([file, ...args]);
  }

  test('is the same in polychat, and grows with it', async (t) => {
    const cell = (text) => `"${text.replaceAll('"', '""')}"`;
    const row = ({ chat, sender, text, time }) => [chat, sender, cell(text), new Date(time).toISOString()].join(',');
    const texts = ['Привет!', 'Hi 👩‍👩‍👧', 'one\r\ntwo, three;\n', 'she said "no"', '  spaces  '];
    const old = Array.from({ length: 2000 }, (_, index) => ({
      original_id: `old.csv:${index + 1}`, chat: index % 4 ? 'lobby' : 'kitchen', sender: ['anna', 'boris', 'vera'][index % 3],
      text: `${index} ${texts[index % 5]}`, time: Date.parse('2020-01-01T00:00:00Z') + (index * 7919) % 600,
    }));
    const home = await newHome(t);
    const assertMoved = ({ chats }) => {
      assert.deepEqual(chats.map(({ externalChatId }) => externalChatId).sort(), ['kitchen', 'lobby']);
      for (const { externalChatId, policy, members, messages } of chats) {
        const expected = old.filter(({ chat }) => chat === externalChatId).sort((a, b) => a.time - b.time);
        assert.deepEqual([policy, members], ['closed', [...new Set(expected.map(({ sender }) => sender))].sort()]);
        assert.deepEqual(messages.map(withoutNumbers), expected.map(({ original_id, sender, text, time }) => (
          { original_id, sender, text, time }
        )));
      }
    };
    const file = () => `\ufeff${HEADER}\r\n${old.map(row).join('\r\n')}\r\n`;
    await home.moveIn(await converted(t, file()));
    const first = await home.content();
    assertMoved(first);
    await home.moveIn(await converted(t, file()));
    assert.deepEqual(await home.content(), first);
    old.push({ original_id: 'old.csv:2001', chat: 'kitchen', sender: 'vera', text: 'later', time: Date.parse('2021-01-01T00:00:00Z') });
    await home.moveIn(await converted(t, file()));
    assertMoved(await home.content());
  });

  test('has other columns, separators, encodings and times', async (t) => {
    const expected = {
      chat: { externalChatId: '7' }, sender: { externalUserId: '14' }, original_id: '8812', text: 'при;вет',
      metadata: { mood: 'calm' }, created_at: '2024-05-06T04:08:00Z',
    };
    const OPTIONS = [
      '--chat', 'Room', '--sender', 'User', '--text', 'Body text', '--time', 'When', '--id', 'Id', '--metadata', 'mood',
      '--chat-name', 'Title', '--sender-name', 'Name',
    ];
    const names = ['Id', 'Room', 'Title', 'User', 'Name', 'Body text', 'When', 'mood'];
    const fileWith = (time, separator) => `${names.join(separator)}\n${
      ['8812', '7', 'Lunch', '14', 'Anna', '"при;вет"', time, 'calm'].join(separator)}\n`;
    const TIMES = [
      ['2024-05-06T04:08:00Z'], ['2024-05-06 07:08', '--utc-offset', '+03:00'], ['2024-05-06 07:08:00+0300'], ['1714968480'],
      ['1714968480000'], ['06.05.2024 07:08', '--time-format', '%d.%m.%Y %H:%M', '--utc-offset', '+03:00'],
    ];
    const SEPARATORS = [',', ';', '\t', '|'];
    for (const [index, [time, ...options]] of TIMES.entries()) {
      const content = fileWith(time, SEPARATORS[index % SEPARATORS.length]);
      const { users, chats, messages } = recordsOf(await converted(t, content, [...OPTIONS, ...options]));
      assert.deepEqual(messages, [expected], content);
      assert.deepEqual(users, [{ externalUserId: '14', name: 'Anna' }]);
      assert.deepEqual(chats, [{ externalChatId: '7', name: 'Lunch', policy: 'closed', members: [{ externalUserId: '14' }] }]);
    }
    const bytes = Buffer.from(fileWith(TIMES[0][0], '~'), 'utf16le');
    const { messages } = recordsOf(await converted(t, bytes, [...OPTIONS, '--delimiter', '~', '--encoding', 'utf-16-le']));
    assert.deepEqual(messages, [expected]);
  });

  test('has rows that are none: each is named with its line, and the others are written', async () => {
    const TIME = '2024-05-06T04:08:00Z';
    const lines = [
      HEADER, `a,anna,"two\nlines",${TIME}`, '', `a,anna,three,${TIME},five`, `,anna,x,${TIME}`, 'a,anna,x,yesterday',
      'a,anna,x,2024-05-06T04:08:00', 'a,anna,x,', `a,anna,"last ""one""",${TIME}`,
    ];
    const result = await convertCsv(['-'], lines.join('\n'));
    const { messages } = recordsOf(result, 1);
    assert.deepEqual(messages.map(({ original_id, text }) => [original_id, text]), [['stdin:1', 'two\nlines'], ['stdin:7', 'last "one"']]);
    assert.deepEqual(reportOf(result), [
      'line 5, row 2, is left out: it has 5 fields, the first line 4',
      'line 6, row 3, is left out: its chat is empty',
      "line 7, row 4, is left out: its time 'yesterday' is none (see --time-format)",
      "line 8, row 5, is left out: its time '2024-05-06T04:08:00' has no zone: give --utc-offset",
      'line 9, row 6, is left out: its time is empty',
      'wrote 1 users, 1 chats, 2 messages; left out 5 rows',
    ]);
  });

  test('that cannot be read: one sentence says why', async (t) => {
    const failure = async (content, ...args) => failureOf(await converted(t, content, args));
    assert.match(await failure(''), /the file is empty/);
    assert.match(await failure('chat,sender,text,when\n'), /the column 'time' is not there; the first line names chat, sender, text, when/);
    assert.match(await failure('chat,sender,text,time,text\n'), /the column 'text' is twice/);
    assert.match(await failure(`${HEADER}\na,anna,"never closed,2024\n`), /line 2: the quotes of this row are wrong/);
    assert.match(await failure(Buffer.from(`${HEADER}\na,anna,\xe9,1\n`, 'latin1')), /this is not utf-8|is not utf-8/);
    assert.match(failureOf(await convertCsv(['/nowhere/old.csv'])), /No such file/);
    assert.match((await convertCsv(['--help'])).stdout, /--utc-offset ZONE/);
  });
});
