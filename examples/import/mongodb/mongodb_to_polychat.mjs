// @ts-check
// Writes the messages of a MongoDB collection as a file for `polychat import`. Changes nothing in the database.
//
//   npm install mongodb@7
//   node mongodb_to_polychat.mjs mongodb://127.0.0.1:27017/chat --collection messages > old.jsonl
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { MongoClient } from 'mongodb';

const HELP = `Usage: node mongodb_to_polychat.mjs mongodb://HOST/DATABASE [OPTIONS] > old.jsonl

Writes the messages of a collection, their chats and users as a file for 'polychat import'. Changes nothing.
A FIELD may be a path, such as from.userId. Ids may be texts, numbers, ObjectIds or UUIDs.

Messages:
  --collection NAME  the collection of the messages (messages)
  --chat FIELD       the id of the chat (chat)
  --sender FIELD     the id of the user that wrote the message (sender)
  --text FIELD       the text (text)
  --time FIELD       when it was written: a date, epoch seconds or milliseconds, or ISO 8601 (timestamp); where it is
                     missing, it is the time of the ObjectId in _id
  --utc-offset ZONE  the zone of times without one: Z, +03:00, ...
  --metadata FIELD   a field to keep in the message's metadata; may be repeated

Chats: one for each id in the messages; its members are the senders of its messages, unless there is
  --chats NAME       a collection of the chats; _id is the id in the messages
  --chat-name FIELD  the name of a chat (name)
  --members FIELD    the list of the ids of its members (users)
  --policy POLICY    closed: members only (the default), or open: every user may join

Users: only their ids, unless there is
  --users NAME       a collection of the users; _id is the id in the messages
  --user-name FIELD  the name of a user (name)
  --username FIELD   the username of a user (username)

Exit status: 0; 1 if records were left out, each with its reason on standard error; 2 if nothing could be read.
`;

const OPTIONS = {
  collection: 'messages', chat: 'chat', sender: 'sender', text: 'text', time: 'timestamp', 'utc-offset': '',
  chats: '', 'chat-name': 'name', members: 'users', policy: 'closed', users: '', 'user-name': 'name', username: 'username',
};

/** Epoch values below this are seconds: as seconds it is the year 5138, as milliseconds March 1973. */
const SECONDS_BELOW = 100_000_000_000;
const LATEST = Date.parse('9999-12-31T23:59:59.999Z');

/** Without it a batch has 16 MB: the driver keeps all its documents until it is read. */
const BATCH = 1000;

const report = (text) => process.stderr.write(`mongodb_to_polychat: ${text}\n`);
const counts = { user: 0, chat: 0, message: 0, leftOut: 0, withoutTime: 0 };

function leaveOut(record, reason) {
  counts.leftOut += 1;
  report(`${record} is left out: ${reason}`);
}

/** The command line: the address of the database and the options. */
function parseCommandLine() {
  const text = Object.keys(OPTIONS).map((name) => [name, { type: /** @type {const} */ ('string'), default: OPTIONS[name] }]);
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ...Object.fromEntries(text), metadata: { type: 'string', multiple: true, default: [] }, help: { type: 'boolean', short: 'h' },
    },
  });
  const options = /** @type {any} */ (values);
  if (!options.help) {
    if (positionals.length !== 1) throw new Error('give one address, such as mongodb://127.0.0.1:27017/chat, and see --help');
    if (!['open', 'closed'].includes(options.policy)) throw new Error('--policy is open or closed');
    if (!/^(Z|[+-]\d\d:\d\d)?$/.test(options['utc-offset'])) throw new Error('--utc-offset is Z, or as in +03:00');
  }
  return { address: positionals[0], options };
}

/** The value at a path such as from.userId. */
const at = (document, path) => path.split('.').reduce((value, key) => value?.[key], document);

/** An id as text; undefined if it is none. */
function idText(value) {
  if (typeof value === 'string') return value || undefined;
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value?._bsontype === 'ObjectId' || value?._bsontype === 'Long') return value.toString();
  if (value?._bsontype === 'Binary' && value.sub_type === 4) return value.toUUID().toString();
  return undefined;
}

/** A time as epoch milliseconds; undefined if it is none. */
function epochMs(value, utcOffset) {
  if (value instanceof Date) return value.getTime();
  if (value?._bsontype === 'Timestamp') return value.getHighBitsUnsigned() * 1000;
  if (typeof value === 'number') return value < SECONDS_BELOW ? value * 1000 : value;
  if (typeof value !== 'string') return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return epochMs(Number(value), utcOffset);
  const iso = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?$/.exec(value.trim());
  if (!iso) return undefined;
  const zone = iso[3]?.replace(/(\d\d):?(\d\d)$/, '$1:$2') ?? utcOffset;
  if (!zone) throw new Error(`its time '${value}' has no zone: give --utc-offset`);
  return Date.parse(`${iso[1]}T${iso[2]}${zone}`);
}

