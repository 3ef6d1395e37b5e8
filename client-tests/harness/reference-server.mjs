// @ts-check
// Owns Node's socket.io as it comes, with one room: each message of one client is sent to all others, and all can be listed.
// Does not know polychat: the frames that a client receives here are the reference.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const messages = [];
const server = createServer();
const io = new Server(server, { allowEIO3: true }); // version 2 of the client

io.on('connection', (socket) => {
  socket.on('new-message', ({ msg }, answer) => {
    const message = { seq: messages.length + 1, msg };
    messages.push(message);
    socket.broadcast.emit('new-message', message);
    answer(message);
  });
  socket.on('list-messages', ({ query }, answer) => answer({ messages: messages.slice(query.after_seq) }));
});

server.listen(Number(process.argv[2]), '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  console.log(`listening on http://127.0.0.1:${port}`);
});
