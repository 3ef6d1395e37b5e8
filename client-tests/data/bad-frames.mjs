// @ts-check
// Owns the tables of frames that the raw dialects must refuse: the fault, the text sent, the expected answer.

const NEVER_GIVEN_OUT = 4_000_000_000;

const deep = (depth, open = '[', close = ']') => `${open.repeat(depth)}${close.repeat(depth)}`;
const objects = (depth) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;

/** Texts that are no JSON at all. */
export const NO_JSON = {
  'no JSON': 'hello',
  'an empty text': '',
  'spaces only': ' \n ',
  'an object that ends too early': '{"type":"getChats","action":"list"',
  'an object with single quotes': "{'type':'getChats','action':'list'}",
  'an object and more': '{"type":"getChats","action":"list"} {}',
  'an object with a comma too many': '{"type":"getChats","action":"list",}',
  'a bare NUL in a text': '{"type":"getChats\u0000","action":"list\u0000"}',
  'a bare line end in a text': '{"type":"getChats\n","action":"list\n"}',
  'half an escape': '{"type":"\\u12","action":"\\u12"}',
  'a number that is none': '{"type":"getChats","action":"list","request_id":01}',
  'lists that never end': '['.repeat(500_000),
  'objects that never end': '{"a":'.repeat(200_000),
  'a byte order mark alone': '\ufeff',
};

/** JSON that is nested too deeply: alone, as a request id, in a field. */
export const NESTED = [deep(200_000), objects(100_000), ...[deep(50_000), objects(50_000)].flatMap((value) => [
  `{"type":"foo","action":"foo","request_id":${value}}`,
  `{"type":"getChatDetails","action":"retrieve","data":{"chatId":${value}},"pk":${value}}`,
  `{"type":"foo","stream":"room","payload":${value}}`,
])];

/** JSON, but no object. */
export const NO_OBJECT = ['[]', '"hello"', '7', 'null', 'true', '[{"type":"getChats","action":"list"}]', '1e5'];

const UNEXPECTED = 'An unexpected error occurred';
const NEEDED = 'Chat ID is required.';
const NOT_FOUND = 'Chat not found.';
const BAD_MESSAGE = 'Invalid data. Chat ID and text are required.';
const NOT_CREATED = 'An error occurred while creating the message. Please try again later.';
const NOT_RETRIEVED = 'An error occurred while retrieving messages. Please try again later.';

/** For a participant of `chat`: type, data, the text of the error (or a pattern), its code. */
export function badTypeRequests({ chat, maxMessageBytes }) {
  const withId = [['getChatDetails', 'chatId'], ['getChatMessages', 'chatId'], ['joinChat', 'chat']];
  const ids = withId.flatMap(([type, field]) => [
    ...[undefined, null, 'hello', 7, true, []].map((data) => [type, data, UNEXPECTED, 'invalid']),
    [type, {}, NEEDED, 'invalid'],
    [type, { [field === 'chat' ? 'chatId' : 'chat']: chat }, NEEDED, 'invalid'],
    [type, { [field]: null }, NEEDED, 'invalid'],
    ...['abc', '', [], {}, [chat], { id: chat }, `${chat}x`].map((id) => (
      [type, { [field]: id }, UNEXPECTED, 'invalid']
    )),
    ...[0, -1, NEVER_GIVEN_OUT, `${NEVER_GIVEN_OUT}`, 2 ** 53].map((id) => (
      [type, { [field]: id }, NOT_FOUND, 'not_found']
    )),
  ]);
  const types = [undefined, null, '', 'getchats', 'GETCHATS', 'foo', 7, true, [], {}, 'x'.repeat(10_000)];
  const message = (fields) => ({ chat, text: 'hello', ...fields });
  const endless = 'x'.repeat(maxMessageBytes + 1);
  const messages = [
    ...[{}, { chat }, { text: 'hello' }, message({ chat: null }), message({ chat: 0 }), message({ chat: '' }),
      message({ text: null }), message({ text: '' }), message({ text: ' \n\u3000' }),
    ].map((data) => [data, BAD_MESSAGE, 'invalid']),
    ...[undefined, null, 'hello', 7].map((data) => [data, UNEXPECTED, 'invalid']),
    [message({ chat: 'abc' }), UNEXPECTED, 'invalid'],
    [message({ chat: NEVER_GIVEN_OUT }), NOT_FOUND, 'not_found'],
    ...['true', 'yes', null, [], {}, 2].map((is_read) => [message({ is_read }), NOT_CREATED, 'invalid']),
    [message({ client_id: 'x'.repeat(65) }), /client_id/, 'invalid'],
    [message({ client_id: 7 }), /client_id/, 'invalid'],
    [message({ text: endless }), new RegExp(`${maxMessageBytes}`), 'too_large'],
    [message({ text: 'x'.repeat(1_000_000) }), new RegExp(`${maxMessageBytes}`), 'too_large'],
    [message({ text: '😀'.repeat(maxMessageBytes / 2) }), new RegExp(`${maxMessageBytes}`), 'too_large'],
  ].map((request) => ['newMessage', ...request]);
  const days = ['2024-13-45', '2024-02-30', 'garbage', 'today', 'Yesterday', '2024-01-01T00:00:00', 1.5, true, [], {}];
  const dates = days.flatMap((day) => ['date_from', 'date_to'].map((field) => (
    ['getChatMessages', { chatId: chat, [field]: day }, NOT_RETRIEVED, 'invalid']
  )));
  return [
    ...ids, ...messages, ...dates,
    ...types.map((type) => [type, { chatId: chat }, 'Unknown message type', 'invalid']),
  ];
}