/** When a message was written, as RFC 3339. */
function timeOf(message, { time, 'utc-offset': utcOffset }) {
  let value = at(message, time);
  if (value === undefined || value === null) {
    if (message._id?._bsontype !== 'ObjectId') throw new Error(`it has no ${time}, and its _id has no time`);
    counts.withoutTime += 1;
    value = message._id.getTimestamp();
  }
  const ms = epochMs(value, utcOffset);
  if (ms === undefined || !(ms >= 0 && ms <= LATEST)) throw new Error(`its ${time} is no time: ${JSON.stringify(value)}`);
  return new Date(ms).toISOString();
}

/** The record of a message; throws why it has none. */
function messageRecord(message, options) {
  const [chat, sender, text] = [idText(at(message, options.chat)), idText(at(message, options.sender)), at(message, options.text)];
  if (chat === undefined) throw new Error(`its ${options.chat} is no id`);
  if (sender === undefined) throw new Error(`its ${options.sender} is no id`);
  if (typeof text !== 'string') throw new Error(`its ${options.text} is no text`);
  const kept = options.metadata.map((field) => [field, at(message, field)]).filter(([, value]) => value !== undefined && value !== null);
  return {
    chat: { externalChatId: chat }, original_id: idText(message._id), sender: { externalUserId: sender }, text,
    ...(kept.length > 0 && { metadata: Object.fromEntries(kept) }), created_at: timeOf(message, options),
  };
}

/** One record for each document that has one. */
async function* records(what, cursor, recordOf) {
  let number = 0;
  for await (const document of cursor) {
    number += 1;
    try {
      if (idText(document._id) === undefined) throw new Error('its _id is no text, number, ObjectId or UUID');
      yield recordOf(document);
    } catch (error) {
      leaveOut(`${what} ${number}, _id ${JSON.stringify(document._id)},`, /** @type {Error} */ (error).message);
    }
  }
}

function userRecord(user, options) {
  const [name, username] = [at(user, options['user-name']), at(user, options.username)];
  return { externalUserId: idText(user._id), ...(name && { name }), ...(username && { username }) };
}

function chatRecord(chat, options) {
  const members = (at(chat, options.members) ?? []).map(idText);
  if (members.includes(undefined)) throw new Error(`an item of its ${options.members} is no id`);
  const name = at(chat, options['chat-name']);
  return { ...chatOf(idText(chat._id), members, options), ...(name && { name }) };
}

const chatOf = (id, members, { policy }) => ({
  externalChatId: id, policy, members: [...members].map((member) => ({ externalUserId: member })),
});

/** The chats of the messages; their members are the senders. */
async function* chatsOfMessages(messages, options) {
  const pairs = messages.aggregate([
    { $group: { _id: { chat: `$${options.chat}`, sender: `$${options.sender}` } } },
    { $sort: { '_id.chat': 1, '_id.sender': 1 } },
  ], { allowDiskUse: true, batchSize: BATCH });
  /** The senders by chat; 7 and '7' are one id here, and two in MongoDB. */
  const senders = new Map();
  for await (const { _id } of pairs) {
    const [chat, sender] = [idText(_id.chat), idText(_id.sender)];
    if (chat === undefined || sender === undefined) continue; // such messages are named where they are read
    if (!senders.has(chat)) senders.set(chat, new Set());
    senders.get(chat).add(sender);
  }
  for (const [chat, members] of senders) yield chatOf(chat, members, options);
}

/** The lines of the file. */
async function* lines(database, options) {
  const line = (type, record) => {
    counts[type] += 1;
    return `${JSON.stringify({ type, ...record })}\n`;
  };
  yield `${JSON.stringify({ type: 'polychat', version: 1 })}\n`;
  const inOrder = (name) => database.collection(name).find().sort({ _id: 1 }).batchSize(BATCH);
  if (options.users) {
    for await (const user of records('user', inOrder(options.users), (found) => userRecord(found, options))) yield line('user', user);
  }
  const messages = database.collection(options.collection);
  const chats = options.chats
    ? records('chat', inOrder(options.chats), (found) => chatRecord(found, options)) : chatsOfMessages(messages, options);
  for await (const chat of chats) yield line('chat', chat);
  // polychat keeps this order for messages of the same time.
  for await (const message of records('message', inOrder(options.collection), (found) => messageRecord(found, options))) {
    yield line('message', message);
  }
}

async function main() {
  const { address, options } = parseCommandLine();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const client = new MongoClient(address, { serverSelectionTimeoutMS: 10_000, readPreference: 'primaryPreferred' });
  try {
    const database = client.db();
    for (const name of [options.collection, options.chats, options.users].filter(Boolean)) {
      if (await database.listCollections({ name }).hasNext()) continue;
      throw new Error(`the database ${database.databaseName} has no collection ${name}`);
    }
    await pipeline(Readable.from(lines(database, options)), process.stdout);
  } finally {
    await client.close();
  }
  report(`wrote ${counts.user} users, ${counts.chat} chats, ${counts.message} messages; left out ${counts.leftOut} records`);
  if (counts.withoutTime) report(`${counts.withoutTime} messages without a ${options.time} have the time of their _id`);
  if (counts.leftOut) process.exitCode = 1;
}

await main().catch((error) => {
  report(error.message);
  process.exitCode = 2;
});
