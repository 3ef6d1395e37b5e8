// @ts-check
// Owns the attacks with races: removals against every way into a chat, revocations against connects, limits against requests
// at once, one message by every dialect at once. Does not know how the server orders them.
import { during } from './tally.mjs';
import { connectAction } from '../clients/action.mjs';
import { chatOf, connectUser, sendMessage, uniqueName, withInbox } from '../clients/fixtures.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect, open } from '../clients/socketio.mjs';
import { connectType, newChat } from '../clients/type-data.mjs';
import { PATH, dial } from '../clients/websocket.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { newScope } from '../harness/scope.mjs';
import { startServer } from '../harness/server.mjs';
import { SECRET, now, token } from '../harness/tokens.mjs';
import { eventually, within } from '../harness/wait.mjs';

/** How many other chats the removed user has: they make a connect slow. */
const OTHER_CHATS = 60;

/** The requests of the action dialect by which a room is entered. */
const ACTIONS = ['join_room', 'subscribe_to_messages_in_room', 'subscribe_instance', 'retrieve'];

/** The user that is removed, on a connection of each dialect, whose every text is kept. */
class Removed {
  /** @type {string[]} */
  texts = [];

  constructor(server, user, { socket, action, type }) {
    this.server = server;
    this.token = user.externalUserId;
    this.socket = socket;
    this.action = action;
    this.type = type;
    this.#keep(socket);
    for (const { wire } of [action, type]) wire.listen((frame) => this.texts.push(JSON.stringify(frame)));
  }

  static async connect(t, server, user) {
    const named = user.externalUserId;
    return new Removed(server, user, {
      socket: await connect(t, server.url, { auth: { token: named } }),
      action: await connectAction(t, server, 'x', { token: named, acks: true }),
      type: await connectType(t, server, 'x', { token: named, push: true }),
    });
  }

