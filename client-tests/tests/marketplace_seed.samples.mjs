// @ts-check
// Owns the samples of the marketplace's own document (its comments taken out), and the comparison with them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

/** By the name of the frame. */
export const SAMPLES = JSON.parse(readFileSync(new URL('./marketplace_seed.samples.json', import.meta.url), 'utf8'));

const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

const kind = (value) => (Array.isArray(value) ? 'list' : typeof value);

/**
 * Every key of the sample is there, with a value of the same kind, at every depth; every entry of a list is like the
 * sample's first one, and there has to be one. A number is a whole one, a date has the sample's form.
 */
export function assertLikeSample(actual, sample, path = 'body') {
  assert.equal(kind(actual), kind(sample), `${path} is ${JSON.stringify(actual)}`);
  if (Array.isArray(sample)) {
    assert.ok(actual.length > 0, `${path} is empty, so nothing was compared`);
    for (const [index, entry] of actual.entries()) assertLikeSample(entry, sample[0], `${path}[${index}]`);
  } else if (kind(sample) === 'object') {
    assert.notEqual(actual, null, path);
    for (const key of Object.keys(sample)) {
      assert.ok(Object.hasOwn(actual, key), `${path}.${key} is missing in ${JSON.stringify(actual)}`);
      assertLikeSample(actual[key], sample[key], `${path}.${key}`);
    }
  } else if (typeof sample === 'number') {
    assert.ok(Number.isSafeInteger(actual), `${path} is ${actual}`);
  } else if (DATE.test(sample)) {
    assert.match(actual, DATE, path);
  }
}
