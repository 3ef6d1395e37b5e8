// @ts-check
// Owns what the kernel knows about the far end of a TCP connection on this machine. Does not know what is sent.
import { readFile } from 'node:fs/promises';

const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');

/** How many bytes the process that listens on `port` has not read yet of a connection from `from`; undefined without one. */
export async function unreadBytes(port, from) {
  const all = await readFile('/proc/net/tcp', 'utf8');
  const end = new RegExp(`:${hex(port)} \\w+:${hex(from)} \\w+ \\w+:(\\w+) `).exec(all);
  return end ? Number(`0x${end[1]}`) : undefined;
}

/** Whether the process at the far end of this socket has read all that was written to it. */
export const isRead = async ({ writableLength, localPort, remotePort }) => (
  writableLength === 0 && await unreadBytes(remotePort, localPort) === 0
);
