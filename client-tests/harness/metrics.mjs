// @ts-check
// Owns the reading of metrics: a strict parser of OpenMetrics text, and the difference between two scrapes.
import assert from 'node:assert/strict';
import { within } from './wait.mjs';

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const META = new RegExp(`^# (HELP|TYPE|UNIT) (${NAME}) (.*)$`);
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(?:,|$)/y;

/** The suffixes that the samples of a family of each type have. */
const SUFFIXES = {
  counter: ['_total'], gauge: [''], info: ['_info'], histogram: ['_bucket', '_sum', '_count'],
};

function labelsOf(text = '') {
  const labels = {};
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length;) {
    const at = LABEL.lastIndex;
    const found = LABEL.exec(text);
    assert.ok(found, `no labels: ${text.slice(at)}`);
    assert.ok(!(found[1] in labels), `twice the same label: ${text}`);
    labels[found[1]] = found[2];
  }
  return labels;
}

const keyOf = (labels) => JSON.stringify(Object.entries(labels).sort());

/** Buckets grow with their bounds, end with +Inf, and the last one is the count. */
function checkHistogram({ name, samples }) {
  const series = new Map();
  for (const { name: sample, labels: { le, ...labels }, value } of samples) {
    const key = keyOf(labels);
    const one = series.get(key) ?? { buckets: [] };
    series.set(key, one);
    if (sample.endsWith('_bucket')) one.buckets.push({ bound: le === '+Inf' ? Infinity : Number(le), value });
    else one[sample.slice(name.length)] = value;
  }
  for (const [key, { buckets, _count: count, _sum: sum }] of series) {
    const what = `${name}${key}`;
    assert.ok(Number.isFinite(sum), what);
    assert.equal(buckets.at(-1)?.bound, Infinity, what);
    assert.equal(buckets.at(-1).value, count, what);
    buckets.reduce((before, after) => {
      assert.ok(before.bound < after.bound && before.value <= after.value, what);
      return after;
    });
  }
}

/** Parses OpenMetrics text, and fails on anything else: its families by name. */
function parse(text) {
  assert.ok(text.endsWith('\n# EOF\n'), 'the text has its end');
  const families = new Map();
  let family;
  const seen = new Set();
  for (const line of text.slice(0, -'# EOF\n'.length).trimEnd().split('\n')) {
    const meta = META.exec(line);
    if (meta) {
      const [, kind, name, value] = meta;
      if (family?.name !== name) {
        assert.ok(!families.has(name), `${name} comes in one piece`);
        family = { name, samples: [] };
        families.set(name, family);
      }
      assert.ok(!(kind in family) && family.samples.length === 0, line);
      family[kind] = value;
      continue;
    }
    const sample = SAMPLE.exec(line);
    assert.ok(sample, `no line of OpenMetrics: ${line}`);
    const [, name, labels, value] = sample;
    assert.ok(family && SUFFIXES[family.TYPE]?.some((suffix) => name === family.name + suffix), `an unknown sample: ${line}`);
    assert.ok(value !== '' && !Number.isNaN(Number(value)), line);
    const read = { name, labels: labelsOf(labels), value: Number(value) };
    const key = name + keyOf(read.labels);
    assert.ok(!seen.has(key), `twice: ${line}`);
    seen.add(key);
    family.samples.push(read);
  }
  for (const each of families.values()) {
    assert.ok(each.HELP && each.TYPE, `${each.name} has HELP and TYPE`);
    if (each.UNIT) assert.ok(each.name.endsWith(`_${each.UNIT}`), each.name);
    if (each.TYPE === 'histogram') checkHistogram(each);
  }
  return families;
}

/** The metrics of one scrape. */
export class Metrics {
  constructor(text) {
    this.text = text;
    this.families = parse(text);
    this.samples = [...this.families.values()].flatMap(({ samples }) => samples);
  }

  /** The sum of all samples of this name that have these labels; 0 if there are none. */
  of(name, labels = {}) {
    const fits = (sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value);
    const fitting = this.samples.filter((sample) => sample.name === name && fits(sample));
    return fitting.reduce((sum, { value }) => sum + value, 0);
  }

  /** The increase since an earlier scrape. */
  since(before, name, labels) { return this.of(name, labels) - before.of(name, labels); }

  /** Every name that a query can use. */
  get names() { return new Set(this.samples.map(({ name }) => name)); }
}

/** The response to a scrape, whatever it is. */
export async function fetchMetrics(url, token) {
  const headers = new Headers(token === undefined ? [] : [['authorization', `Bearer ${token}`]]);
  const response = await within(fetch(url, { headers }), () => `the metrics at ${url}`);
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

/** The metrics of a server, which must return them. */
export async function scrape({ url }, token) {
  const { status, type, text } = await fetchMetrics(`${url}/metrics`, token);
  assert.equal(status, 200, text);
  assert.equal(type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  return new Metrics(text);
}
