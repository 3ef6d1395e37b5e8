// @ts-check
// Owns one measurement: how much memory the server holds for each connection that is open and silent. It takes no
// part in the tests: `POLYCHAT_BIN=… node idle-memory.mjs [connections]`, with a release build.
import { RawClient } from './clients/engineio.mjs';
import { dial } from './clients/websocket.mjs';
import { startServer } from './harness/server.mjs';

const COUNT = Number(process.argv[2] ?? 2000);
const AT_ONCE = 50;
const SETTLE_MS = 3000;

const endings = [];
const owner = { after: (end) => endings.push(end) };
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A session on which no client is admitted. */
const stranger = async (server) => {
  const response = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
  if (!response.ok) throw new Error(`no session: ${response.status}`);
  await response.text();
};

const KINDS = {
  'Socket.IO, polling, nobody admitted': stranger,
  'Socket.IO, WebSocket': (server, number) => (
    new RawClient(owner, server.url).becomes({ user: { externalUserId: `user-${number}` } })
  ),
  'raw, action': (server, number) => dial(owner, server, '/ws/chat/room/', { token: `user-${number}` }),
  'raw, type': (server, number) => dial(owner, server, '/ws/chats/', { token: `user-${number}` }),
  'raw, marketplace': (server, number) => dial(owner, server, '/ws/events/', { token: `user-${number}` }),
};

/** Every user exists before the counting begins: the memory of a user is not that of a connection. */
async function measured(connect) {
  const server = await startServer(owner, ['--log-level', 'warn', '--max-unauthenticated', 'off', '--handshake-timeout', '10m']);
  for (let number = 0; number < COUNT; number += AT_ONCE) {
    const visits = Array.from({ length: Math.min(AT_ONCE, COUNT - number) }, (_, index) => (
      dial(owner, server, '/ws/chats/', { token: `user-${number + index}` }).then((wire) => wire.close())
    ));
    await Promise.all(visits);
  }
  await sleep(SETTLE_MS);
  const before = server.memory().now;
  for (let number = 0; number < COUNT; number += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, COUNT - number) }, (_, index) => connect(server, number + index));
    await Promise.all(some);
  }
  await sleep(SETTLE_MS);
  const after = server.memory().now;
  return { before, after };
}

const mib = (bytes) => (bytes / 1024 / 1024).toFixed(1);

console.log(`${COUNT} connections each; resident memory before and after in MiB, KiB for each connection`);
for (const [kind, connect] of Object.entries(KINDS)) {
  const { before, after } = await measured(connect);
  console.log(`${kind}: ${mib(before)} -> ${mib(after)}, ${((after - before) / COUNT / 1024).toFixed(1)}`);
  for (const end of endings.splice(0).reverse()) await end();
}
