// @ts-check
// Owns mutated input: frames of the raw dialects and packets of Socket.IO with pieces cut out, doubled or put in.
import { ANY_VALUES } from './bad-frames.mjs';

const FRAME_PIECES = [...'"\\{}[],:- ', '\\u0000', '\\ud800', '\u0000', '\u2028', '😀', 'e9',
  ...ANY_VALUES.filter((value) => value.length < 50)];

/** A frame, mangled a little: pieces cut out, doubled, put in, put in place of others. */
export function mangledFrame(frame, random) {
  const below = (limit) => Math.floor(random() * limit);
  let text = JSON.stringify(frame);
  for (let times = below(4); times >= 0; times--) {
    const start = below(text.length);
    const end = Math.min(text.length, start + below(12));
    const pieces = ['', text.slice(start, end).repeat(2), FRAME_PIECES[below(FRAME_PIECES.length)]];
    text = text.slice(0, start) + pieces[below(3)] + text.slice(below(2) === 0 ? start : end);
  }
  return text;
}

/** Whole frames of each raw dialect about things that exist. */
export const typeFrames = (chat) => [
  { type: 'getChats', data: {} }, { type: 'createEmptyChat', data: {}, request_id: 1 },
  { type: 'joinChat', data: { chat, last_read_message: null } }, { type: 'getChatDetails', data: { chatId: chat } },
  { type: 'newMessage', data: { chat, text: 'hello', is_read: false, client_id: 'c-1' } },
  { type: 'getChatMessages', data: { chatId: chat, date_from: '2024-01-05', date_to: 'yesterday', last: 3 } },
];

export const actionFrames = (pk) => [
  { action: 'join_room', pk, request_id: 1 }, { action: 'retrieve', pk, request_id: 'a' },
  { action: 'create_message', message: 'hello', pk, client_id: 'c-1' }, { action: 'list', data: {} },
  { action: 'create', data: { name: 'Tea', team: 3 } }, { action: 'leave_room', pk },
  { stream: 'room', payload: { action: 'retrieve', pk, data: {}, request_id: [1] } },
];

export const marketplaceFrames = (chatId, eventId) => [
  { event: 'send_message', data: { chatId, message: { text: 'hello', photos: ['p-1'], attachedPhotos: ['p-2'] } } },
  { event: 'read_messages', data: { chatId, lastReadedMessageId: 1 } },
  { event: 'load_history', data: { chatId, lastMessageId: 3 } }, { event: 'open_chat', data: { eventId } },
  { event: 'request_access', data: { eventId } }, { event: 'grant_access', data: { chatId, granted: true } },
];

const ID = '01890000-0000-7000-8000-000000000000';

/** Valid packets, and invalid ones. */
const PACKETS = [
  '40', '40{"token":"anna"}', '40/events,{"token":"anna"}', '40/nowhere,', '41', '41/events,', '2', '3', '6', '2probe', '5',
  '420["create-user",{"user":{"externalUserId":"vandal"}}]', `427["new-message",{"room":"${ID}","msg":"x"}]`,
  `42["list-messages",{"chat":{"id":"${ID}"}}]`, '42/events,3["open_chat",{"eventId":1}]',
  `42/events,["send_message",{"chatId":"${ID}","message":{"text":"x","photos":["a"]}}]`, '430[]', '43/events,1["x"]',
  '44{"message":"no"}', '451-["new-message",{"_placeholder":true,"num":0}]', '452-/events,7["open_chat",{"num":-1}]',
  '451-["x",{"_placeholder":true,"num":99999999999}]', '461-3[{"_placeholder":true,"num":0}]', '4', '45', '450-["x"]',
  '4599999999999999999999-["x",{}]', '42/events', '42/,["x"]', `42/${'n'.repeat(300)},["x"]`, `42${'9'.repeat(40)}["x"]`,
  `42["x",${'['.repeat(400)}${']'.repeat(400)}]`, 'b4AAAA', 'bAAA=', '\u0000', '😀',
];

const PACKET_PIECES = ['', '"', '[', ']', '{', '}', ',', '/', '-', '4', '5', '1', '\\', '\u0000', '\x1e', 'b', '_placeholder'];

/** A packet with a piece cut out, doubled or put in. */
export function mangledPacket({ below, pick }) {
  let text = pick(PACKETS);
  for (let times = below(3); times > 0; times--) {
    const start = below(text.length + 1);
    const end = Math.min(text.length, start + below(6));
    text = text.slice(0, start) + pick([pick(PACKET_PIECES), text.slice(start, end).repeat(2)]) + text.slice(pick([start, end]));
  }
  return text;
}
