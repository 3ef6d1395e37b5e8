// @ts-check
// Owns the client of the REST API, which the host application's backend uses, and fixtures created with it.
import assert from 'node:assert/strict';
import { uniqueName } from './fixtures.mjs';
import { within } from '../harness/wait.mjs';

const JSON_TYPE = 'application/json';
const PROBLEM_TYPE = 'application/problem+json';

/** The members of every problem; there may be `retry_after_ms`, too. */
const PROBLEM = ['type', 'title', 'status', 'detail', 'code', 'retryable'];

/** Sends a request as it is given: the status, the headers, the parsed body (undefined if there is none). */
async function send(url, request) {
  const response = await within(fetch(url, request), () => `an answer of ${request.method} ${url}`);
  const text = await response.text();
  const type = response.headers.get('content-type')?.split(';')[0].trim();
  const body = [JSON_TYPE, PROBLEM_TYPE].includes(type) ? JSON.parse(text) : undefined;
  return { status: response.status, headers: response.headers, type, text, body };
}

/** The backend of a host application, with its token. */
export class Backend {
  #root;
  #token;

  constructor({ url }, token) {
    this.#root = `${url}/api/v1`;
    this.#token = token;
  }

  /** One call with a body that is JSON. */
  call(method, path, body, headers = {}) {
    const described = body === undefined ? {} : { 'content-type': JSON_TYPE };
    return this.raw(method, path, body === undefined ? undefined : JSON.stringify(body), { ...described, ...headers });
  }

  /** One call with a body that may be anything. */
  raw(method, path, body, headers = {}) {
    const authorization = this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
    return send(`${this.#root}${path}`, { method, body, headers: { ...authorization, ...headers } });
  }

  /** One call that has to succeed with this status: the body. */
  async ok(status, method, path, body, headers) {
    const answer = await this.call(method, path, body, headers);
    assert.equal(answer.status, status, `${method} ${path} was answered ${answer.status} ${answer.text}`);
    if (answer.text !== '') assert.equal(answer.type, JSON_TYPE);
    return answer.body;
  }

  /** One call that has to be refused: the problem. */
  async refused(status, code, method, path, body, headers) {
    return isProblem(await this.call(method, path, body, headers), status, code);
  }

  get(path) { return this.ok(200, 'GET', path); }

  user(base, profile) { return this.ok(200, 'POST', '/users', { externalUserId: uniqueName(base), ...profile }); }

  event(owner, details) {
    const plain = { name: uniqueName('event'), dateFromS: 1_957_817_098, dateToS: 2_514_131_321 };
    return this.ok(201, 'POST', '/events', { eventOwnerId: owner.pk, ...plain, ...details });
  }

  chat(...users) { return this.ok(201, 'POST', '/chats', { users: users.map(({ id }) => id) }); }

  /** The chat about an event with this guest; it is opened if there is none. */
  async eventChat(event, guest) {
    const answer = await this.call('POST', `/events/${event.id}/chats`, { userId: guest.id });
    assert.ok([200, 201].includes(answer.status), answer.text);
    return answer.body;
  }

  sendMessage(chat, user, text, more) {
    return this.ok(201, 'POST', `/chats/${chat.chatId ?? chat.id}/messages`, { userId: user.id, text, ...more });
  }

  /** The items of up to `most` pages of a list, with `limit` items a page: a list for each page. */
  async all(path, what, limit, most = 100) {
    const all = [];
    for (let pages = 0, cursor; pages < most; pages++) {
      const query = new URLSearchParams({ limit, ...(cursor && { cursor }) });
      const page = await this.get(`${path}${path.includes('?') ? '&' : '?'}${query}`);
      all.push(page[what]);
      cursor = page.next;
      if (cursor === null) return all;
    }
    throw new Error(`${path} has more than ${most} pages`);
  }
}

/** Asserts a problem of RFC 9457: its media type, its members, the status in both places. */
export function isProblem({ status, type, body, text }, expected, code) {
  assert.equal(status, expected, text);
  assert.equal(type, PROBLEM_TYPE, text);
  for (const member of PROBLEM) assert.ok(Object.hasOwn(body, member), `'${member}' is missing: ${text}`);
  assert.equal(body.status, expected);
  for (const member of ['type', 'title', 'detail']) assert.equal(typeof body[member], 'string', text);
  assert.ok(body.detail.length > 0);
  assert.equal(body.code, code, text);
  assert.equal(body.retryable, ['rate_limited', 'unavailable', 'internal'].includes(code), text);
  return body;
}
