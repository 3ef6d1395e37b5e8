// @ts-check
// Owns clients that send CONNECT and leave at once, on either transport of Engine.IO. Does not know the effect on the server.
import { PACKET } from './engineio.mjs';
import { encodePayload, sidOf, target } from './engineio-session.mjs';
import { TcpConnection, UPGRADE_LINES, frame, head } from './tcp.mjs';
import { newScope } from '../harness/scope.mjs';
import { eventually } from '../harness/wait.mjs';

const HOST = 'Host: localhost';
const LANES = 16;
const PATIENCE_MS = 60_000;

const connectPacket = `40${JSON.stringify({ token: 'anna' })}`;

/** Sends CONNECT and leaves at once: the connection to end. */
export const VISITS = {
  'by WebSocket': async (owner, server) => {
    const connection = await TcpConnection.open(owner, server);
    await connection.request('GET', target({ transport: 'websocket' }), [HOST, ...UPGRADE_LINES]);
    connection.write(frame(connectPacket));
    return connection;
  },
  // A polling session outlives its connections, so CLOSE follows at once.
  'by polling': async (owner, server) => {
    const connection = await TcpConnection.open(owner, server);
    const sid = sidOf(4, /** @type {any} */ (await connection.request('GET', target(), [HOST])));
    const body = encodePayload(4, [connectPacket, PACKET.close]);
    connection.write(head('POST', target({ sid }), [HOST, `Content-Length: ${body.length}`]) + body);
    return connection;
  },
};

/** So many visits, some at a time, ended by FIN or RST; until no more than `idle` and two sockets of the server are open. */
export async function visitMany(server, visit, count, idle) {
  const scope = newScope();
  let left = count;
  const lane = async (index) => {
    while (left-- > 0) {
      const connection = await visit(scope, server);
      if (index % 2) connection.reset(); else connection.destroy();
    }
  };
  await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)));
  await scope.end();
  await eventually(() => server.openSockets() <= idle + 2, 'all connections are closed', PATIENCE_MS);
}
