// @ts-check
// Owns the promise that a program of the documents prints why it cannot connect, without a stack trace, when no server is
// there and when the server does not accept its token. Does not run the programs where they work.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { startServer } from '../harness/server.mjs';
import { SECRET } from '../harness/tokens.mjs';
import { PROGRAMS, USER_DOCUMENTS, fragmentsOf, isProgram, readDocument } from './documents.markdown.mjs';
import { Workplace } from './documents.terminal.mjs';

const ADDRESS = '127.0.0.1:3000';

/** How often a program that tries again has to print the reason. */
const TRIES = 4;

/** Its task is to print the reason: it succeeds. */
const REPORTS = /\bprobe\.mjs\b/;

const TRACE = /^\s+at \S.*:\d+:\d+\)?$|Traceback|[Uu]nhandled|Uncaught|unsettled top-level await/m;

/** A server that accepts no token of the documents. */
const withTokens = (t, { port }) => startServer(t, ['--listen', `127.0.0.1:${port}`, '--auth', 'jwt', '--jwt-secret', SECRET]);

const TROUBLE = {
  'no server': { start: async () => {}, cause: /ECONNREFUSED|Connection refused/g },
  'no valid token': { start: withTokens, cause: /unauthenticated|response: 401/g },
};

/** The command with which a document runs one of its programs. */
function commandOf({ path, blocks }, { lang, name }) {
  const shown = new RegExp(`\\b${PROGRAMS[lang]} ${name.replace('.', '\\.')}\\b[^|)\\n]*`);
  const found = blocks.filter((block) => block.lang === 'sh').map(({ text }) => shown.exec(text)?.[0]).find(Boolean);
  assert.ok(found, `${path} does not run ${name}`);
  return found;
}

const contacts = ({ text }) => text.includes(ADDRESS);

/** What a document has that connects to the server: its commands, and the files that these need. */
function clientsOf(page) {
  const files = page.blocks.filter((block) => isProgram(block) && block.name);
  const commands = files.filter(contacts).map((block) => commandOf(page, block));
  const parts = fragmentsOf(page).map(({ text }) => text).join('\n');
  if (!contacts({ text: parts })) return { files, commands };
  return { files: [...files, { name: 'fragments.mjs', text: parts }], commands: [...commands, 'node fragments.mjs'] };
}

const pages = USER_DOCUMENTS.map(readDocument).map((page) => ({ path: page.path, ...clientsOf(page) }));
const clients = pages.flatMap(({ path, files, commands }) => commands.map((command) => ({ path, files, command })));

test('the documents have programs that connect, in both languages', () => {
  for (const program of ['node', 'python3']) {
    assert.ok(clients.some(({ command }) => command.startsWith(program)), program);
  }
});

for (const [trouble, { start, cause }] of Object.entries(TROUBLE)) {
  describe(`with ${trouble}`, { concurrency: 3 }, () => {
    for (const { path, files, command } of clients) {
      test(`${command} of ${path} prints the reason`, async (t) => {
        const place = await Workplace.open(t);
        for (const { name, text } of files) place.save(name, text);
        writeFileSync(join(place.folder, 'jwt-secret'), 'f'.repeat(64));
        await start(t, place);
        const triesAgain = (output) => [...output.matchAll(cause)].length >= TRIES;
        const { output, code } = await place.untilEnd(command, triesAgain);
        assert.match(output, new RegExp(cause.source));
        assert.doesNotMatch(output, TRACE);
        if (!REPORTS.test(command)) assert.notEqual(code, 0, `it ends as if all were well\n${output}`);
      });
    }
  });
}
