// @ts-check
// Owns a store with everything that clients and backends can make: by all dialects and by REST. Does not export it.
import * as action from '../clients/action.mjs';
import { connectSocketIo, connectWebSocket, entered, flush } from '../clients/marketplace.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import * as type from '../clients/type-data.mjs';
import { startServer } from '../harness/server.mjs';
import { now, token } from '../harness/tokens.mjs';
import { JWT } from './import.commands.mjs';

/** A server on a store, and its backend. */
export async function startOn(owner, store) {
  const server = await startServer(owner, [...JWT, '--store', store]);
  return { server, host: new Backend(server, await token({ sub: 'backend', role: 'service' })) };
}

/** A user with a connection by Socket.IO. */
export async function visit(owner, server, name) {
  const signed = await token({ sub: name });
  const socket = await connect(owner, server.url, { auth: { token: signed } });
  const { user } = await ask(socket, 'create-user', { user: { externalUserId: name } });
  return { socket, user, id: user.id, token: signed, name };
}

async function byEventName({ anna, boris }) {
  const { chat } = await ask(anna.socket, 'create-chat', { chat: { name: 'Ужин 🍲' }, users: [anna.id, boris.id] });
  const send = ({ socket }, msg, more) => ask(socket, 'new-message', { room: chat.id, msg, ...more });
  await send(anna, 'one', { client_id: 'c-1', metadata: { mood: { level: 1e2, list: [null, true, '\u2028'] } } });
  await send(boris, 'two\n\tlines "quoted" \\ 👩‍👩‍👧', { type: 'image', client_id: 'c-1' });
  await send(anna, 'three');
  return chat;
}

async function byAction(owner, server, { anna, boris, carl }) {
  const [a, b, c] = await Promise.all([anna, boris, carl].map((who) => (
    action.connectAction(owner, server, who.name, { token: who.token, acks: true })
  )));
  const pk = await action.newRoom(a);
  for (const who of [a, b, c]) await action.ask(who, 'join_room', { pk });
  for (const who of [a, c, b]) await action.ask(who, 'create_message', { pk, message: `hello from ${who.name}` });
  await action.ask(a, 'patch', { pk, data: { name: 'The room', team: 7 } });
  await action.ask(c, 'leave_room', { pk });
  await action.ask(a, 'create_message', { pk, message: 'carl has left' });
  await action.ask(c, 'join_room', { pk });
  const deleted = await action.newRoom(a);
  await action.ask(a, 'join_room', { pk: deleted });
  await action.ask(a, 'create_message', { pk: deleted, message: 'gone' });
  await action.ask(a, 'delete', { pk: deleted }, 204);
  return pk;
}

async function byType(owner, server, { anna, vera }) {
  const [a, v] = await Promise.all([anna, vera].map((who) => type.connectType(owner, server, who.name, { token: who.token })));
  const chat = await type.chatOf(a, v);
  await type.sendMessage(a, chat, 'by type', { client_id: 'c-1' });
  await type.sendMessage(v, chat, 'the answer', { is_read: true });
  await type.newChat(v);
  return chat;
}

async function byMarketplace(owner, server, host, { olga, gleb }) {
  const event = await host.event(olga.user, { name: 'Picnic', location: 'the park', iconsUUIDs: ['a', 'b'] });
  await host.event(olga.user, { name: 'nobody came' });
  const gone = await host.event(olga.user, { name: 'gone' });
  await host.eventChat(gone, gleb.user);
  await host.ok(204, 'DELETE', `/events/${gone.id}`);
  const guest = await entered(connectSocketIo(owner, server, { token: gleb.token }));
  const host_ = await entered(connectWebSocket(owner, server, { token: olga.token }));
  const { chatId } = await guest.ask('open_chat', { eventId: event.id });
  await guest.ask('request_access', { eventId: event.id, message: 'May I come?' });
  host_.send('send_message', { chatId, message: { text: 'yes', photos: ['p1', 'p2'] } });
  host_.send('grant_access', { chatId, granted: true });
  await flush(host_);
  await guest.ask('send_message', { chatId, message: { text: '', photos: ['p3'], client_id: 'c-1', metadata: { a: 1 } } });
  return event;
}

async function byRest(host, { anna, boris, carl, vera, eve }, room) {
  const body = { externalChatId: 'order-1', name: 'Order', users: [anna.id, carl.id, vera.id], policy: 'closed' };
  const order = await host.ok(201, 'POST', '/chats', body, { 'idempotency-key': 'order-1' });
  await host.sendMessage(order, carl.user, 'from the backend', { client_id: 'b-1' });
  await host.ok(200, 'POST', `/chats/${order.id}/read`, { userId: vera.id, seq: 1 });
  await host.ok(200, 'PUT', `/chats/${room}/members/${boris.id}/role`, { role: 'moderator' });
  await host.ok(200, 'PUT', `/chats/${room}/mutes/${carl.id}`, { seconds: 400_000_000 });
  await host.ok(200, 'PUT', `/chats/${room}/bans/${eve.id}`, {});
  await host.ok(200, 'PUT', `/chats/${room}/bans/${vera.id}`, { seconds: 400_000_000 });
  // Its role and its mute are kept.
  await host.ok(200, 'PUT', `/chats/${order.id}/members/${carl.id}/role`, { role: 'reader' });
  await host.ok(200, 'PUT', `/chats/${order.id}/mutes/${carl.id}`, {});
  await host.ok(200, 'DELETE', `/chats/${order.id}/members/${carl.id}`);
  await host.ok(200, 'PATCH', `/users/${anna.id}`, { name: 'Анна', avatar: 'https://x.example/a.png', imageUUID: 'i-1' });
  await host.ok(200, 'POST', `/users/${eve.id}/revoke`, { before: new Date(now() * 1000).toISOString() });
  return { order, body };
}

/** Fills a store: the names of what is there. */
export async function fill(owner, store) {
  const { server, host } = await startOn(owner, store);
  const names = ['anna', 'boris', 'carl', 'vera', 'eve', 'olga', 'gleb', 'external:odd'];
  /** @type {any} */
  const users = {};
  for (const name of names) users[name] = await visit(owner, server, name);
  const chat = await byEventName(users);
  const room = await byAction(owner, server, users);
  await byType(owner, server, users);
  const event = await byMarketplace(owner, server, host, users);
  const { order, body } = await byRest(host, users, room);
  // The last number of each kind belongs to nothing.
  await host.ok(204, 'DELETE', `/chats/${(await host.chat(users.anna.user)).id}`);
  await server.stop();
  return { chat, event, order, body };
}
