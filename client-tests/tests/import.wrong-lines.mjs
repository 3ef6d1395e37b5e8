// @ts-check
// Owns lines that `polychat import` refuses, each with the beginning of the reason.

let made = 0;

/** Records that are right, each with a name of its own. */
const message = (more) => ({
  type: 'message', chat: 'external:room', original_id: `${++made}`, sender: 'external:anna', text: 'hi',
  created_at: '2024-01-01T00:00:00Z', ...more,
});
const user = (more) => ({ type: 'user', externalUserId: `anna-${++made}`, ...more });
const chat = (more) => ({ type: 'chat', externalChatId: `room-${++made}`, ...more });
const event = (more) => ({ type: 'event', id: ++made, eventOwnerId: 'external:olga', name: 'Picnic', ...more });
const read = (more) => ({ type: 'read', chat: 'external:room', user: 'external:anna', seq: 1, ...more });
const without = (record, field) => Object.fromEntries(Object.entries(record).filter(([name]) => name !== field));

/**
 * Lines of which a schema cannot know that they are wrong.
 * @type {[any, string][]}
 */
const UNSEEN = [
  ['not JSON', 'the line: must be a JSON object'],
  [user({ pk: 0 }), 'pk: is not a whole number from 1 to'],
  [user({ pk: 2 ** 53 }), 'pk: is not a whole number from 1 to'],
  [user({ name: 'x'.repeat(100_000) }), 'name: at most 2048 bytes'],
  [user({ created_at: 'yesterday' }), 'created_at: must be an RFC 3339 time'],
  [event({ id: -1 }), 'id: is not a whole number from 1 to'],
  [event({ eventOwnerId: 'olga' }), 'eventOwnerId: must name a user'],
  [chat({ pk: 94_000_001 }), 'pk: is not a whole number from 1 to'],
  [chat({ members: ['anna'] }), 'members: must name a user'],
  [chat({ members: [{ user: 'external:anna', mute: { until: 'late' } }] }), 'until: must be an RFC 3339 time'],
  [chat({ team: 'blue' }), 'team: must be a whole number'],
  [without(message(), 'text'), 'text: is empty'],
  [message({ text: '' }), 'text: is empty'],
  [message({ text: ' ' }), 'text: is empty'],
  [message({ chat: 'room' }), 'chat: must name a chat'],
  [message({ metadata: { big: 'x'.repeat(100_000) } }), 'metadata: at most 4096 bytes'],
  [message({ client_id: 'c' }), 'original_id: stands beside a client_id: a message has one of them'],
  [message({ seq: 1 }), 'seq: and id stand together, in exports'],
  [message({ id: '018cc251-f400-7339-b664-406028fc4351' }), 'seq: and id stand together, in exports'],
  [message({ created_at: '2999-01-01T00:00:00Z' }), 'created_at: lies in the future'],
  [message({ created_at: '01.03.2024' }), 'created_at: must be an RFC 3339 time'],
  [message({ text: 'x'.repeat(100_000) }), 'text: at most 16384 bytes'],
  ['{"type":"user"', 'the line: is not JSON: EOF while parsing an object'],
  ['{"type":"user","externalUserId":"a"} {}', 'the line: is not JSON: trailing characters'],
];

/**
 * Lines whose fault the schema shows.
 * @type {[any, string][]}
 */
