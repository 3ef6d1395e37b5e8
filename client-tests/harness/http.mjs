// @ts-check
// Owns HTTP asked on a connection of its own: no earlier request has prepared the way.
import { get } from 'node:http';
import { within } from './wait.mjs';

/** The status and the text of the answer. */
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
