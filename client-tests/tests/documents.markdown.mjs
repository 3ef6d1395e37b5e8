// @ts-check
// Owns reading the documents: their fenced blocks, headings, links and paths. Does not run anything.
import { readFileSync, readdirSync } from 'node:fs';
import { basename, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The top of the repository. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const FOREIGN = new Set(['.git', '.data', 'node_modules', 'target', 'results']);

/** Every file of the repository below a folder, by its path from the top. */
function filesIn(folder) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (FOREIGN.has(entry.name)) return [];
    return entry.isDirectory() ? [`${path}/`, ...filesIn(path)] : [path];
  });
}

/** Every file and folder (with a slash at its end) of the repository. */
export const FILES = filesIn('');

const isDocument = (path) => /^(README|SECURITY|CHANGELOG)\.md$|^(docs|examples)\/.*\.md$|^(bench|fuzz)\/README\.md$/.test(path);

/** The paths of all documents. */
export const DOCUMENTS = FILES.filter(isDocument);

/** The documents for users, whose programs are run: README, docs and examples. */
export const USER_DOCUMENTS = DOCUMENTS.filter((path) => /^(README\.md$|docs\/|examples\/)/.test(path));

/** The programs below the folder of an example's document. */
export const programsOf = ({ path }) => FILES.filter((file) => (
  path.startsWith('examples/') && file.startsWith(`${dirname(path)}/`) && /\.(mjs|py)$/.test(file)
));

/** The languages of programs, and what runs them. */
export const PROGRAMS = { js: 'node', python: 'python3', php: 'php' };

/** Whether a block is a program, or a part of one. */
export const isProgram = ({ lang }) => Object.hasOwn(PROGRAMS, lang);

/** The document whose blocks are run with the clients and the host application of a move. */
export const WALKED = 'docs/MOVING-IN.md';

/** What is sent, and what is received: not the output of a block. */
export const isTranscript = ({ lang, text }) => lang === 'text' && text.startsWith('> ');

/** The `text` block right after a block, in the same section: what it prints. */
export function outputAfter({ blocks }, block) {
  const next = blocks[blocks.indexOf(block) + 1];
  return next?.lang === 'text' && next.section === block.section && !isTranscript(next) ? next : undefined;
}

/** The parts of a program that is spread over a document. */
export const fragmentsOf = ({ blocks }) => blocks.filter((block) => block.lang === 'js' && !block.name);

const NAME = /[Ss]ave\s+this\s+as\s+`([\w.-]+)`/g;
const COMMENT = /^<!-- (.*) -->$/;

/**
 * A fenced block: its language, text and line; the directives in comments right before it, the prose since the block
 * before, the number of its section, and the file name that the prose gives it.
 * @typedef {{
 *   lang: string, text: string, line: number, directives: string[], prose: string, section: number, name: string | undefined,
 * }} Block
 */

/** The parts of a document: blocks, and everything between them. */
export function readDocument(path) {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  /** @type {Block[]} */
  const blocks = [];
  const headings = [];
  const prose = [];
  let since = [];
  for (let at = 0; at < lines.length; at++) {
    const fence = /^```(\w*)$/.exec(lines[at]);
    if (!fence) {
      const heading = /^#{1,6} (.*)$/.exec(lines[at]);
      if (heading) headings.push(heading[1]);
      since.push(lines[at]);
      prose.push(lines[at]);
      continue;
    }
    const end = lines.indexOf('```', at + 1);
    if (end < 0) throw new Error(`${path}:${at + 1}: the block does not end`);
    const directives = [];
    while (COMMENT.test(since.at(-1) ?? '')) directives.unshift(/** @type {any} */ (COMMENT.exec(since.pop()))[1]);
    const text = since.join('\n');
    blocks.push({
      lang: fence[1], text: lines.slice(at + 1, end).join('\n'), line: at + 1, directives, prose: text,
      section: headings.length, name: [...text.matchAll(NAME)].at(-1)?.[1],
    });
    since = [];
    prose.push('');
    at = end;
  }
  return { path, blocks, headings, prose: prose.join('\n') };
}

/** The anchors of headings, as GitHub makes them. */
function anchorsOf(headings) {
  const seen = new Map();
  return headings.map((heading) => {
    const plain = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/`/g, '').toLowerCase();
    const slug = plain.replace(/[^\p{L}\p{N}\s_-]/gu, '').trim().replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count ? `${slug}-${count}` : slug;
  });
}

const LINK = /\[[^\]]*\]\(([^)\s]+)\)/g;
const WEB = /^(https?|mailto):/;

/** The links of a document whose target or anchor does not exist. */
export function deadLinks({ path, prose }) {
  const targets = [...prose.replace(/`[^`]*`/g, '``').matchAll(LINK)].map(([, target]) => target);
  return targets.filter((target) => {
    if (WEB.test(target)) return false;
    const [file, anchor] = target.split('#');
    const to = file === '' ? path : normalize(join(dirname(path), file));
    if (!FILES.includes(to) && !FILES.includes(`${to.replace(/\/$/, '')}/`)) return true;
    if (anchor === undefined) return false;
    return !to.endsWith('.md') || !anchorsOf(readDocument(to).headings).includes(anchor);
  });
}

const SPAN = /`([^`\s]+)`/g;
const FILE = /^[\w.-]+(\/[\w.-]+)*\.(rs|mjs|md|sh|sql|toml|yml|yaml|json|service|cfg|svg|py)$/;
const TOP_FOLDERS = FILES.filter((path) => /^[^/]+\/$/.test(path));

/** Whether a text in backticks looks like a path of the repository. */
const isPath = (text) => FILE.test(text) || (/^[\w./-]+$/.test(text) && TOP_FOLDERS.some((folder) => text.startsWith(folder)));

/** A part of a name that stands for others, as in `schema_N.sql`. */
const PLACEHOLDER = /(^|[/_])[A-Z]+\.(?!md$)/;

/** An abbreviation that the document introduces, as in "`D` is `src/gateway/dialect`". */
const SHORT = /`([A-Z])` is\s+`([\w/]+)`/g;

/** A path in backticks may begin anywhere above the file, as in `socketio/session.rs`. */
const exists = (named) => PLACEHOLDER.test(named)
  || FILES.some((path) => [`/${named}`, `/${named}/`].some((end) => `/${path}`.endsWith(end)));

/** The paths in backticks that look like files of the repository, and are not. */
export function deadPaths({ prose, blocks }) {
  const own = blocks.map(({ name }) => name);
  const short = new Map([...prose.matchAll(SHORT)].map(([, letter, path]) => [letter, path]));
  const full = (text) => text.replace(/^[A-Z](?=\/)/, (letter) => short.get(letter) ?? letter);
  const paths = [...prose.matchAll(SPAN)].map(([, text]) => full(text)).filter(isPath);
  return paths.filter((named) => !own.includes(named) && !exists(named));
}

/** A row of the table that is made from `polychat --help`, whose words stand in the code. */
const GENERATED = /^\| `--[a-z-]+[^|]*\| `POLYCHAT_/;

/** Every place where one of these patterns stands in a document, blocks included. */
export function places(path, patterns) {
  const lines = readFileSync(join(ROOT, path), 'utf8').split('\n');
  return lines.flatMap((line, at) => patterns.filter((pattern) => pattern.test(line) && !GENERATED.test(line))
    .map((pattern) => `${basename(path)}:${at + 1}: ${pattern.source}: ${line.trim()}`));
}
