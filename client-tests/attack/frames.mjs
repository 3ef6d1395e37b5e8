// @ts-check
// Owns the attack with mutated input from outside, on each dialect and on HTTP: every frame has its answer, none is
// `internal`, another client is served meanwhile, and the server goes on.
import { during } from './tally.mjs';
import { connectAction, newRoom } from '../clients/action.mjs';
import { chatOf, connectUsers, sendMessage } from '../clients/fixtures.mjs';
import { answersToMangled, badClient, badPollingClient } from '../clients/malformed.mjs';
import { enterWebSocket } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { TcpConnection, UPGRADE_LINES, head } from '../clients/tcp.mjs';
import { connectType, join, newChat } from '../clients/type-data.mjs';
import { actionFrames, mangledFrame, marketplaceFrames, typeFrames } from '../data/mutations.mjs';
import { randomNumbers } from '../harness/random.mjs';
import { newScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';

const NO_FAULT = 'no status of a fault of the server; others are served; no panic';

/** How many frames one connection sends. */
const FRAMES = 1500;

/** A client that has to be served all the time. */
async function startControl(t, server) {
  const [anna, boris] = await connectUsers(t, server, 'anna', 'boris');
  const chat = await chatOf(anna, boris);
  return async () => {
    await sendMessage(anna, chat, 'control');
    await boris.inbox.until(boris.inbox.length);
  };
}

/**
 * An attack in rounds on a server each: `round` returns how many inputs it sent, or throws.
 * @param {Omit<import('./tally.mjs').Attack, 'kind' | 'holds' | 'run'> & {
 *   holds?: string, round: (t: any, server: any, random: () => number) => Promise<number>,
 * }} attack
 * @returns {import('./tally.mjs').Attack}
 */
const mutations = ({ round, ...attack }) => ({
  kind: 'frames', holds: 'an answer to each, none `internal`; others are served; no panic', ...attack,
  async run({ seed, seconds, tally }) {
    await during(seconds, async (number) => {
      const scope = newScope();
      try {
        const server = await startServer(scope);
        const control = await startControl(scope, server);
        tally.count(await round(scope, server, randomNumbers(seed + number)));
        await control();
      } catch (error) {
        tally.fail(`round ${number}: ${/** @type {Error} */ (error).stack}`);
      }
      await scope.end().catch((error) => tally.fail(error.message));
    });
  },
});

/** All answers are there, and none reports a fault of the server. */
function assertAnswered(answers, isInternal) {
  if (answers.length !== FRAMES) throw new Error(`${answers.length} answers to ${FRAMES} frames`);
  const inside = answers.find(isInternal);
  if (inside) throw new Error(JSON.stringify(inside));
  return answers.length;
}

/**
 * Requests of REST with their bodies, as a backend sends them.
 * @returns {[string, string, object?][]}
 */
const restRequests = (user, chat) => [
  ['GET', '/users?limit=3'], ['POST', '/users', { externalUserId: 'x', name: 'x' }], ['PATCH', `/users/${user.id}`, { name: 'y' }],
  ['POST', '/chats', { users: [user.id], name: 'x' }], ['GET', `/chats?user=${user.id}&limit=2`],
  ['PATCH', `/chats/${chat.id}`, { name: 'x', team: 1 }], ['GET', `/chats/${chat.id}/messages?after_seq=0&limit=3`],
  ['POST', `/chats/${chat.id}/messages`, { userId: user.id, text: 'x', client_id: 'c' }],
  ['PUT', `/chats/${chat.id}/members/${user.id}/role`, { role: 'reader' }],
  ['POST', '/events', { eventOwnerId: user.pk, name: 'x', dateFromS: 1, dateToS: 2 }], ['GET', '/audit?limit=1'],
];

/** A path that is mangled; the quotes around a text in JSON are no part of it. */
function mangledPath(path, random) {
  const mangled = mangledFrame(path.slice(1), random).replace(/^"|"$/g, '');
  return `/${encodeURI(Buffer.from(mangled).toString()).replace(/^\/+/, '')}`;
}

/** Bytes of a request, some of them changed. */
function mangledBytes(bytes, below) {
  const changed = Buffer.from(bytes);
  for (let times = 1 + below(4); times > 0; times--) {
    const at = below(changed.length);
    changed[at] = [below(256), 0, 10, 13, 32, 58, 255][below(7)];
  }
  return below(3) === 0 ? changed.subarray(0, below(changed.length)) : changed;
}

export const ATTACKS = [
  mutations({
    what: 'mutated frames of the type dialect', seconds: 12, short: 2,
    async round(t, server, random) {
      const anna = await connectType(t, server, 'anna');
      const chat = await newChat(anna);
      await join(anna, chat);
      const answers = await answersToMangled(anna, typeFrames(chat), { type: 'getChats' }, FRAMES, random);
      return assertAnswered(answers, ({ code }) => code === 'internal');
    },
  }),
  mutations({
    what: 'mutated frames of the action dialect', seconds: 12, short: 2,
    async round(t, server, random) {
      const anna = await connectAction(t, server, 'anna', { acks: true });
      const answers = await answersToMangled(anna, actionFrames(await newRoom(anna)), { action: 'list' }, FRAMES, random);
      return assertAnswered(answers, (answer) => (answer.payload ?? answer).response_status === 500);
    },
  }),
  mutations({
    what: 'mutated frames of the marketplace dialect', seconds: 12, short: 2,
    async round(t, server, random) {
      const host = new Backend(server);
      const [owner, guest] = [await host.user('owner'), await host.user('guest')];
      const event = await host.event(owner);
      const { chatId } = await host.eventChat(event, guest);
      const connection = await enterWebSocket(t, server, guest);
      const frames = marketplaceFrames(chatId, event.id);
      for (let index = 0; index < FRAMES; index++) {
        connection.wire.sendText(mangledFrame(frames[index % frames.length], random));
      }
      connection.send('the end', {});
      await connection.first(({ data }) => data.event === 'the end', 'the last answer');
      const answers = connection.takeRest();
      if (answers.length <= FRAMES) throw new Error(`${answers.length} answers to ${FRAMES} frames`);
      const inside = answers.find(({ data }) => data.code === 'internal');
      if (inside) throw new Error(JSON.stringify(inside));
      return FRAMES;
    },
  }),
  mutations({
    what: 'mutated packets of Engine.IO and Socket.IO, by WebSocket and by polling', seconds: 15, short: 3,
    holds: 'an answer, or the end of the session; others are served; no panic',
    async round(t, server, random) {
      const below = (limit) => Math.floor(random() * limit);
      const chance = { below, pick: (list) => list[below(list.length)] };
      let sent = 0;
      for (let count = 0; count < 60; count++) {
        sent += await (count % 5 === 4 ? badPollingClient : badClient)(server, chance);
      }
      return sent;
    },
  }),
  mutations({
    what: 'mutated bodies, paths and queries of REST', seconds: 12, short: 2,
    holds: NO_FAULT,
    async round(t, server, random) {
      const host = new Backend(server);
      const user = await host.user('anna');
      const chat = await host.chat(user);
      const requests = restRequests(user, chat);
      const below = (limit) => Math.floor(random() * limit);
      const count = 400;
      const lane = async () => {
        for (let sent = 0; sent < count / 4; sent++) {
          const [method, path, body] = requests[below(requests.length)];
          const changed = body ? mangledFrame(body, random) : undefined;
          const where = below(2) ? path : mangledPath(path, random);
          const type = changed === undefined ? {} : { 'content-type': 'application/json' };
          const { status, text } = await host.raw(method, where, changed, type);
          if (status >= 500) throw new Error(`${method} ${where} ${changed}: ${status} ${text}`);
        }
      };
      await Promise.all([lane(), lane(), lane(), lane()]);
      return count;
    },
  }),
  mutations({
    what: 'mutated bytes of HTTP requests and upgrades', seconds: 10, short: 2,
    holds: NO_FAULT,
    async round(t, server, random) {
      const below = (limit) => Math.floor(random() * limit);
      const upgrade = ['Host: localhost', ...UPGRADE_LINES];
      const post = (line) => head('POST', '/api/v1/users', ['Host: localhost', 'Content-Type: application/json', line]);
      const samples = [
        head('GET', '/livez'), head('GET', '/socket.io/?EIO=4&transport=polling'), head('GET', '/ws?token=anna', upgrade),
        head('GET', '/socket.io/?EIO=4&transport=websocket', upgrade),
        `${post('Content-Length: 22')}{"externalUserId":"x"} `,
        `${post('Transfer-Encoding: chunked')}16\r\n{"externalUserId":"x"} \r\n0\r\n\r\n`,
      ];
      const count = 400;
      for (let sent = 0; sent < count; sent += 40) {
        await Promise.all(Array.from({ length: 40 }, async () => {
          const bytes = mangledBytes(samples[below(samples.length)], below);
          const connection = await TcpConnection.open(t, server);
          connection.write(bytes);
          // Part of a request has no answer: a moment, then it ends.
          const answer = await connection.response(200).catch(() => undefined);
          connection.destroy();
          if (answer && answer.status >= 500 && answer.status !== 501 && answer.status !== 505) {
            throw new Error(`${answer.status} ${answer.body} for ${JSON.stringify(`${bytes}`)}`);
          }
        }));
      }
      return count;
    },
  }),
];
