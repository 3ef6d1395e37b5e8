// @ts-check
// Owns the promise that the messages of a client right before an orderly close are stored, on every transport.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { chatOf, connectAgain, connectUsers, fullHistory } from '../clients/fixtures.mjs';
import { join, newChat, messages, connectType } from '../clients/type-data.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const COUNT = 20;
const TEXTS = Array.from({ length: COUNT }, (_, index) => `${index}`);

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

for (const client of [4, 2]) {
  for (const transports of [['websocket'], ['polling']]) {
    test(`a client of version ${client} emits and disconnects (${transports})`, async (t) => {
      const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
      const chat = await chatOf(alice, bob);
      const leaving = await connectAgain(t, server, alice, { client, transports });
      for (const msg of TEXTS) leaving.socket.emit('new-message', { room: chat.id, msg });
      leaving.socket.disconnect();
      let stored = [];
      const all = async () => {
        stored = (await fullHistory(bob, chat)).map(({ msg }) => msg);
        return stored.length >= COUNT;
      };
      await eventually(all, () => `${COUNT} messages (so far ${stored.length})`);
      assert.deepEqual(stored, TEXTS);
    });
  }
}

test('a raw WebSocket sends and closes', async (t) => {
  const [anna, boris] = [await connectType(t, server, 'anna'), await connectType(t, server, 'boris')];
  const chat = await newChat(anna);
  for (const each of [anna, boris]) await join(each, chat);
  for (const text of TEXTS) anna.wire.send({ type: 'newMessage', data: { chat, text } });
  anna.wire.close();
  let stored = [];
  const all = async () => {
    stored = (await messages(boris, chat)).map(({ text }) => text);
    return stored.length >= COUNT;
  };
  await eventually(all, () => `${COUNT} messages (so far ${stored.length})`);
  assert.deepEqual(stored, TEXTS);
});
