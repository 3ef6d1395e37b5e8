// @ts-check
// Owns the tables of requests that must be refused: those of the event-name dialect (the fault, the arguments, the
// expected error), and those of `sync`, which are the same in every dialect.

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';
const BINARY = Buffer.from([0, 159, 146, 150]);

/** A malformed id may be invalid, or not found like any unknown id. */
const NO_SUCH_ID = ['invalid', 'not_found'];

const invalid = (what, names, ...args) => ({ what, codes: ['invalid'], names, args });
const notFound = (what, names, ...args) => ({ what, codes: ['not_found'], names, args });
const noSuchId = (what, names, ...args) => ({ what, codes: NO_SUCH_ID, names, args });
const tooLarge = (what, names, ...args) => ({ what, codes: ['too_large'], names, args });

/** Bodies that are no object at all. */
const noObjects = [
  invalid('a number', /./, 42),
  invalid('a truth value', /./, true),
  invalid('a list', /./, []),
  invalid('a binary attachment', /./, BINARY),
];
const noBody = [invalid('no body', /./), invalid('null', /./, null)];
const aText = invalid('a text', /./, 'hello');

/**
 * Every event's bad requests, for a member of `chat` with the user id `me` that is not in the chat `foreign`, on a
 * server that allows `maxMessageBytes`.
 */
