// @ts-check
// Owns the scenarios in which faults are tried, and the final comparison with the ledger: a population of clients of all
// dialects in chats about events, or plain writers of the event-name dialect in shared chats.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { ANSWER_MS, Writer } from './chaos-client.mjs';
import {
  EventNameClient, EventNameWriter, MarketplaceSocketIoClient, PollingClient,
} from './chaos-client-socketio.mjs';
import { ActionClient, MarketplaceWebSocketClient, TypeDataClient } from './chaos-client-websocket.mjs';
import { assertKept } from './ledger.mjs';
import { chatOf, connectAgain, connectUsers, fullHistory, seqsOf, upTo } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { fromEventName } from '../data/normalize.mjs';

/** The clients of a population, by dialect and transport. */
export const DIALECT_CLIENTS = {
  'event-name': EventNameClient,
  polling: PollingClient,
  action: ActionClient,
  type: TypeDataClient,
  marketplace: MarketplaceSocketIoClient,
  'marketplace-raw': MarketplaceWebSocketClient,
};

/** How many messages of a history a dialect returns at most. */
const HISTORY_LIMITS = { action: 1000, type: 10_000 };

const PATIENCE_MS = 60_000;

/** The delay before the backend calls a server again that it could not reach. */
const UNREACHABLE_MS = 100;

/** The backend, which writes for a user: the idempotency key is in the header or in the body. */
class RestWriter extends Writer {
  constructor(endpoint, ledger, { user, chat }) {
    super(ledger, { name: `${user.externalUserId}/rest`, room: chat.chatId });
    this.endpoint = endpoint;
    this.user = user;
    this.chat = chat;
    this.writes = true;
  }

  async deliver({ msg, client_id }) {
    const isOdd = Number(client_id.split('/').at(-1)) % 2 === 1;
    const [inBody, inHeader] = isOdd ? [{ client_id }, {}] : [{}, { 'idempotency-key': client_id }];
    const body = { userId: this.user.id, text: msg, ...inBody };
    try {
      const calling = new Backend(this.endpoint).call('POST', `/chats/${this.chat.chatId}/messages`, body, inHeader);
      const answer = await Promise.race([calling, setTimeout(ANSWER_MS, undefined, { ref: false })]);
      if (!answer) return undefined;
      if (answer.status < 300) return { id: answer.body.id, seq: answer.body.seq, room: answer.body.room };
      return { error: { code: answer.body?.code ?? `status ${answer.status}`, ...answer.body } };
    } catch {
      await setTimeout(UNREACHABLE_MS);
      return undefined;
    }
  }
}

/** All messages of a chat after a seq, by REST: as they are, and normalised. */
async function listByRest(server, chat, after = 0) {
  const path = `/chats/${chat.chatId}/messages?after_seq=${after}`;
  const messages = (await new Backend(server).all(path, 'messages', 1000, 1000)).flat();
  return messages.map((message) => ({ ...message, ...fromEventName(message) }));
}

const normalized = ({ seq, text, at }) => ({ seq, text, at });

/** Runs `work` on all, `width` at a time. */
async function inBatches(all, width, work) {
  for (let from = 0; from < all.length; from += width) await Promise.all(all.slice(from, from + width).map(work));
}

/**
 * Chats about events, each with a client of every dialect for the owner and for the guest. `endpoint` returns where the
 * next client connects (to the server itself by default), `silent` whether a client only receives: by the number of the
 * chat, the user's side and the dialect.
 */
