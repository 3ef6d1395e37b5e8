// @ts-check
// Owns the reference that Autobahn's cases run on, too: Node's `ws` and Engine.IO, which echo. Prints
// its port, and ends with its standard input. Does not know the cases.
import { createServer } from 'node:http';
import { Server } from 'socket.io';
import { WebSocketServer } from 'ws';

/** The longest message of a case, with a byte of Engine.IO before it. */
const LONGEST = 16 * 1024 * 1024 + 1;

const http = createServer();

const plain = new WebSocketServer({ noServer: true, maxPayload: LONGEST });
plain.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => socket.send(data, { binary }));
});

const { engine } = new Server(http, { maxHttpBufferSize: LONGEST });
// Only the Engine.IO below is tested: Socket.IO's own listener would take the messages for packets.
engine.removeAllListeners('connection');
engine.on('connection', (session) => session.on('message', (data) => session.send(data)));

http.on('upgrade', (request, socket, head) => {
  if (!request.url?.startsWith('/ws/chats/')) return;
  plain.handleUpgrade(request, socket, head, (client) => plain.emit('connection', client, request));
});

http.listen(0, '127.0.0.1', () => {
  const address = http.address();
  if (typeof address === 'object') console.log(address?.port);
});
process.stdin.on('close', () => process.exit()).resume();
