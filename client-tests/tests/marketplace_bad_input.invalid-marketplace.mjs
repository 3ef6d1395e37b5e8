// @ts-check
// Owns the table of marketplace requests that must be refused: the fault, event, body, and the expected error.

const NEVER_GIVEN_OUT = '01890000-0000-7000-8000-000000000000';
const NO_SUCH_EVENT = 4_000_000_000;

const NO_SUCH_ID = ['invalid', 'not_found'];

/** Values that are neither a whole number nor the same as a string, or out of all reach. */
const NO_NUMBERS = ['abc', '', ' ', '1.5', '1e3', '0x10', 1.5, -1, '-1', true, [], {}, [1], 1e300, 2 ** 63, -(2 ** 63),
  '99999999999999999999', '１'];

const shown = (value) => JSON.stringify(value).slice(0, 60);
const photos = (count, from = 0) => Array.from({ length: count }, (_, index) => `photo-${from + index}`);

/** A field that has to be there: missing, null, and of other types. */
const needed = (event, body, field, values) => {
  const { [field]: _, ...without } = body;
  return [
    [`no ${field}`, event, without, ['invalid'], field],
    [`${field} null`, event, { ...body, [field]: null }, ['invalid'], field],
    ...values.map((value) => [`${field} ${shown(value)}`, event, { ...body, [field]: value }, ['invalid'], field]),
  ];
};

/**
 * Every request's bad forms for a guest of `chatId` that is no member of `foreignId` and a member of `plainId`, a chat
 * that is no event's. `event` has no chat of the guest's yet.
 */
export function invalidMarketplaceRequests({ chatId, foreignId, plainId, event, maxMessageBytes }) {
  const good = {
    send_message: { chatId, message: { text: 'hello' } },
    read_messages: { chatId, lastReadedMessageId: 1 },
    load_history: { chatId, lastMessageId: 2 },
    grant_access: { chatId, granted: true },
    open_chat: { eventId: event },
    request_access: { eventId: event, message: 'May I?' },
  };
  const noBodies = Object.keys(good).flatMap((name) => [
    ...[42, true, false, [], 'hello', '', [good[name]]].map((body) => (
      [`a body ${shown(body)}`, name, body, ['invalid'], /./]
    )),
    ...[null, undefined, {}].map((body) => [`a body ${body}`, name, body, ['invalid'], /chatId|eventId/]),
  ]);
  const chats = ['send_message', 'read_messages', 'load_history', 'grant_access'].flatMap((name) => [
    ...needed(name, good[name], 'chatId', [7, true, [], {}, [chatId], { id: chatId }]),
    ...['', 'nobody', `${chatId}x`, chatId.slice(1), '\u0000', 'x'.repeat(10_000)].map((id) => (
      [`chatId ${shown(id)}`, name, { ...good[name], chatId: id }, NO_SUCH_ID, /./]
    )),
    ...Object.entries({ 'never given out': NEVER_GIVEN_OUT, 'of others': foreignId, 'of no event': plainId }).map(
      ([what, id]) => [`a chat ${what}`, name, { ...good[name], chatId: id }, ['not_found'], /./],
    ),
  ]);
  const events = ['open_chat', 'request_access'].flatMap((name) => [
    ...needed(name, good[name], 'eventId', NO_NUMBERS),
    ...[0, '0', NO_SUCH_EVENT, `${NO_SUCH_EVENT}`, 2 ** 53].map((eventId) => (
      [`eventId ${eventId}`, name, { ...good[name], eventId }, NO_SUCH_ID, /./]
    )),
  ]);
  const sending = (message, codes, names) => (
    [`a message ${shown(message)}`, 'send_message', { chatId, message }, codes, names]
  );
  const endless = 'x'.repeat(maxMessageBytes + 1);
  const messages = [
    ...needed('send_message', good.send_message, 'message', ['hello', 7, true, [], [{ text: 'hello' }]]),
    ...[{}, { text: null }, { text: '' }, { text: ' \n\u3000' }, { text: '', photos: [], attachedPhotos: [] },
      { msg: 'hello' }].map((message) => sending(message, ['invalid'], /text/)),
    ...['photos', 'attachedPhotos'].flatMap((field) => [
      ...['photo', 7, true, {}, [7], [null], [['photo']], ['photo', {}], [''], [' ']].map((list) => (
        sending({ text: 'hello', [field]: list }, ['invalid'], /photos/i)
      )),
      sending({ text: 'hello', [field]: photos(21) }, ['too_large'], /20/),
      sending({ [field]: photos(1000) }, ['too_large'], /20/),
      sending({ text: 'hello', [field]: ['p'.repeat(5000)] }, ['too_large'], /photos/i),
    ]),
    sending({ text: 'hello', photos: photos(11), attachedPhotos: photos(10, 11) }, ['too_large'], /20/),
    sending({ text: endless }, ['too_large'], new RegExp(maxMessageBytes)),
    sending({ text: endless, photos: photos(1) }, ['too_large'], new RegExp(maxMessageBytes)),
    ...[7, true, [], {}, 'x'.repeat(65)].map((client_id) => (
      sending({ text: 'hello', client_id }, ['invalid'], /client_id/)
    )),
  ];
  const applications = ['', ' \n\u3000'].map((message) => (
    [`message ${shown(message)}`, 'request_access', { eventId: event, message }, ['invalid'], /./]
  ));
  const names = ['', ' ', 'no_such_thing', 'initial_data', 'chat_updates', 'debug_info', 'Send_Message', 'send-message',
    'new-message', '__proto__', 'constructor', 'x'.repeat(10_000)];
  return [
    ...noBodies, ...chats, ...events, ...messages, ...applications,
    ...needed('read_messages', good.read_messages, 'lastReadedMessageId', NO_NUMBERS),
    ...needed('load_history', good.load_history, 'lastMessageId', NO_NUMBERS),
    ...needed('grant_access', good.grant_access, 'granted', ['true', 1, 0, '', [], {}]),
    ['an application that is too long', 'request_access', { eventId: event, message: endless }, ['too_large'], /./],
    ['an access granted by the guest', 'grant_access', good.grant_access, ['forbidden'], /./],
    ...names.map((name) => [`an unknown event '${name.slice(0, 20)}'`, name, good.send_message, ['invalid'], /./]),
  ];
}
