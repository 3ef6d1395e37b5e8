// @ts-check
// Owns the output of one subject's run: a line for each section, each failure whole. Writes the counts as JSON into the
// file that CONFORMANCE_COUNTS names.
import { writeFileSync } from 'node:fs';
import { env } from 'node:process';

/** The text of a failure, without the frames of the test runner. */
function textOf({ error }) {
  const cause = error?.cause ?? error;
  const stack = `${cause?.stack ?? cause}`.split('\n').filter((line) => !/^\s+at .*(node:|async Promise.all)/.test(line));
  return stack.map((line) => `      ${line}`).join('\n');
}

export default async function* reporter(source) {
  const began = Date.now();
  /** The names of the suites that are open, the outermost first. @type {string[]} */
  const path = [];
  const sections = new Map();
  let passed = 0;
  let failed = 0;
  for await (const { type, data } of source) {
    if (type === 'test:start') path[data.nesting] = data.name;
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    const isSuite = data.details.type === 'suite';
    if (!isSuite) {
      const section = path.slice(1, data.nesting).join(', ') || 'the list';
      const count = sections.get(section) ?? { passed: 0, failed: 0 };
      sections.set(section, count);
      if (type === 'test:pass') {
        passed += 1;
        count.passed += 1;
      } else {
        failed += 1;
        count.failed += 1;
        yield `FAILED ${section}: ${data.name}\n${textOf(data.details)}\n`;
      }
    } else if (type === 'test:fail' && data.details.error?.failureType !== 'subtestsFailed') {
      failed += 1;
      yield `FAILED ${data.name}\n${textOf(data.details)}\n`;
    }
  }
  for (const [section, count] of sections) yield `${section}: ${count.passed} passed${count.failed > 0 ? `, ${count.failed} failed` : ''}\n`;
  const seconds = Math.round((Date.now() - began) / 1000);
  yield `${passed} passed, ${failed} failed, ${seconds} s\n`;
  if (env.CONFORMANCE_COUNTS) writeFileSync(env.CONFORMANCE_COUNTS, JSON.stringify({ passed, failed, seconds }));
}
