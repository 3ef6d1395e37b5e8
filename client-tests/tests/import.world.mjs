// @ts-check
// Owns the conversations of a file that is moved in. Does not write the file.

/** When the first message was written. */
export const AT = Date.parse('2024-03-01T12:00:00.123Z');

/** Names a user or a chat. */
export const external = (name) => `external:${name}`;

/** The message of a chat that was written `second` seconds after the first could be. */
export const message = (chat, second, sender, more) => ({
  type: 'message', chat: external(chat), original_id: `${chat}-${second}`, sender: external(sender), text: `${chat} ${second} 😀`,
  created_at: new Date(AT + second * 1000).toISOString(), ...more,
});

/** What two messages in the file and on a server have in common. */
export const inCommon = ({ text, created_at }, index) => ({ seq: index + 1, text, at: Date.parse(created_at) });

/** The messages of each chat. */
export const SOUP = ['anna', 'boris', 'vera', 'carl', 'anna', 'vera'].map((sender, second) => message('soup', second, sender));
const LOBBY = ['boris', 'eve', 'anna'].map((sender, second) => message('lobby', second, sender));
export const PICNIC = ['gleb', 'gleb', 'olga', 'gleb', 'gleb'].map((sender, second) => message('picnic', second, sender));

/** A closed chat with roles, an open one with a ban, an event with its chat, their messages, and read positions. */
export const WORLD = [
  ...SOUP.toReversed(), PICNIC[3], ...LOBBY, PICNIC[4], ...PICNIC.slice(0, 3),
  { type: 'read', chat: external('picnic'), user: external('olga'), original_id: 'picnic-3' },
  { type: 'read', chat: 71, user: 102, at: new Date(AT + 1500).toISOString() },
  { type: 'chat', externalChatId: 'picnic', pk: 72, event: { id: 10, guest: external('gleb'), access: 'granted' } },
  {
    type: 'chat', externalChatId: 'soup', pk: 70, name: 'Soup', owner: external('anna'),
    created_at: new Date(AT - 5000).toISOString(),
    members: [
      { user: external('anna'), role: 'owner' }, { user: { externalUserId: 'boris' }, role: 'moderator' },
      { user: 103, role: 'reader' },
    ],
  },
  {
    type: 'chat', externalChatId: 'lobby', pk: 71, name: 'Lobby', policy: 'open', members: [101, 102],
    bans: [{ user: external('eve') }],
  },
  { type: 'event', id: 10, eventOwnerId: external('olga'), name: 'Picnic', location: 'the park', dateFromS: 1_957_817_098 },
  ...['anna', 'boris', 'carl', 'olga', 'gleb', 'vera'].map((name, index) => ({
    type: 'user', externalUserId: name, pk: 101 + index, username: name, name: name === 'anna' ? 'Анна' : name,
  })),
];
/** The numbers of those users that have one in the file. */
export const SENDER = new Map(['anna', 'boris', 'carl', 'olga', 'gleb', 'vera'].map((name, index) => [name, 101 + index]));

/** A chat of two and its messages, shuffled: the records, and the messages in the order of time. */
export function longTalk(name, count) {
  const messages = Array.from({ length: count }, (_, second) => message(name, second, second % 3 ? 'anna' : 'boris'));
  const shuffled = messages.toSorted((a, b) => (Number(a.original_id.slice(name.length + 1)) * 7919) % count
    - (Number(b.original_id.slice(name.length + 1)) * 7919) % count);
  const chat = { type: 'chat', externalChatId: name, members: [external('anna'), external('boris')] };
  return { records: [...shuffled, chat], messages };
}
