// @ts-check
// Owns the promise that an answer to one connection never leaves it with counts that are no longer so: requests that
// change nothing are answered while messages and reads come, and at rest the last delivered counts are right.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { TRANSPORTS, enterSocketIo, enterWebSocket, entered, flush, frontEnd } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer, storeFile } from '../harness/server.mjs';

const ROUNDS = 240;

const scope = useScope();
let server;
let host;
before(async () => {
  server = await startServer(scope, ['--store', (await storeFile(scope)).store]);
  host = new Backend(server);
});

async function scene() {
  const [owner, guest] = [await host.user('owner'), await host.user('guest')];
  const event = await host.event(owner);
  return { owner, guest, event, ...(await host.eventChat(event, guest)) };
}

/** The counts in the last frame that had any. */
function lastCounts(connection) {
  const { data } = connection.frames.findLast(({ event }) => ['chat_updates', 'chat_unread'].includes(event));
  return [data.myUnreadCount, data.interlocutorUnreadCount];
}

/** `wrong` are cases of older counts that came last: round, connection, the last delivered counts, the right ones. */
function assertNone(wrong, all) {
  const some = wrong.slice(0, 5).map((each) => JSON.stringify(each)).join('\n');
  assert.equal(wrong.length, 0, `in ${wrong.length} of ${all} cases older counts came last\n${some}`);
}

test('applying again with a message never ends with the counts before that message', async (t) => {
  const { guest, event, chatId } = await scene();
  const connections = [];
  for (const connecting of Object.values(TRANSPORTS)) {
    for (let made = 0; made < 3; made++) connections.push(await entered(connecting(t, server, guest)));
  }
  const wrong = [];
  for (let round = 1; round <= ROUNDS / 3; round++) {
    for (const connection of connections) connection.send('request_access', { eventId: event.id, message: `${round}` });
    const head = round * connections.length;
    for (const connection of connections) {
      await connection.until(() => frontEnd(connection).head(chatId) === head, `message ${head}`);
      await flush(connection);
      if (`${lastCounts(connection)}` !== `0,${head}`) wrong.push([round, connection.name, lastCounts(connection), [0, head]]);
    }
  }
  assertNone(wrong, ROUNDS / 3 * connections.length);
});

describe('while the other side writes', () => {
  /** By the requests of one side meanwhile, which change nothing. */
  const IDLE = {
    'reading what was read long ago': {
      side: 'owner', ask: ({ chatId }) => ['read_messages', { chatId, lastReadedMessageId: 0 }],
    },
    'opening the chat again': { side: 'guest', ask: ({ event }) => ['open_chat', { eventId: event.id }] },
    'applying again': { side: 'guest', ask: ({ event }) => ['request_access', { eventId: event.id }] },
    'sending again under the same client_id': {
      side: 'guest', ask: ({ chatId }) => ['send_message', { chatId, message: { text: 'again', client_id: 'c-1' } }],
    },
  };

  for (const [what, { side, ask }] of Object.entries(IDLE)) {
    test(`${what} never ends with older counts than the message brought`, async (t) => {
      const set = await scene();
      const { owner, guest, event, chatId } = set;
      const [idle, writer] = side === 'owner' ? [owner, guest] : [guest, owner];
      const begin = await enterSocketIo(t, server, guest);
      await begin.ask('request_access', { eventId: event.id });
      await begin.ask('send_message', { chatId, message: { text: 'first', client_id: 'c-1' } });
      const asking = [
        await enterSocketIo(t, server, idle), await enterWebSocket(t, server, idle),
        await enterWebSocket(t, server, idle),
      ];
      const writing = await enterWebSocket(t, server, writer);
      const [name, body] = ask(set);
      const wrong = [];
      for (let round = 1; round <= ROUNDS; round++) {
        const head = frontEnd(writing).head(chatId) + 1;
        for (const connection of asking) connection.send(name, body);
        writing.send('send_message', { chatId, message: { text: `${round}` } });
        for (const connection of asking) for (let more = 0; more < 3; more++) connection.send(name, body);
        const expected = side === 'owner' ? [head, 0] : [round, 0];
        for (const connection of [...asking, writing]) {
          await connection.until(() => connection.frames.findLast(({ event: delivered, data }) => (
            delivered === 'chat_updates' && data.messages.at(-1)?.messageId === head
          )), `message ${head}`);
        }
        for (const connection of asking) {
          await flush(connection);
          if (`${lastCounts(connection)}` !== `${expected}`) wrong.push([round, connection.name, lastCounts(connection), expected]);
        }
      }
      assertNone(wrong, ROUNDS * asking.length);
    });
  }
});
