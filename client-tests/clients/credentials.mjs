// @ts-check
// Owns the ways in which clients of each transport carry a token, and what each is answered for a token that is not valid.
import assert from 'node:assert/strict';
import { Backend } from './rest.mjs';
import { connectRefused } from './socketio.mjs';
import { refusedWith } from './websocket.mjs';

export const RAW_PATHS = ['/ws/chat/room/', '/ws/chats/', '/ws/events/', '/ws'];

/** Every way to carry a token that must be refused, as the clients of each transport have it: the answer, if it is text. */
export const CARRIERS = {
  'auth of Socket.IO': (t, { url }, bad) => connectRefused(t, url, { auth: { token: bad } }),
  'query of Socket.IO': (t, { url }, bad) => connectRefused(t, url, { query: { token: bad } }),
  'query of Socket.IO polling': (t, { url }, bad) => (
    connectRefused(t, url, { query: { token: bad }, transports: ['polling'] })
  ),
  'header of Socket.IO': (t, { url }, bad) => (
    connectRefused(t, url, { extraHeaders: { authorization: `Bearer ${bad}` } })
  ),
  'auth of the marketplace': (t, { url }, bad) => connectRefused(t, `${url}/events`, { auth: { token: bad } }),
  'query of a raw WebSocket': async (t, server, bad) => {
    for (const path of RAW_PATHS) assert.equal(await refusedWith(t, server, path, { token: bad }), 401);
  },
  'header of a raw WebSocket': async (t, server, bad) => {
    const headers = { authorization: `Bearer ${bad}` };
    for (const path of RAW_PATHS) assert.equal(await refusedWith(t, server, path, { headers }), 401);
  },
  'query of REST': async (t, { url }, bad) => {
    const answer = await fetch(`${url}/api/v1/users?token=${encodeURIComponent(bad)}`);
    assert.equal(answer.status, 401);
    return answer.text();
  },
  'header of REST': async (t, server, bad) => (await new Backend(server, bad).call('GET', '/users')).text,
};
