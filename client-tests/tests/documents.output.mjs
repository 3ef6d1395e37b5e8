// @ts-check
// Owns the comparison of printed output with a document: `…` stands for anything (in an object for further fields), a
// time for any time, the beginning of a UUID for any UUID.
import assert from 'node:assert/strict';

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** The regular expression of a text as it is printed in a document. */
function pattern(text) {
  const source = escaped(text)
    .replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){0,3}-…/g, '[0-9a-f-]{36}')
    .replace(/…/g, '.*')
    .replace(/\d{4}-\d\d-\d\dT[\d:]+(\\\.\d+)?Z/g, '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z')
    .replace(/\d\d-\d\d-\d{4} \d\d:\d\d:\d\d/g, '[\\d-]+ [\\d:]+');
  return new RegExp(`^${source}$`, 's');
}

/** JSON as it is shown, parsed: outside strings `…` becomes a field, or an item, of that name. */
function parseShown(json) {
  const parts = json.split(/("(?:[^"\\]|\\.)*")/);
  const whole = parts.map((part, at) => {
    if (at % 2) return part.replace(/\n\s*/g, ' ');
    return part.replace(/\[\s*…\s*\]|…/g, (found) => (found === '…' ? '"…":0' : '["…"]'));
  });
  return JSON.parse(whole.join(''));
}

/** Where a value differs from what is shown, or undefined. */
function difference(actual, shown, path = '') {
  if (typeof shown === 'string' && typeof actual === 'string') return pattern(shown).test(actual) ? undefined : path;
  if (shown === null || typeof shown !== 'object') return actual === shown ? undefined : path;
  if (actual === null || typeof actual !== 'object' || Array.isArray(actual) !== Array.isArray(shown)) return path;
  const wanted = Object.keys(shown);
  const isOpen = Array.isArray(shown) ? shown[0] === '…' : wanted.includes('…');
  if (Array.isArray(shown) && isOpen) return undefined;
  const keys = Object.keys(actual);
  const extra = keys.find((key) => !wanted.some((name) => pattern(name).test(key)));
  if (!isOpen && extra !== undefined) return `${path}.${extra}`;
  for (const name of wanted.filter((other) => other !== '…')) {
    const found = keys.filter((key) => pattern(name).test(key))
      .map((key) => difference(actual[key], shown[name], `${path}.${name}`));
    if (!found.includes(undefined)) return found[0] ?? `${path}.${name}`;
  }
  return undefined;
}

/** Asserts that JSON is as the document shows. */
export function assertJson(actual, shown, where) {
  const found = difference(JSON.parse(actual), parseShown(shown));
  assert.equal(found, undefined, `${where}: ${found ?? ''} of\n${actual}\nis not what the document shows:\n${shown}`);
}

/** The names of fields in quotes, as in JSON. */
export const quoted = (text) => text.replace(/([{,]\s*)(\w+):/g, '$1"$2":');

/** A response of curl, with or without its head. */
function assertResponse(actual, shown, where) {
  const body = shown.search(/^[[{]/m);
  const head = shown.slice(0, body < 0 ? undefined : body).trim().split('\n').filter(Boolean);
  const parts = actual.split('\r\n\r\n');
  const lines = head.length > 0 ? parts.shift().toLowerCase().split('\r\n') : [];
  for (const line of head) {
    assert.ok(lines.some((has) => pattern(line.toLowerCase()).test(has.trim())), `${where}: no "${line}" in\n${actual}`);
  }
  if (body < 0) assert.equal(parts.join(''), '', where);
  else assertJson(parts.join(''), shown.slice(body), where);
}

/** The output of a block is what the document shows after it; in any order if `unordered`. */
export function assertOutput(actual, shown, where, unordered) {
  if (/^(HTTP\/|[[{])/.test(shown)) {
    assertResponse(actual, shown, where);
    return;
  }
  const lines = (text) => text.trim().split('\n').map((line) => line.trim());
  const [has, wants] = [lines(actual), lines(shown)];
  if (unordered) for (const list of [has, wants]) list.sort();
  assert.match(has.join('\n'), pattern(wants.join('\n')), `${where}: ${actual}\nis not what the document shows:\n${shown}`);
}
