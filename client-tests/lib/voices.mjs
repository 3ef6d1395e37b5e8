// Owns the company in which faults are tried: chats about events, in which an owner and a guest speak all dialects at once,
// and what has to be true of all of them in the end. How each dialect is spoken stands in voice-socketio and voice-raw.
import assert from 'node:assert/strict';
import { setTimeout } from 'node:timers/promises';
import { assertKept } from './crowd.mjs';
import { fromEventName } from './forms.mjs';
import { ANSWER_MS, Writer } from './ledger.mjs';
import { Backend } from './rest.mjs';
import { ActionVoice, MarketplaceRawVoice, TypeVoice } from './voice-raw.mjs';
import { EventNameVoice, MarketplaceSocketVoice, PollingVoice } from './voice-socketio.mjs';

/** Everybody who hears: by name of what is spoken. */
export const LISTENERS = {
  'event-name': EventNameVoice,
  polling: PollingVoice,
  action: ActionVoice,
  type: TypeVoice,
  marketplace: MarketplaceSocketVoice,
  'marketplace-raw': MarketplaceRawVoice,
};

/** How many messages a dialect shows at most. */
const SHOWN = { action: 1000, type: 10_000 };

const PATIENCE_MS = 60_000;

/** How long the backend waits before it asks a server again that is not there. */
const AWAY_MS = 100;

/** The backend, which writes for a user: the key of a message stands in the header or in the body. */
class RestVoice extends Writer {
  constructor(door, ledger, { user, chat }) {
    super(ledger, { name: `${user.externalUserId}/rest`, room: chat.chatId });
    Object.assign(this, { door, user, chat, writes: true, sent: 0 });
  }

  async deliver({ msg, client_id }) {
    const isOdd = Number(client_id.split('/').at(-1)) % 2 === 1;
    const [inBody, inHeader] = isOdd ? [{ client_id }, {}] : [{}, { 'idempotency-key': client_id }];
    const body = { userId: this.user.id, text: msg, ...inBody };
    try {
      const calling = new Backend(this.door).call('POST', `/chats/${this.chat.chatId}/messages`, body, inHeader);
      const answer = await Promise.race([calling, setTimeout(ANSWER_MS, undefined, { ref: false })]);
      if (!answer) return undefined;
      if (answer.status < 300) return { id: answer.body.id, seq: answer.body.seq, room: answer.body.room };
      return { error: { code: answer.body?.code ?? `status ${answer.status}`, ...answer.body } };
    } catch {
      await setTimeout(AWAY_MS);
      return undefined;
    }
  }
}

/** Everything that the API lists. */
async function listed(server, chat, after = 0) {
  const path = `/chats/${chat.chatId}/messages?after_seq=${after}`;
  return (await new Backend(server).all(path, 'messages', 1000, 1000)).flat().map((each) => ({ ...each, ...fromEventName(each) }));
}

/**
 * Some chats with everybody connected. `door` says where a voice connects (straight to the server, unless told), and
 * `silent` who only listens: by the number of the chat, the user's side and the dialect.
 */
export async function company(owner, server, ledger, { chats: count, dialects = Object.keys(LISTENERS), ...more }) {
  const { door = () => server, silent = () => false } = more;
  const backend = new Backend(server);
  const [chats, voices, backends] = [[], [], []];
  for (let number = 0; number < count; number++) {
    const sides = [await backend.user('owner'), await backend.user('guest')];
    const chat = await backend.eventChat(await backend.event(sides[0]), sides[1]);
    chats.push(chat);
    for (const [side, user] of sides.entries()) {
      for (const dialect of dialects) {
        const writes = !silent({ number, side, dialect });
        const voice = new LISTENERS[dialect](owner, await door(), ledger, { user, chat, dialect, writes });
        voice.elsewhere = async (known) => (await listed(server, chat, known)).map(plain);
        voices.push(voice);
      }
      backends.push(new RestVoice(await door(), ledger, { user, chat }));
    }
  }
  await inTurns(voices, 50, (voice) => voice.open());
  return new Company(ledger, chats, voices, backends);
}

/** Some at a time. */
export async function inTurns(all, width, work) {
  for (let from = 0; from < all.length; from += width) await Promise.all(all.slice(from, from + width).map(work));
}

const plain = ({ seq, text, at }) => ({ seq, text, at });

class Company {
  constructor(ledger, chats, voices, backends) {
    Object.assign(this, { ledger, chats, voices, backends });
  }

  get areCaughtUp() { return this.voices.every(({ isCaughtUp }) => isCaughtUp); }

  /** Everybody who is not silent writes until `stop()`, which waits until all of it is acknowledged. */
  write(pause) {
    let going = true;
    const writers = [...this.voices, ...this.backends].filter(({ writes }) => writes);
    const work = Promise.all(writers.map((writer) => writer.persist(() => going, pause)));
    work.catch(() => {}); // awaited below
    return {
      stop: () => {
        going = false;
        return work;
      },
    };
  }

  /**
   * In the end: each acknowledged message is stored exactly once and nothing else is, the numbers have no hole, every
   * dialect shows the same history, and everybody who listened has all of it, once and in order.
   */
  async assertWhole(server) {
    const stored = new Map();
    for (const chat of this.chats) {
      const full = await listed(server, chat);
      const truth = full.map(plain);
      assert.deepEqual(truth.map(({ seq }) => seq), truth.map((_, index) => index + 1), 'the numbers are contiguous');
      for (const message of full) {
        assert.ok(!stored.has(message.text), `'${message.text}' is stored twice`);
        stored.set(message.text, message);
      }
      const present = this.voices.filter((voice) => voice.chat === chat);
      await Promise.all(present.map((voice) => voice.until(() => voice.known >= truth.length, 'the end', PATIENCE_MS)));
      for (const voice of present) {
        voice.assertComplete(truth);
        const shown = truth.slice(-(SHOWN[voice.dialect] ?? truth.length));
        assert.deepEqual(await voice.history(), shown, `the history that ${voice.name} is shown`);
      }
    }
    assertKept(this.ledger, stored);
    assert.equal(stored.size, this.ledger.acknowledged.size, 'nothing is stored that was not acknowledged in the end');
  }
}
