// Owns a crowd that writes into some chats at once and keeps a ledger, and the comparison of both at the end.
import assert from 'node:assert/strict';
import { Sender } from './ledger.mjs';
import { alsoConnected, chatOf, fullHistory, numbers, people, upTo } from './people.mjs';

const SENDERS = 10;
const CHATS = 3;

/** Users in some chats, and a sender for each user. */
export async function crowd(t, server, ledger) {
  const users = await people(t, server, ...Array.from({ length: SENDERS }, (_, index) => `sender-${index}`));
  const chats = [];
  for (let made = 0; made < CHATS; made++) chats.push(await chatOf(...users));
  const senders = await Promise.all(users.map(({ user }, index) => (
    Sender.connect(t, server, ledger, { user, room: chats[index % CHATS].id })
  )));
  users.forEach(({ socket }) => socket.close());
  return { users, chats, senders };
}

/** Everything that is stored in these chats, by text; each chat's numbers are checked on the way. */
export async function storedByText(t, server, someone, chats) {
  const reader = await alsoConnected(t, server, someone);
  const stored = new Map();
  for (const chat of chats) {
    const messages = await fullHistory(reader, chat);
    assert.deepEqual(numbers(messages), upTo(messages.length), 'the numbers are contiguous');
    for (const message of messages) {
      assert.ok(!stored.has(message.msg), `'${message.msg}' is stored twice`);
      stored.set(message.msg, message);
    }
  }
  return stored;
}

/** Everything that was acknowledged is stored, as it was acknowledged. */
export function assertKept(ledger, stored) {
  for (const [text, told] of ledger.acknowledged) {
    const found = stored.get(text);
    assert.ok(found, `'${text}' was acknowledged, and is lost`);
    const fields = ['id', 'seq', 'room'].filter((field) => field in told);
    for (const field of fields) assert.equal(found[field], told[field], `the ${field} of '${text}' has changed`);
  }
}
