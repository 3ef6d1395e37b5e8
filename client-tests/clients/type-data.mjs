// @ts-check
// Owns the client of the type dialect: connections, requests, and the exact form of the frames.
import assert from 'node:assert/strict';
import { uniqueName } from './fixtures.mjs';
import { PATH, dial } from './websocket.mjs';
import { checker } from '../data/shapes.mjs';

const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;

const id = (value) => Number.isSafeInteger(value) && value >= 1;
const text = (value) => typeof value === 'string';
const flag = (value) => typeof value === 'boolean';
const time = (value) => text(value) && TIME.test(value) && !Number.isNaN(Date.parse(value));
const person = (value) => { isPerson(value); return true; };
const persons = (value) => Array.isArray(value) && value.every(person);

const MESSAGE = { id, chat: id, sender: person, text, timestamp: time, is_read: flag };

export const isPerson = checker({ id, username: text }, 'the participant');
export const isChat = checker({ id, participants: persons, created_at: time, updated_at: time }, 'the chat');
export const isMessage = checker(MESSAGE, 'the message');
export const isListedMessage = checker({ ...MESSAGE, sender_username: text }, 'the listed message');
export const isJoining = checker({ chat: id, user: person }, 'the joining');

/** A user with a connection of this dialect, without pushes unless `push`. */
export async function connectType(owner, server, base, { push = false, token = uniqueName(base), path = PATH.type } = {}) {
  const wire = await dial(owner, server, path, { token, query: push ? {} : { push: '0' } });
  return { wire, token, name: token };
}

/** The data of the answer to a request, which must be of this type. */
export async function ask({ wire }, type, data, answerType) {
  const answer = await wire.ask({ type, data });
  assert.equal(answer.type, answerType, `${type} was answered with ${JSON.stringify(answer)}`);
  assert.deepEqual(Object.keys(answer).sort(), ['data', 'request_id', 'type']);
  return answer.data;
}

export const newChat = async (who) => (await ask(who, 'createEmptyChat', {}, 'emptyChatCreated')).id;
export const join = (who, chat, more) => ask(who, 'joinChat', { chat, ...more }, 'chatJoined');
export const sendMessage = (who, chat, words, more) => ask(who, 'newMessage', { chat, text: words, ...more }, 'messageCreated');
export const details = (who, chatId) => ask(who, 'getChatDetails', { chatId }, 'chatDetails');
export const chats = (who) => ask(who, 'getChats', {}, 'chatsList');
export const messages = (who, chatId, filter) => (
  ask(who, 'getChatMessages', { chatId, ...filter }, 'chatMessages')
);

/** The read flags of a chat's messages, oldest first. */
export const readFlags = async (who, chat) => (await messages(who, chat)).map(({ is_read }) => is_read);

/** The error of a request, which must be refused. */
export async function refusal({ wire }, type, data) {
  const answer = await wire.ask({ type, data });
  assert.equal(answer.type, 'error', `${type} was answered with ${JSON.stringify(answer)}`);
  return answer;
}

/** A chat with these participants, created by the first. */
export async function chatOf(...everyone) {
  const chat = await newChat(everyone[0]);
  for (const each of everyone) await join(each, chat);
  return chat;
}

/** The data of the pushed frames of a type, so far. */
export const pushed = ({ wire }, type) => (
  wire.frames.filter((frame) => frame.type === type && !Object.hasOwn(frame, 'request_id')).map(({ data }) => data)
);