export function badRequests({ me, chat, foreign, maxMessageBytes }) {
  const user = (fields) => ({ user: { externalUserId: 'somebody', ...fields } });
  const list = (query) => ({ chat: { id: chat }, query });
  const message = (fields) => ({ room: chat, msg: 'hello', ...fields });
  const long = (fields) => ({
    chat: { id: chat }, user: { id: me }, message: { value: 'hello', type: 'text' }, ...fields,
  });
  const endless = 'x'.repeat(maxMessageBytes + 1);

  return {
    'create-user': [
      ...noBody, aText, ...noObjects,
      invalid('no user', /user/, {}),
      invalid('a user that is null', /user/, { user: null }),
      invalid('a user that is a text', /user/, { user: 'alice' }),
      invalid('a user that is a number', /user/, { user: 7 }),
      invalid('a user that is a list', /user/, { user: [] }),
      invalid('nothing that identifies the user', /user/, { user: {} }),
      invalid('only a name', /user/, { user: { name: 'Alice' } }),
      invalid('an empty external id', /user/, { user: { externalUserId: '' } }),
      invalid('an external id that is a number', /user/, { user: { externalUserId: 7 } }),
      invalid('an external id that is null', /user/, { user: { externalUserId: null } }),
      invalid('an external id that is an object', /user/, { user: { externalUserId: {} } }),
      invalid('an external id that is binary', /user/, { user: { externalUserId: BINARY } }),
      invalid('a later external id that is a number', /user/, { user: { external_id: 7 } }),
      invalid('a username that is a number', /username/, user({ username: 7 })),
      invalid('a name that is an object', /name/, user({ name: {} })),
      invalid('an avatar that is a list', /avatar/, user({ avatar: [] })),
      invalid('a photo that is a number', /photo|avatar/, user({ photo: 7 })),
      invalid('a github that is a truth value', /github/, user({ github: true })),
      invalid('an id that is a number', /id/, { user: { id: 7 } }),
      noSuchId('an id that is no id', /id|nobody/, { user: { id: 'nobody' } }),
      notFound('an unknown id', /./, { user: { id: NEVER_GIVEN_OUT } }),
    ],
    'create-chat': [
      ...noBody, aText, ...noObjects,
      invalid('neither chat nor users', /users|chat/, {}),
      invalid('a chat that is a text', /chat/, { chat: 'Tea', users: [me] }),
      invalid('a chat that is a list', /chat/, { chat: [], users: [me] }),
      invalid('a name that is a number', /name/, { chat: { name: 7 }, users: [me] }),
      invalid('a name that is an object', /name/, { chat: { name: {} }, users: [me] }),
      invalid('a name that is binary', /name/, { chat: { name: BINARY }, users: [me] }),
      invalid('no users', /users/, { chat: { name: 'Tea' } }),
      invalid('users that are null', /users/, { chat: {}, users: null }),
      invalid('users that are a text', /users/, { chat: {}, users: me }),
      invalid('users that are an object', /users/, { chat: {}, users: { id: me } }),
      invalid('an empty list of users', /users/, { chat: {}, users: [] }),
      invalid('a user that is a number', /users/, { chat: {}, users: [me, 7] }),
      invalid('a user that is null', /users/, { chat: {}, users: [null] }),
      invalid('a user that is a list', /users/, { chat: {}, users: [[me]] }),
      noSuchId('a user that is no id', /users|nobody/, { chat: {}, users: [me, 'nobody'] }),
      notFound('an unknown user', new RegExp(NEVER_GIVEN_OUT), { chat: {}, users: [NEVER_GIVEN_OUT] }),
      notFound('an unknown user among others', new RegExp(NEVER_GIVEN_OUT), { chat: {}, users: [me, NEVER_GIVEN_OUT] }),
    ],
    'list-chats': [
      aText, ...noObjects,
      invalid('a user that is a text', /user/, { user: me }),
      invalid('a user without an id', /user/, { user: {} }),
      invalid('a user id that is a number', /user/, { user: { id: 7 } }),
      noSuchId('a user id that is no id', /user|nobody/, { user: { id: 'nobody' } }),
      notFound('an unknown user', /./, { user: { id: NEVER_GIVEN_OUT } }),
      invalid('a limit that is a text', /limit/, { limit: 'ten' }),
      invalid('a negative limit', /limit/, { limit: -1 }),
      invalid('a broken limit', /limit/, { limit: 1.5 }),
      invalid('a cursor that is a number', /before/, { before: 7 }),
      invalid('a cursor that was never given out', /before/, { before: '!' }),
    ],
    'list-messages': [
      ...noBody, aText, ...noObjects,
      invalid('no chat', /chat/, {}),
      invalid('a chat that is null', /chat/, { chat: null }),
      invalid('a chat that is a number', /chat/, { chat: 7 }),
      invalid('a chat without an id', /chat\.id/, { chat: {} }),
      invalid('a chat id that is a number', /chat\.id/, { chat: { id: 7 } }),
      noSuchId('a chat id that is no id', /./, { chat: { id: 'nowhere' } }),
      notFound('an unknown chat', /./, { chat: { id: NEVER_GIVEN_OUT } }),
      notFound('a chat of others', /./, { chat: { id: foreign } }),
      invalid('a query that is a text', /query/, list('all')),
      invalid('a query that is a list', /query/, list([])),
      invalid('a start that is no time', /from/, list({ from: 'yesterday' })),
      invalid('a start that is a broken number', /from/, list({ from: 1.5 })),
      invalid('a start in a thirteenth month', /from/, list({ from: '2024-13-01' })),
      invalid('an end that is no time', /to/, list({ to: 'x' })),
      invalid('an end that is an object', /to/, list({ to: {} })),
      invalid('a limit that is a text', /limit/, list({ limit: 'ten' })),
      invalid('a negative limit', /limit/, list({ limit: -1 })),
      invalid('a negative number to list before', /before_seq/, list({ before_seq: -1 })),
      invalid('a text to list before', /before_seq/, list({ before_seq: 'x' })),
      invalid('a broken number to list after', /after_seq/, list({ after_seq: 1.5 })),
      invalid('an object to list after', /after_seq/, list({ after_seq: {} })),
    ],
    'new-message': [
      ...noBody, ...noObjects,
      invalid('neither room nor text', /room|chat|msg/, {}),
      invalid('no room', /room|chat/, { msg: 'hello' }),
      invalid('a room that is null', /room/, message({ room: null })),
      invalid('a room that is a number', /room/, message({ room: 7 })),
      invalid('a room that is an object', /room/, message({ room: { id: chat } })),
      invalid('a chat without an id', /chat|room/, { chat: {}, msg: 'hello' }),
      noSuchId('a room that is no id', /./, message({ room: 'nowhere' })),
      notFound('an unknown room', /./, message({ room: NEVER_GIVEN_OUT })),
      notFound('a room of others', /./, message({ room: foreign })),
      notFound('an unknown user', /./, long({ user: { id: NEVER_GIVEN_OUT } })),
      invalid('a user id that is a number', /user/, long({ user: { id: 7 } })),
      invalid('no text', /msg/, { room: chat }),
      invalid('a text that is null', /msg/, message({ msg: null })),
      invalid('a text that is binary', /./, message({ msg: BINARY })),
      invalid('an empty text', /msg/, message({ msg: '' })),
      invalid('a text of spaces', /msg/, message({ msg: '  \n\t ' })),
      invalid('a text of other white space', /msg/, message({ msg: '\u00a0\u2003\u3000\u2029' })),
      tooLarge('a text that is too long', new RegExp(`${maxMessageBytes}`), message({ msg: endless })),
      invalid('an empty type', /type/, message({ type: '' })),
      invalid('a type with a space', /type/, message({ type: 'a b' })),
      invalid('a type in capitals', /type/, message({ type: 'TEXT' })),
      invalid('a type beyond a to z', /type/, message({ type: 'tèxt' })),
      invalid('a type of 33 characters', /type/, message({ type: 'x'.repeat(33) })),
      invalid('a type that is a number', /type/, message({ type: 7 })),
      invalid('a client_id of 65 characters', /client_id/, message({ client_id: 'x'.repeat(65) })),
      invalid('a client_id that is a number', /client_id/, message({ client_id: 7 })),
      invalid('the room, and no body', /./, chat),
      invalid('the room, and null', /./, chat, null),
      invalid('the room, and a text', /./, chat, 'hello'),
      invalid('the room, and an empty body', /msg/, chat, {}),
      invalid('the room, and an empty text', /msg/, chat, { msg: '' }),
      invalid('a number before the body', /./, 7, { msg: 'hello' }),
      notFound('an unknown room before the body', /./, NEVER_GIVEN_OUT, { msg: 'hello' }),
      invalid('a long form whose message is a text', /message/, long({ message: 'hello' })),
      invalid('a long form without a value', /value/, long({ message: {} })),
      invalid('a long form with a value that is null', /value/, long({ message: { value: null } })),
      invalid('a long form with an empty value', /value|msg/, long({ message: { value: ' ' } })),
      invalid('a long form with a malformed type', /type/, long({ message: { value: 'hello', type: 'A B' } })),
    ],
    'no-such-event': [...noBody, aText, ...noObjects, invalid('an object', /no-such-event/, {})],
    constructor: [invalid('an object', /./, {})],
  };
}