export async function startPopulation(owner, server, ledger, { chats: count, dialects = Object.keys(DIALECT_CLIENTS), ...more }) {
  const { endpoint = () => server, silent = () => false } = more;
  const backend = new Backend(server);
  const chats = [];
  const clients = [];
  const backends = [];
  for (let number = 0; number < count; number++) {
    const sides = [await backend.user('owner'), await backend.user('guest')];
    const chat = await backend.eventChat(await backend.event(sides[0]), sides[1]);
    chats.push(chat);
    for (const [side, user] of sides.entries()) {
      for (const dialect of dialects) {
        const writes = !silent({ number, side, dialect });
        const client = new DIALECT_CLIENTS[dialect](owner, await endpoint(), ledger, { user, chat, dialect, writes });
        client.listByRest = async (seq) => (await listByRest(server, chat, seq)).map(normalized);
        clients.push(client);
      }
      backends.push(new RestWriter(await endpoint(), ledger, { user, chat }));
    }
  }
  await inBatches(clients, 50, (client) => client.open());
  return new Population(ledger, chats, clients, backends);
}

class Population {
  constructor(ledger, chats, clients, backends) {
    this.ledger = ledger;
    this.chats = chats;
    this.clients = clients;
    this.backends = backends;
  }

  get areCaughtUp() { return this.clients.every(({ isCaughtUp }) => isCaughtUp); }

  /** All clients that are not silent write until `stop()`, which waits until all of it is acknowledged. */
  write(pause) {
    let going = true;
    const writers = [...this.clients, ...this.backends].filter(({ writes }) => writes);
    const work = Promise.all(writers.map((writer) => writer.sendWhile(() => going, pause)));
    work.catch(() => {}); // awaited below
    return {
      stop: () => {
        going = false;
        return work;
      },
    };
  }

  /**
   * In the end: each acknowledged message is stored exactly once and nothing else is, seqs are contiguous, every dialect
   * returns the same history, and every client has received all of it, once and in order.
   */
  async assertWhole(server) {
    const stored = new Map();
    for (const chat of this.chats) {
      const full = await listByRest(server, chat);
      const history = full.map(normalized);
      assert.deepEqual(history.map(({ seq }) => seq), history.map((_, index) => index + 1), 'the numbers are contiguous');
      for (const message of full) {
        assert.ok(!stored.has(message.text), `'${message.text}' is stored twice`);
        stored.set(message.text, message);
      }
      const present = this.clients.filter((client) => client.chat === chat);
      await Promise.all(present.map((client) => (
        client.until(() => client.contiguousSeq >= history.length, 'the end', PATIENCE_MS)
      )));
      for (const client of present) {
        client.assertComplete(history);
        const returned = history.slice(-(HISTORY_LIMITS[client.dialect] ?? history.length));
        assert.deepEqual(await client.history(), returned, `the history that ${client.name} is shown`);
      }
    }
    assertKept(this.ledger, stored);
    assert.equal(stored.size, this.ledger.acknowledged.size, 'nothing is stored that was not acknowledged in the end');
  }
}

const WRITERS = 10;
const CHATS = 3;

/** Users in shared chats, and a writer of the event-name dialect for each user. */
export async function startWriters(t, server, ledger) {
  const users = await connectUsers(t, server, ...Array.from({ length: WRITERS }, (_, index) => `sender-${index}`));
  const chats = [];
  for (let made = 0; made < CHATS; made++) chats.push(await chatOf(...users));
  const writers = await Promise.all(users.map(({ user }, index) => (
    EventNameWriter.connect(t, server, ledger, { user, room: chats[index % CHATS].id })
  )));
  users.forEach(({ socket }) => socket.close());
  return { users, chats, writers };
}

/** All messages stored in these chats, by text; checks on the way that each chat's seqs are contiguous. */
export async function storedByText(t, server, someone, chats) {
  const reader = await connectAgain(t, server, someone);
  const stored = new Map();
  for (const chat of chats) {
    const messages = await fullHistory(reader, chat);
    assert.deepEqual(seqsOf(messages), upTo(messages.length), 'the numbers are contiguous');
    for (const message of messages) {
      assert.ok(!stored.has(message.msg), `'${message.msg}' is stored twice`);
      stored.set(message.msg, message);
    }
  }
  return stored;
}
