// @ts-check
// Owns the choice of the server that cases of Engine.IO and Socket.IO run against: polychat, or with JUDGE=node the reference
// implementation, which shows that the cases are right. Does not know the cases.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { startServer } from './server.mjs';

/** Whether the cases are judged rather than the server. */
export const isJudged = process.env.JUDGE === 'node';

/** The option of a test that Node's server cannot pass, with the reason. */
export const skipOnNode = (reason) => ({ skip: isJudged && reason });

/** The events of a small chat, as the event-name dialect has them. */
function chat(io, users, chats) {
  io.use((socket, next) => {
    const token = socket.handshake.auth.token ?? socket.handshake.query.token;
    next(token === 'wrong' ? new Error('unauthenticated') : undefined);
  });
  io.on('connection', (socket) => {
    const bind = (id) => {
      if (!users.has(id)) users.set(id, { id, externalUserId: id });
      for (const each of chats) if (each.users.includes(id)) socket.join(each.id);
      socket.join(`user:${id}`);
      return users.get(id);
    };
    const token = socket.handshake.auth.token ?? socket.handshake.query.token;
    if (token !== undefined) bind(token);
    socket.on('create-user', ({ user }, ack) => { ack?.({ user: bind(user.externalUserId) }); });
    socket.on('create-chat', (body, ack) => {
      const made = { id: `chat-${chats.length + 1}`, users: body.users, seq: 0 };
      chats.push(made);
      io.in(made.users.map((id) => `user:${id}`)).socketsJoin(made.id);
      ack?.({ chat: made });
    });
    socket.on('list-chats', (_, ack) => { ack?.({ chats }); });
    socket.on('new-message', ({ room, msg }, ack) => {
      const found = chats.find(({ id }) => id === room);
      found.seq += 1;
      const stored = { id: `${room}/${found.seq}`, seq: found.seq, room, msg };
      io.to(room).emit('new-message', stored);
      ack?.(stored);
    });
  });
}

/** Node's server with a small chat, in this process. */
async function startNode(owner) {
  const load = createRequire(new URL('../../bench/peers/node-socketio/', import.meta.url));
  const { Server } = load('socket.io');
  const http = createServer((_, response) => { response.writeHead(404).end(); });
  const io = new Server(http, { allowEIO3: true });
  const [users, chats] = [new Map(), []];
  chat(io, users, chats);
  chat(io.of('/events'), users, chats);
  await new Promise((resolve) => { http.listen(0, '127.0.0.1', () => resolve(undefined)); });
  owner.after(() => {
    io.disconnectSockets(true);
    http.close();
    http.closeAllConnections();
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (http.address());
  return { port, url: `http://127.0.0.1:${port}`, logs: () => '' };
}

/**
 * The server that the cases run against.
 * @param {import('./scope.mjs').Owner} owner
 * @param {string[]} args
 * @returns {Promise<{ port: number, url: string, logs: () => string }>}
 */
export const startSubject = (owner, args = []) => (isJudged ? startNode(owner) : startServer(owner, args));
