// @ts-check
// A program: a small chat on Node's socket.io, with the events of the event-name dialect that the cases of conformance use,
// and the answers that polychat gives to events that it does not know. Its argument is the seconds that a client may take
// to connect. Does not know the cases.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

/** The CORS rules of polychat in open mode. */
const CORS = { origin: '*' };

const INVALID = { error: { code: 'invalid' } };
const NOT_FOUND = { error: { code: 'not_found' } };

/** The events; each returns its answer. */
const eventsOf = (io, { chats, bind }) => ({
  'create-user': ({ user }) => ({ user: bind(user.externalUserId) }),
  'create-chat': (body) => {
    const made = { id: `chat-${chats.length + 1}`, users: body.users, seq: 0 };
    chats.push(made);
    io.in(made.users.map((id) => `user:${id}`)).socketsJoin(made.id);
    return { chat: made };
  },
  'list-chats': () => ({ chats }),
  'new-message': ({ room, msg }) => {
    const found = chats.find(({ id }) => id === room);
    if (!found) return NOT_FOUND;
    found.seq += 1;
    const stored = { id: `${room}/${found.seq}`, seq: found.seq, room, msg };
    io.to(room).emit('new-message', stored);
    return stored;
  },
});

/** Whether an argument is or has an attachment. */
const hasBytes = (value) => Buffer.isBuffer(value)
  || (typeof value === 'object' && value !== null && Object.values(value).some(hasBytes));

const tokenOf = ({ handshake }) => handshake.auth.token ?? handshake.query.token;

function serve(io, users, chats) {
  io.use((socket, next) => { next(tokenOf(socket) === 'wrong' ? new Error('unauthenticated') : undefined); });
  io.on('connection', (socket) => {
    const bind = (id) => {
      if (!users.has(id)) users.set(id, { id, externalUserId: id });
      for (const each of chats) if (each.users.includes(id)) socket.join(each.id);
      socket.join(`user:${id}`);
      return users.get(id);
    };
    if (tokenOf(socket) !== undefined) bind(tokenOf(socket));
    const events = eventsOf(io, { chats, bind });
    socket.onAny((name, ...rest) => {
      const ack = typeof rest.at(-1) === 'function' ? rest.pop() : undefined;
      const answer = Object.hasOwn(events, name) && !rest.some(hasBytes) ? events[name](rest[0] ?? {}) : INVALID;
      if (ack) ack(answer);
      else if (answer === INVALID) socket.emit('exception', { event: name, ...INVALID });
      else if (name !== 'new-message') socket.emit(name, answer);
    });
  });
}

const load = createRequire(new URL('../../bench/peers/node-socketio/', import.meta.url));
const { Server } = load('socket.io');
const http = createServer((_, response) => { response.writeHead(404).end(); });
const seconds = process.argv[2];
const io = new Server(http, { allowEIO3: true, cors: CORS, ...(seconds && { connectTimeout: Number(seconds) * 1000 }) });
const [users, chats] = [new Map(), []];
serve(io, users, chats);
serve(io.of('/events'), users, chats);
http.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  console.log(`listening on http://127.0.0.1:${port}`);
});