export const WRONG_BY_SCHEMA = [
  [without(user(), 'type'), 'type: is missing'],
  [{ type: 'room' }, 'type: must be user, event, chat, message, read or numbers'],
  [{ type: 5 }, 'type: must be a text'],
  [{ type: 'polychat', version: 2 }, 'version: is not known; this polychat reads up to 1'],
  [{ type: 'polychat' }, 'version: is missing'],
  [without(user(), 'externalUserId'), 'externalUserId: is missing'],
  [user({ externalUserId: '' }), 'externalUserId: is empty'],
  [user({ externalUserId: 'x'.repeat(257) }), 'externalUserId: at most 256 characters'],
  [user({ externalUserId: ['anna'] }), 'externalUserId: must be a text or a whole number'],
  [user({ id: 'anna' }), 'id: must be a UUID that polychat gave'],
  [user({ pk: 1.5 }), 'pk: must be a whole number'],
  [user({ name: 5 }), 'name: must be a text'],
  [user({ imageUUID: 5 }), 'imageUUID: must be a text'],
  [user({ created_at: true }), 'created_at: must be an RFC 3339 time'],
  [without(event(), 'id'), 'id: is missing'],
  [without(event(), 'eventOwnerId'), 'eventOwnerId: is missing'],
  [without(event(), 'name'), 'name: is missing'],
  [event({ name: '' }), 'name: is empty'],
  [event({ iconsUUIDs: 'x' }), 'iconsUUIDs: must be a list of texts'],
  [event({ iconsUUIDs: [5] }), 'iconsUUIDs: must be a list of texts'],
  [without(chat(), 'externalChatId'), 'externalChatId: is missing, and so is a pk: without either'],
  [chat({ externalChatId: '' }), 'externalChatId: is empty'],
  [chat({ policy: 'secret' }), 'policy: must be open or closed'],
  [chat({ members: 'external:anna' }), 'members: must be a list'],
  [chat({ members: [{ user: 'external:anna', role: 'king' }] }), 'members.role: must be reader, member, moderator or owner'],
  [chat({ members: [{ role: 'owner' }] }), 'members: must name a user'],
  [chat({ members: [{ user: 'external:anna', mute: true }] }), 'mute: must be a JSON object'],
  [chat({ bans: [{ until: '2030-01-01T00:00:00Z' }] }), 'bans.user: is missing'],
  [chat({ bans: ['external:anna'] }), 'bans: must be a JSON object'],
  [chat({ owner: [] }), 'owner: must name a user'],
  [chat({ event: { id: 10 } }), 'event.guest: is missing'],
  [chat({ event: { guest: 'external:gleb' } }), 'event.id: is missing'],
  [chat({ event: { id: 10, guest: 'external:gleb', access: 'maybe' } }), 'event.access: must be unasked, asked or granted'],
  [chat({ head: -1 }), 'head: must be at least 0'],
  [without(message(), 'chat'), 'chat: is missing'],
  [without(message(), 'original_id'), 'original_id: is missing: without it'],
  [without(message(), 'sender'), 'sender: is missing'],
  [without(message(), 'created_at'), 'created_at: is missing'],
  [message({ text: 5 }), 'text: must be a text'],
  [message({ original_id: '' }), 'original_id: must have 1 to 256 characters'],
  [message({ original_id: 'x'.repeat(257) }), 'original_id: must have 1 to 256 characters'],
  [message({ original_id: 1.5 }), 'original_id: must be a text or a whole number'],
  [message({ original_id: { $oid: '1' } }), 'original_id: must be a text or a whole number'],
  [message({ chat: { id: 'room' } }), 'externalChatId: is missing'],
  [message({ chat: -1 }), 'chat: must name a chat'],
  [message({ sender: { name: 'anna' } }), 'sender: must name a user'],
  [message({ sender: null }), 'sender: is missing'],
  [message({ kind: 'Not A Kind' }), 'kind: write 1 to 32 characters of a-z 0-9 _ -'],
  [message({ photos: 'x' }), 'photos: must be a list of texts'],
  [message({ metadata: [1] }), 'metadata: must be an object'],
  [message({ metadata: 'x' }), 'metadata: must be an object'],
  [message({ sent_as_read: 'yes' }), 'sent_as_read: must be true or false'],
  [without(read(), 'chat'), 'chat: is missing'],
  [without(read(), 'user'), 'user: is missing'],
  [without(read(), 'seq'), 'original_id: or at, or seq: a read position has one of them'],
  [read({ at: 0 }), 'original_id: or at, or seq: a read position has one of them'],
  [read({ seq: -1 }), 'original_id: or at, or seq: a read position has one of them'],
  [{ type: 'numbers', users: -1 }, 'users: must be at least 0'],
  ['[]', 'the line: must be a JSON object'],
];

/** All of them. */
export const WRONG = [...UNSEEN, ...WRONG_BY_SCHEMA];
