// Owns the figure of what an idle connection costs: how much the server grows by some thousands that say nothing, for each
// transport. A script and not a test: `node faults/idle.mjs [CONNECTIONS]` prints a table.
import { newScope } from '../lib/scope.mjs';
import { startServer } from '../lib/server.mjs';
import { eventually } from '../lib/wait.mjs';
import { connect } from '../lib/client.mjs';
import { dial } from '../lib/wire.mjs';
import { inTurns } from '../lib/voices.mjs';

const COUNT = Number(process.argv[2] ?? 2000);
const WARM_UP = 100;
const PATIENCE_MS = 60_000;

const KINDS = {
  'Socket.IO over WebSocket, /': (scope, { url }, token) => connect(scope, url, { auth: { token } }),
  'Socket.IO over WebSocket, /events': (scope, { url }, token) => connect(scope, `${url}/events`, { auth: { token } }),
  'raw WebSocket, action': (scope, server, token) => dial(scope, server, '/ws/chat/room/', { token }),
  'raw WebSocket, type': (scope, server, token) => dial(scope, server, '/ws/chats/', { token }),
};

/** A server of its own for each kind: memory before and after, with each connection a user of its own. */
async function measure(open) {
  const scope = newScope();
  try {
    const server = await startServer(scope, ['--store', 'sqlite::memory:']);
    const names = Array.from({ length: WARM_UP + COUNT }, (_, index) => `user-${index}`);
    const come = (some) => inTurns(some, 50, (name) => open(scope, server, name));
    await come(names.slice(0, WARM_UP));
    const before = server.memory().now;
    await come(names.slice(WARM_UP));
    await eventually(() => server.openSockets() >= names.length, 'all are connected', PATIENCE_MS);
    return (server.memory().now - before) / COUNT;
  } finally {
    await scope.end();
  }
}

console.log(`node faults/idle.mjs ${COUNT}\n`);
console.log('| connection | KiB each |\n|---|---|');
for (const [kind, open] of Object.entries(KINDS)) console.log(`| ${kind} | ${((await measure(open)) / 1024).toFixed(1)} |`);
process.exit(0);
