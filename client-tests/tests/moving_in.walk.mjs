// @ts-check
// Owns the walk through docs/MOVING-IN.md with one front end: the blocks before the chapters, those of its chapter and those
// after the chapters are run in the order of the document, with stops for the clients in between. Does not know any client.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, WALKED, outputAfter, readDocument } from './documents.markdown.mjs';
import { assertOutput } from './documents.output.mjs';
import { Workplace } from './documents.terminal.mjs';

const PAGE = readDocument(WALKED);
const CHAPTER = /^Front end: /;
const FIRST_AFTER = 'Going live';
const NEEDS = 'needs: ';

/** The chapters of the document. */
export const CHAPTERS = PAGE.headings.filter((heading) => CHAPTER.test(heading));

/**
 * A part of the document: what follows a heading or a bold beginning of a paragraph.
 * @typedef {{ title: string, chapter: string | undefined, blocks: import('./documents.markdown.mjs').Block[] }} Part
 */

/** All parts in their order. */
function partsOf() {
  /** @type {Part[]} */
  const parts = [];
  const byLine = new Map(PAGE.blocks.map((block) => [block.line, block]));
  let chapter;
  let open = false;
  readFileSync(join(ROOT, WALKED), 'utf8').split('\n').forEach((line, at) => {
    const block = byLine.get(at + 1);
    if (block) parts.at(-1)?.blocks.push(block);
    if (line.startsWith('```')) open = !open;
    if (open) return;
    const heading = /^#+ (.*)$/.exec(line)?.[1];
    if (heading && CHAPTER.test(heading)) chapter = heading;
    if (heading === FIRST_AFTER) chapter = undefined;
    const title = heading ?? /^\*\*(.+?)\*\*/.exec(line)?.[1];
    if (title) parts.push({ title, chapter, blocks: [] });
  });
  return parts;
}

const PARTS = partsOf();

/** Whether the program that a block needs is installed. */
const isInstalled = (program) => spawnSync(program, ['--version']).status === 0;

/** The programs that blocks of the document need and that are not here. */
export const MISSING = PAGE.blocks.flatMap(({ directives }) => directives)
  .filter((text) => text.startsWith(NEEDS)).map((text) => text.slice(NEEDS.length)).filter((name) => !isInstalled(name));

/** Runs one block: saves it, or runs it in the terminal and compares what it prints. */
async function runBlock(t, place, block) {
  const where = `${WALKED}:${block.line}`;
  const missing = MISSING.find((name) => block.directives.includes(`${NEEDS}${name}`));
  if (missing) {
    t.diagnostic(`${where}: not run, since ${missing} is not installed`);
    return;
  }
  if (block.name) place.save(block.name, block.text);
  if (block.lang !== 'sh') return;
  const printed = await place.run(block.text, where);
  const shown = outputAfter(PAGE, block);
  if (shown) assertOutput(printed, place.placed(shown.text), where, false);
}

/**
 * Walks from the first block to the last one. `stops` has, by the title of a part, what is done once its blocks are run;
 * each of them is made.
 * @param {import('node:test').TestContext} t
 * @param {string} chapter
 * @param {(place: Workplace) => Promise<Record<string, () => unknown>>} prepare
 */
export async function walk(t, chapter, prepare) {
  const place = await Workplace.open(t);
  const stops = new Map(Object.entries(await prepare(place)));
  for (const part of PARTS.filter((one) => [undefined, chapter].includes(one.chapter))) {
    for (const block of part.blocks) await runBlock(t, place, block);
    await stops.get(part.title)?.();
    stops.delete(part.title);
  }
  assert.deepEqual([...stops.keys()], [], 'parts that the document does not have');
}

const isDiff = ({ lang }) => lang === 'diff';
const linesOf = ({ text }, sign) => text.split('\n').filter((line) => line[0] === sign).map((line) => line.slice(1)).join('\n');

/** The changes of the front end in a chapter: its lines before and after. */
export const changesOf = (chapter) => PARTS.filter((part) => part.chapter === chapter)
  .flatMap(({ blocks }) => blocks.filter(isDiff)).map((block) => ({ before: linesOf(block, '-'), after: linesOf(block, '+') }));

const AsyncFunction = /** @type {any} */ ((async () => {}).constructor);

/** Runs lines of the front end, with what they use: the value of the expression `result`. */
export const evaluate = (lines, uses, result = 'undefined') => new AsyncFunction(
  ...Object.keys(uses), `${lines}\nreturn ${result};`,
)(...Object.values(uses));
