// @ts-check
// Owns what the kernel knows about the far end of a TCP connection on this machine. Does not know what is sent.
import { readFileSync } from 'node:fs';

const hex = (port) => port.toString(16).toUpperCase().padStart(4, '0');

/** How many bytes the process that listens on `port` has not read yet of a connection from `from`; undefined without one. */
export function unreadBytes(port, from) {
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, remote, , queues] = line.trim().split(/\s+/);
    if (local?.endsWith(`:${hex(port)}`) && remote.endsWith(`:${hex(from)}`)) return Number(`0x${queues.split(':')[1]}`);
  }
  return undefined;
}
