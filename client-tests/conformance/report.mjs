// @ts-check
// Owns how documents and differences are printed: as the tables of docs/CONFORMANCE.md, and as text at the end of a run. As
// a program it writes the tables into that page. Does not know cases.
import { readFileSync, writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { DIFFERENCES } from './differences.mjs';

const PAGE = fileURLToPath(new URL('../../docs/CONFORMANCE.md', import.meta.url));

/** Where the tables stand on the page. */
const marks = (what) => [`<!-- ${what}: written by npm run conformance:docs -->\n\n`, `\n\n<!-- end of the ${what} -->`];

/** A cell of a table. */
const cell = (text) => text.replaceAll('|', '\\|') || '–';

/**
 * The tables of coverage and of differences.
 * @param {import('./suite.mjs').Document[]} documents
 */
export function markdown(documents) {
  const sections = documents.flatMap(({ name, sections: all }) => [...all.values()].map(({ title, cases }) => (
    `| ${name} | ${cell(title)} | ${cases.length} |`
  )));
  const differences = DIFFERENCES.map((each) => (
    `| ${each.documents.join(', ')} | ${[each.title, each.says, each.polychat, each.node, each.reason].map(cell).join(' | ')} |`
  ));
  return {
    sections: ['| document | section | cases |', '|---|---|--:|', ...sections].join('\n'),
    differences: [
      '| document | case | the document requires | polychat | Node | reason |', '|---|---|---|---|---|---|', ...differences,
    ].join('\n'),
  };
}

/** The differences as lines of text. */
export const differencesAsText = () => DIFFERENCES.map(({ documents, title, says, polychat, node, reason }) => [
  `${documents.join(', ')}: ${title}`,
  ...(says ? [`    the document: ${says}`] : []),
  `    polychat:     ${polychat}`,
  `    Node:         ${node}`,
  `    why:          ${reason}`,
].join('\n')).join('\n');

if (argv[1] === fileURLToPath(import.meta.url)) {
  const { DOCUMENTS } = await import('./documents.mjs');
  let page = readFileSync(PAGE, 'utf8');
  for (const [what, table] of Object.entries(markdown(DOCUMENTS))) {
    const [begin, end] = marks(what);
    const [before, rest] = page.split(begin);
    page = `${before}${begin}${table}${end}${rest.split(end)[1]}`;
  }
  writeFileSync(PAGE, page);
}
