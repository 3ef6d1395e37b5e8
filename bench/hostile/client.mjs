// @ts-check
// Owns the connections of the hostile users and of the preparation: raw WebSockets with a bounded number of requests in
// flight. Does not know what they ask for.
import { createRequire } from 'node:module';
import path from 'node:path';

const { WebSocket } = createRequire(path.join(import.meta.dirname, '../../client-tests/'))('ws');

const OPEN_MS = 10_000;
/** How long a connection that was refused, or has ended, waits before the next attempt. */
const AGAIN_MS = 100;

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** A raw WebSocket in the action dialect. */
export class Client {
  constructor(port, user, number = 0) {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws/chat/room/?ack=1&token=${user}`, { handshakeTimeout: OPEN_MS });
    this.socket = socket;
    this.number = number;
    this.waiting = new Map();
    this.open = new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('closed')));
    });
    this.open.catch(() => {});
    socket.on('error', () => {});
    socket.on('close', () => {
      for (const answer of this.waiting.values()) answer(undefined);
      this.waiting.clear();
    });
    socket.on('message', (data) => this.received(data));
  }

  // Large answers are not decoded: the number of the request stands at the end.
  received(data) {
    const [, id] = /"request_id":(\d+)\}$/.exec(data.subarray(-40).toString()) ?? [];
    if (id === undefined) return;
    const answer = this.waiting.get(Number(id));
    this.waiting.delete(Number(id));
    answer?.(data);
  }

  /** The answer, as bytes; undefined: the connection has ended. */
  ask(request) {
    if (this.socket.readyState !== WebSocket.OPEN) return Promise.resolve(undefined);
    const id = ++this.number;
    return new Promise((resolve) => {
      this.waiting.set(id, resolve);
      this.socket.send(JSON.stringify({ ...request, request_id: id }));
    });
  }

  close() { this.socket.terminate(); }
}

/** Sends requests until the signal, so many in flight; a connection that ends is opened again. Counts into `counts`. */
export async function keepAsking({ port, user, inFlight, signal, counts }, request) {
  while (!signal.aborted) {
    const client = new Client(port, user);
    signal.addEventListener('abort', () => client.close(), { once: true });
    try {
      await client.open;
      const asking = Array.from({ length: inFlight }, async () => {
        while (!signal.aborted) {
          const answer = await client.ask(request());
          if (answer === undefined) return;
          const refused = answer.includes('"response_status":429', Math.max(0, answer.length - 200));
          counts[refused ? 'refused' : 'served'] += 1;
          if (refused) await pause(10);
        }
      });
      await Promise.all(asking);
    } catch { /* opened again below */ }
    if (!signal.aborted) {
      counts.ended += 1;
      await pause(AGAIN_MS);
    }
  }
}

/** Makes all these requests, so many in flight; the answers in order, decoded. */
export async function all(client, requests, inFlight = 128) {
  await client.open;
  const answers = new Array(requests.length);
  let next = 0;
  await Promise.all(Array.from({ length: inFlight }, async () => {
    for (let i = next++; i < requests.length; i = next++) {
      const answer = await client.ask(requests[i]);
      if (answer === undefined) throw new Error('the connection has ended');
      answers[i] = JSON.parse(answer.toString());
      if (answers[i].errors?.length) throw new Error(`${JSON.stringify(requests[i])}: ${answer}`);
    }
  }));
  return answers;
}