const deep = (depth) => JSON.parse(`${'['.repeat(depth)}${']'.repeat(depth)}`);

/** Values that are no seq. */
const NO_NUMBERS = [
  null, true, false, -1, -0.5, 0.5, 1.5, 1e300, -1e300, 2 ** 63, 2 ** 64, [], [1], [[]], {}, { seq: -1 }, { id: 'x' }, { a: {} },
  '', ' ', '-1', '-0.5', '1.5', '1e3', '0x10', ' 1', '1 ', '1\n', '\u0000', '\u0661', 'one', 'NaN', 'Infinity', 'null',
  'true', '9223372036854775808', '99999999999999999999999', '1_000', '1,000', '😀', 'x'.repeat(5000), deep(50),
];

/** Good seqs beside a bad one. */
const VALID_SEQS = [[], [0], ['7'], [0, 1, 2]];

/** Values that are no object of chats. */
const NO_CHATS = [
  undefined, null, true, false, 0, 7, 1.5, '', 'chats', '{}', [], [1], [[]], [{}], [['1', 0]], deep(50), '😀',
  'x'.repeat(5000),
];

/** For `names` of four chats: bad values of `chats`, each with what the error names. */
export function badSyncRequests(names) {
  const numbers = NO_NUMBERS.flatMap((number) => names.flatMap((name) => VALID_SEQS.map((company) => {
    const others = names.filter((other) => other !== name);
    return { chats: { ...Object.fromEntries(company.map((seq, index) => [others[index], seq])), [name]: number }, names: name };
  })));
  return [...NO_CHATS.map((chats) => ({ chats, names: 'chats' })), ...numbers];
}

/** Strings that are no chat's name: each is answered in its place. */
export const NO_CHAT_NAMES = ['', ' ', '0', '-1', '1.5', 'x', 'null', '__proto__', 'constructor', '99999999999999999999',
  '01890000-0000-7000-8000-000000000000', '01890000-0000-7000-8000', '4000000000', '😀', 'x'.repeat(5000)];