  #keep(socket) {
    socket.onAny((...all) => this.texts.push(JSON.stringify(all)));
  }

  /** Every request of the open connections by which a chat is read or entered. */
  requests(chat) {
    const asked = (event, body) => async () => {
      this.texts.push(JSON.stringify(await this.socket.timeout(10_000).emitWithAck(event, body)));
    };
    const sent = ({ wire }, frame) => async () => { wire.send(frame); };
    return [
      asked('sync', { chats: { [chat.id]: 0 } }), asked('list-messages', { chat: { id: chat.id } }), asked('list-chats', {}),
      ...ACTIONS.map((action) => sent(this.action, { action, pk: chat.pk })),
      sent(this.action, { action: 'sync', chats: { [chat.pk]: 0 } }),
      sent(this.type, { type: 'joinChat', data: { chat: chat.pk } }),
      sent(this.type, { type: 'getChatMessages', data: { chatId: chat.pk } }),
      sent(this.type, { type: 'sync', data: { chats: { [chat.pk]: 0 } } }),
    ];
  }

  /** New connections of each kind, which stay open until the owner ends. */
  connects(t, chat) {
    const { url } = this.server;
    const socket = (options) => async () => {
      const opened = open(t, url, { ...options, opened: (made) => this.#keep(made) });
      await within(new Promise((resolve) => { opened.once('connect', resolve).once('connect_error', resolve); }), () => 'a connect');
    };
    const raw = (path, request) => async () => {
      const wire = await dial(t, this.server, path, {
        token: this.token, opened: (made) => made.listen((frame) => this.texts.push(JSON.stringify(frame))),
      });
      wire.send(request);
    };
    const auth = { token: this.token };
    return [
      socket({ auth }), socket({ auth: { ...auth, since: { [chat.id]: 0 } } }), socket({ auth, transports: ['polling'] }),
      raw(PATH.type, { type: 'sync', data: { chats: { [chat.pk]: 0 } } }),
      raw(PATH.action, { action: 'subscribe_to_messages_in_room', pk: chat.pk }),
      raw(PATH.action, { action: 'subscribe_instance', pk: chat.pk }),
    ];
  }

  /** Waits until everything requested before is answered. */
  async flush() {
    await ask(this.socket, 'list-messages', { chat: { id: '01890000-0000-7000-8000-000000000000' } }).catch(() => {});
    for (const { wire } of [this.action, this.type]) {
      await wire.ask({ action: 'no_such_action', type: 'no_such_type' });
      [wire.frames.length, wire.texts.length] = [0, 0];
    }
  }
}

/** Removes a user while it enters by every way at once; then nothing of the chat may reach it. */
async function removals({ t, chance, seconds, tally }, server) {
  const host = new Backend(server);
  const [user, other] = [await host.user('removed'), await host.user('other')];
  for (let made = 0; made < OTHER_CHATS; made++) await host.chat(user, other);
  const keeper = await connectUser(t, server, 'keeper');
  const removed = await Removed.connect(t, server, user);
  let rounds = 0;
  await during(seconds, async (round) => {
    const scope = newScope();
    const chat = await host.chat(keeper, user);
    await sendMessage(keeper, chat, 'before');
    const ways = [...removed.requests(chat), ...removed.connects(scope, chat)];
    const delays = ways.map(() => chance.below(12));
    const attempts = ways.map(async (way, index) => {
      await chance.sleep(delays[index], delays[index]);
      await way().catch(() => {}); // refused, or too late
    });
    await chance.sleep(0, 10);
    await host.ok(200, 'DELETE', `/chats/${chat.id}/members/${user.id}`);
    const [message, name] = [`after-${round}-${chance.below(1e9)}`, `renamed-${round}-${chance.below(1e9)}`];
    await sendMessage(keeper, chat, message);
    await host.ok(200, 'PATCH', `/chats/${chat.id}`, { name });
    await Promise.all(attempts);
    await sendMessage(keeper, chat, `${message}, too`);
    await host.ok(200, 'PATCH', `/chats/${chat.id}`, { name: `${name}, too` });
    await removed.flush();
    await chance.sleep(10, 20);
    tally.count(ways.length);
    const ghost = removed.texts.find((text) => text.includes(message) || text.includes(name));
    if (ghost) tally.fail(`round ${round}: the removed user received ${ghost.slice(0, 500)}`);
    removed.texts.length = 0;
    await scope.end();
    rounds += 1;
  });
  tally.measured = `${rounds} removals`;
}

const REMOVALS = {
  kind: 'races', holds: 'nothing that was stored after the removal was acknowledged reaches the removed user, on any connection',
};

/** Tokens of a user are revoked while the user connects in every way: afterwards no such connection is open. */
async function revocations({ chance, seconds, tally, t }) {
  const server = await startServer(t, ['--auth', 'jwt', '--jwt-secret', SECRET]);
  const host = new Backend(server, await token({ sub: 'backend', role: 'service' }));
  await during(seconds, async (round) => {
    const scope = newScope();
    const user = await host.user('revoked');
    const jwt = await token({ sub: user.externalUserId, iat: now() - 5 });
    const opened = [];
    const ways = [
      () => connect(scope, server.url, { auth: { token: jwt }, opened: (socket) => opened.push(() => socket.connected) }),
      () => connect(scope, `${server.url}/events`, { auth: { token: jwt }, opened: (socket) => opened.push(() => socket.connected) }),
      ...[PATH.type, PATH.action, '/ws/events/', PATH.either].map((path) => () => (
        dial(scope, server, path, { token: jwt, opened: (wire) => opened.push(() => wire.isOpen) })
      )),
    ];
    const attempts = [...ways, ...ways].map(async (way) => {
      await chance.sleep(0, 10);
      await way().catch(() => {}); // refused
    });
    await chance.sleep(0, 10);
    await host.ok(200, 'POST', `/users/${user.id}/revoke`, {});
    await Promise.all(attempts);
    tally.count(attempts.length);
    const isOver = () => opened.every((isOpen) => !isOpen());
    await eventually(isOver, 'all have ended', 3000).catch(() => {
      tally.fail(`round ${round}: a connection with a revoked token is open`);
    });
    await scope.end();
  });
}

/** A limit that many requests reach at once. */
async function limits({ t, seconds, tally }) {
  const [members, chats] = [10, 5];
  const server = await startServer(t, ['--max-members', `${members}`, '--max-chats-per-user', `${chats}`]);
  const host = new Backend(server);
  await during(seconds, async (round) => {
    const users = await Promise.all(Array.from({ length: 28 }, () => host.user('member')));
    const chat = await host.chat(...users.slice(0, 4));
    const add = ({ id }) => host.call('POST', `/chats/${chat.id}/members`, { users: [id] });
    const added = await Promise.all(users.slice(4).map(add));
    const { users: present } = await host.get(`/chats/${chat.id}`);
    const done = added.filter(({ status }) => status === 200).length;
    tally.count(added.length);
    const isRight = present.length === members && done === members - 4;
    if (!isRight) tally.fail(`round ${round}: ${present.length} members after ${done} additions`);

    const scope = newScope();
    const owner = await host.user('owner');
    const enter = () => connectType(scope, server, 'x', { token: owner.externalUserId });
    const clients = await Promise.all([enter(), enter(), enter(), enter()]);
    const made = await Promise.all([
      ...Array.from({ length: 12 }, (_, index) => newChat(clients[index % 4]).then(() => true, () => false)),
      ...Array.from({ length: 12 }, () => host.call('POST', '/chats', { users: [owner.id] }).then(({ status }) => status === 201)),
    ]);
    tally.count(made.length);
    const count = made.filter(Boolean).length;
    if (count !== chats) tally.fail(`round ${round}: ${count} chats of a user who may have ${chats}`);
    await scope.end();
  });
}

/** One message is sent by every dialect at once, several times: it is stored once. */
async function repetitions({ t, seconds, tally }) {
  const server = await startServer(t);
  const host = new Backend(server);
  const user = await host.user('writer');
  const auth = { token: user.externalUserId };
  const first = withInbox(await connect(t, server.url, { auth }), user);
  const polling = await connect(t, server.url, { auth, transports: ['polling'] });
  const action = await connectAction(t, server, 'x', { token: auth.token, acks: true });
  const type = await connectType(t, server, 'x', { token: auth.token });
  const chat = await chatOf(first);
  const { pk } = await host.get(`/chats/${chat.id}`);
  await during(seconds, async (round) => {
    const [client_id, text] = [uniqueName('c'), `message ${round}`];
    const ways = [
      ...[first.socket, polling].map((socket) => () => ask(socket, 'new-message', { room: chat.id, msg: text, client_id })),
      () => action.wire.ask({ action: 'create_message', pk, message: text, client_id }),
      () => type.wire.ask({ type: 'newMessage', data: { chat: pk, text, client_id } }),
      () => host.call('POST', `/chats/${chat.id}/messages`, { userId: user.id, text, client_id }),
    ];
    await Promise.all([...ways, ...ways].map((way) => way()));
    tally.count(2 * ways.length);
    const { messages } = await host.get(`/chats/${chat.id}/messages?after_seq=${round}&limit=100`);
    if (messages.length !== 1) tally.fail(`round ${round}: stored ${JSON.stringify(messages)}`);
  });
}

/** @type {import('./tally.mjs').Attack[]} */
export const ATTACKS = [
  {
    ...REMOVALS, what: 'removals against connects, subscriptions, joins, `sync` and reads in every dialect at once, on SQLite',
    seconds: 30, short: 6,
    run: async (run) => removals(run, await startServer(run.t)),
  },
  {
    ...REMOVALS, what: 'the same on MongoDB', seconds: 25,
    run: async (run) => {
      const { url } = await startMongod(run.t);
      const store = new URL(url);
      store.pathname = '/races';
      await removals(run, await startServer(run.t, ['--store', store.href]));
    },
  },
  {
    kind: 'races', what: 'revoked tokens against connects in every dialect', holds: 'no connection with such a token stays open',
    seconds: 8, short: 2, run: revocations,
  },
  {
    kind: 'races', what: '24 additions to a chat for 10, and 24 chats of a user who may have 5, at once', holds: 'the limits',
    seconds: 8, run: limits,
  },
  {
    kind: 'races', what: 'one `client_id` sent by every dialect and REST at once, twice', holds: 'one message',
    seconds: 6, short: 2, run: repetitions,
  },
];
