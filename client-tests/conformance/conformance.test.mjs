// @ts-check
// Owns the run of the cases of conformance on one subject, and the promises about the list of differences and its table in
// docs/CONFORMANCE.md. Does not know cases.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { useScope } from '../harness/scope.mjs';
import { DIFFERENCES } from './differences.mjs';
import { DOCUMENTS } from './documents.mjs';
import { markdown } from './report.mjs';
import { differenceOf, register } from './suite.mjs';
import { startWorld } from './world.mjs';

const scope = useScope();
before(() => startWorld(scope));

register(DOCUMENTS);

test('the list of differences has each case that observes one, once, and no other', () => {
  const observed = DOCUMENTS.flatMap(({ name, cases }) => cases.filter(({ differs }) => differs).map(({ title }) => `${name}: ${title}`));
  const listed = DIFFERENCES.flatMap(({ documents, title }) => documents.map((name) => `${name}: ${title}`));
  assert.deepEqual(listed.toSorted(), observed.toSorted());
});

test('no entry of the list of differences is without a difference and a reason', () => {
  for (const { title, says, polychat, node, reason } of DIFFERENCES) {
    assert.ok(polychat !== node || says !== '', title);
    assert.match(reason, /^\S.*\.$/, title);
  }
});

test('no two cases of a document have one name', () => {
  for (const { name, sections } of DOCUMENTS) {
    for (const section of sections.values()) {
      const titles = section.cases.map(({ title }) => title);
      assert.equal(new Set(titles).size, titles.length, `${name}: ${section.title}`);
    }
  }
  for (const { name, cases } of DOCUMENTS) {
    for (const { title, differs } of cases) assert.equal(differenceOf(name, title) !== undefined, differs, `${name}: ${title}`);
  }
});

test('docs/CONFORMANCE.md has these sections and differences (`npm run conformance:docs` writes them)', () => {
  const page = readFileSync(new URL('../../docs/CONFORMANCE.md', import.meta.url), 'utf8');
  for (const [what, text] of Object.entries(markdown(DOCUMENTS))) assert.ok(page.includes(text), `the ${what} of docs/CONFORMANCE.md are others`);
});
