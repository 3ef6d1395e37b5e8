// @ts-check
// Owns the promise that it makes no difference how messages travel: over a WebSocket from the beginning, over polling,
// or first one and then the other while they come.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { chatOf, connectUsers, sendMessage, seqsOf } from '../clients/fixtures.mjs';
import { collect, connect } from '../clients/socketio.mjs';
import { useScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { eventually } from '../harness/wait.mjs';

const PATIENCE_MS = 60_000;
const MOST = 20_000;
const WAYS = {
  'a WebSocket': ['websocket'],
  'polling and then a WebSocket': ['polling', 'websocket'],
  polling: ['polling'],
};

const bySeq = (one, other) => one.seq - other.seq;

let server;
const scope = useScope();
before(async () => { server = await startServer(scope); });

/** One more connection of the user, which notes every packet that reaches it from the first moment on. */
async function listener(t, { user }, options) {
  /** @type {{ packets: string[], inbox?: any, manager?: any }} */
  const received = { packets: [] };
  const token = user.externalUserId;
  await connect(t, server.url, {
    ...options,
    auth: { token },
    query: { token },
    opened(socket) {
      received.inbox = collect(socket, 'new-message');
      received.manager = socket.io;
      const note = () => socket.io.engine.on('packet', ({ type, data }) => received.packets.push(`${type}:${data}`));
      if (socket.io.engine) note(); else socket.io.on('open', note);
    },
  });
  return received;
}

for (const client of [4, 3, 2]) {
  for (const [way, transports] of Object.entries(WAYS)) {
    test(`over ${way}, a client of version ${client} receives everything from its first message on, and nothing else`, async (t) => {
      const [alice, bob] = await connectUsers(t, server, 'alice', 'bob');
      const chat = await chatOf(alice, bob);
      // A user sends all the time, now and then more than goes through a queue at once.
      const stored = [];
      let wanted = MOST;
      const sending = (async () => {
        while (stored.length < wanted) {
          const text = `${stored.length} ${'x'.repeat(stored.length % 50 === 0 ? 16_000 : stored.length % 200)}`;
          stored.push(...await Promise.all([text, `${text} again`].map((msg) => sendMessage(alice, chat, msg))));
        }
      })();
      const listeners = [];
      for (let number = 0; number < 8; number++) listeners.push(await listener(t, bob, { client, transports }));
      const arrived = () => listeners.every(({ manager }) => manager.engine.transport.name === transports.at(-1));
      await eventually(arrived, () => `everybody on ${transports.at(-1)}`);
      wanted = stored.length + 100;
      await sending;
      for (const { inbox, packets } of listeners) {
        while (inbox.at(-1)?.seq !== stored.length) await inbox.until(inbox.length + 1, PATIENCE_MS);
        const first = inbox[0].seq;
        assert.deepEqual([...inbox], stored.toSorted(bySeq).slice(first - 1), `from ${first} on: ${seqsOf(inbox)}`);
        assert.deepEqual(packets.filter((packet) => packet.includes('polychat:frames')), []);
      }
    });
  }
}
