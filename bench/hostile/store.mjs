// @ts-check
// Owns the store on which the hostile users act: closed chats of others, a large room, rooms with many messages. Does not
// know what they do with it.
import { Agent, request as http } from 'node:http';
import { Client, all } from './client.mjs';

const IN_FLIGHT = 64;
const TEXT = 'x'.repeat(128);
const LONG = 1000;
const LONG_TEXT = '\u0001'.repeat(8000);

/** One POST to the API. */
function post(port, agent, target, body) {
  return new Promise((resolve, reject) => {
    const sent = http({ port, agent, host: '127.0.0.1', method: 'POST', path: `/api/v1${target}`, headers: { 'content-type': 'application/json' } }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const text = Buffer.concat(parts).toString();
        if (answer.statusCode !== 201 && answer.statusCode !== 200) reject(new Error(`${target}: ${answer.statusCode} ${text}`));
        else resolve(JSON.parse(text));
      });
    });
    sent.on('error', reject);
    sent.end(JSON.stringify(body));
  });
}

async function closedChats(port, count) {
  const agent = new Agent({ keepAlive: true, maxSockets: IN_FLIGHT });
  const { id } = await post(port, agent, '/users', { externalUserId: 'somebody' });
  let left = count;
  await Promise.all(Array.from({ length: IN_FLIGHT }, async () => {
    while (left-- > 0) await post(port, agent, '/chats', { users: [id] });
  }));
  agent.destroy();
}

async function room(port, owner) {
  const client = new Client(port, owner);
  const [{ data: { pk } }] = await all(client, [{ action: 'create', data: { name: 'room' } }]);
  await all(client, [{ action: 'join_room', pk }]);
  return { client, pk };
}

async function messages({ client, pk }, count, text) {
  await all(client, Array.from({ length: count }, () => ({ action: 'create_message', pk, message: text })));
  client.close();
  return pk;
}

/** Fills the store through a server without limits. What it answers is what the attacks need. */
export async function fill(port, { closed, members, messages: each, rooms }) {
  await closedChats(port, closed);
  const large = await room(port, 'somebody');
  large.client.close();
  for (let i = 0; i < members; i++) {
    const member = new Client(port, `member-${i}`);
    await all(member, [{ action: 'join_room', pk: large.pk }]);
    member.close();
  }
  const deleted = [];
  for (let i = 0; i < rooms; i++) deleted.push(await messages(await room(port, 'hostile-owner'), each, TEXT));
  const long = await messages(await room(port, 'somebody'), LONG, LONG_TEXT);
  return { large: large.pk, deleted, long };
}
