// @ts-check
// Owns clients that know more than the store, because a backup was restored: what they are to be answered.
import assert from 'node:assert/strict';
import { fullHistory, seqsOf, upTo } from './fixtures.mjs';
import { ask } from './socketio.mjs';

/** What `sync` answers to a client that has this message as its latest. */
async function synced({ socket }, chat, { seq, id }) {
  const { chats } = await ask(socket, 'sync', { chats: { [chat.id]: { seq, id } } });
  return chats[chat.id];
}

/** A client whose latest message is not in the store is told so, and has the whole chat afterwards. */
export async function assertReset(reader, chat, lost) {
  const { reset, messages, head } = await synced(reader, chat, lost);
  const stored = await fullHistory(reader, chat);
  assert.equal(reset, true, `seq ${lost.seq} of ${head}`);
  assert.deepEqual(messages, stored.slice(0, messages.length));
  let known = messages;
  while (known.length < stored.length) {
    const more = await synced(reader, chat, known.at(-1));
    assert.ok(!more.reset && more.messages.length > 0);
    known = [...known, ...more.messages];
  }
  assert.deepEqual(seqsOf(known), upTo(head));
  assert.ok(!known.some(({ id }) => id === lost.id));
}

/** A client whose latest message is in the store continues after it. */
export async function assertContinues(reader, chat, kept, more) {
  const { reset, messages } = await synced(reader, chat, kept);
  assert.deepEqual([reset, seqsOf(messages)], [undefined, upTo(more).map((number) => kept.seq + number)]);
}