/** For a member that has joined `pk`: action, fields, status, the errors if they are fixed. */
export function badActionRequests({ pk, maxMessageBytes }) {
  const blank = [{ message: ['This field may not be blank.'] }];
  const endless = 'x'.repeat(maxMessageBytes + 1);
  return [
    ...[['foo', 'foo'], ['', ''], [5, '5'], [null, 'None'], [false, 'False'], ['Retrieve', 'Retrieve']].map(
      ([action, name]) => [action, {}, 405, [`Method "${name}" not allowed.`]],
    ),
    ...[[], {}, ['list']].map((action) => [action, {}, [400, 405]]),
    [undefined, {}, 405, ['Unable to find action in message body.']],
    ...['self', '__class__', 'constructor', 'x'.repeat(10_000)].map((action) => [action, {}, 405]),
    ...['', ' ', '\u3000\n'].map((message) => ['create_message', { message }, 400, blank]),
    ['create_message', {}, 400],
    ['create_message', { message: null }, 400],
    ['create_message', { message: 'hello', pk: NEVER_GIVEN_OUT }, 404, ['Not found']],
    ['create_message', { message: 'hello', pk: 'abc' }, 404, ['Not found']],
    ['create_message', { message: 'hello', client_id: 7 }, 400],
    ['create_message', { message: 'hello', client_id: 'x'.repeat(65) }, 400],
    ['create_message', { message: endless }, 413],
    ['create_message', { message: 'x'.repeat(1_000_000) }, 413],
    ['create_message', { message: { a: endless } }, 413],
    ...[null, 7, 'hello', true, []].flatMap((data) => [
      ['create', { data }, 400], ['update', { pk, data }, 400], ['patch', { pk, data }, 400],
    ]),
    ...[null, {}, [], true, ''].map((name) => ['create', { data: { name } }, 400]),
    ...['x', {}, []].map((team) => ['patch', { pk, data: { team } }, 400]),
    ['patch', { pk, data: { name: 'x'.repeat(256) } }, 400],
    ...['retrieve', 'join_room', 'leave_room', 'update', 'patch', 'delete', 'subscribe_instance'].flatMap((action) => (
      ['abc', -1, [1], {}, 2 ** 70, NEVER_GIVEN_OUT].map((id) => (
        [action, { pk: id, data: { name: 'x' } }, 404, ['Not found']]
      ))
    )),
  ];
}

/** Unusual texts, as JSON and as they are stored; undefined: they are refused. */
export const STRANGE_TEXTS = [
  ['a NUL', '"a\\u0000b"', 'a\u0000b'],
  ['a pair of surrogates', '"\\ud83d\\ude00"', '😀'],
  ['the raw character', '"😀"', '😀'],
  ['control characters', '"\\u0007\\u001b[31m"', '\u0007\u001b[31m'],
  ['text that turns around', '"\u202eabc"', '\u202eabc'],
  ['a lone high surrogate', '"a\\ud800"', 'a\ufffd'],
  ['a lone low surrogate', '"\\udc00a"', '\ufffda'],
  ['surrogates the wrong way round', '"\\ude00\\ud83d"', '\ufffd\ufffd'],
  ['half an escape', '"\\ud8"', undefined],
];

/** Numbers beyond every range. */
export const HUGE_NUMBERS = ['1e400', '-1e400', '9007199254740993', '18446744073709551616', '-9223372036854775809',
  '1e308', '123456789012345678901234567890', '0.1e-400', '-0'];

/** Any JSON value, for a field that expects another. */
export const ANY_VALUES = [null, true, false, 0, -1, 7.5, '', 'hello', [], {}, [1], [[]], { a: 1 }, { id: 1 }]
  .map((value) => JSON.stringify(value)).concat(HUGE_NUMBERS, deep(100), objects(100), '"\\ud800"', '"\\u0000"');
