// @ts-check
// Owns HTTP requests on a new connection each: no earlier request can have opened it.
import { get } from 'node:http';
import { within } from './wait.mjs';

/** Sends GET: the status and the text of the response. */
export function probe(url) {
  const answered = new Promise((resolve, reject) => {
    get(url, { headers: { connection: 'close' } }, async (response) => {
      let body = '';
      for await (const text of response.setEncoding('utf8')) body += text;
      resolve({ status: response.statusCode, body });
    }).once('error', reject);
  });
  return within(answered, () => `the answer of ${url}`);
}
