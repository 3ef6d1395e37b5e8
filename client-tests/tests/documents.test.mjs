// @ts-check
// Owns the promise of the documents: every program, shell block and transcript in README and docs works as it is printed,
// every link and path exists, the table of options is that of `polychat --help`, and the prose is plain.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { MongoClient } from 'mongodb';
import { WebSocket } from 'ws';
import { Backend } from '../clients/rest.mjs';
import { startMongod } from '../harness/mongod.mjs';
import { startServer } from '../harness/server.mjs';
import { Changes, within } from '../harness/wait.mjs';
import {
  DOCUMENTS, FILES, ROOT, USER_DOCUMENTS, WALKED, deadLinks, deadPaths, fragmentsOf, isProgram, isTranscript, outputAfter, places,
  programsOf, readDocument,
} from './documents.markdown.mjs';
import { optionsTable } from './documents.options.mjs';
import { assertJson, assertOutput, quoted } from './documents.output.mjs';
import { STARTS_SERVER, Workplace } from './documents.terminal.mjs';
import { djangoProjectIn } from './import_converters.programs.mjs';

/** Why a block is not run. */
const REASONS = [
  'Docker', 'root, systemd', 'the program mongosh', 'perf', 'minutes', 'part of the client tests',
];
const NOT_RUN = 'not run: ';

/** A block that needs a store with something in it, which no server uses. */
const STORE_AND_STOP = 'store a user, then stop the server';

/** Blocks that need a database of the reader's. */
const DATABASES = {
  'in a Django project': ({ folder }) => djangoProjectIn(folder),
  'with a MongoDB collection': async (place) => {
    const client = new MongoClient(place.placed('mongodb://127.0.0.1:27017/chat'));
    const message = { chat: 'lunch', sender: 'anna', text: 'Soup?', timestamp: new Date() };
    try { await client.db().collection('messages').insertOne(message); } finally { await client.close(); }
  },
};

/** Blocks that are read and not run: output, settings, data. */
const DATA = ['text', 'json', 'yaml', 'toml', 'sql', 'diff', ''];

const pages = USER_DOCUMENTS.map(readDocument);
const isRun = (block) => isProgram(block) || (block.lang === 'sh' && !reasonOf(block));
const reasonOf = ({ directives }) => directives.find((text) => text.startsWith(NOT_RUN))?.slice(NOT_RUN.length);

/** Runs the programs and shell blocks of a document from top to bottom. */
async function runPage(t, page) {
  const where = (block) => `${page.path}:${block.line}`;
  const needsMongo = page.blocks.some(({ lang, text }) => lang === 'sh' && text.includes('mongodb://127.0.0.1:27017'));
  const place = await Workplace.open(t, needsMongo ? (await startMongod(t)).port : 0);
  for (const path of programsOf(page)) place.copy(path);
  const unnamed = fragmentsOf(page);
  for (const block of page.blocks) {
    if (reasonOf(block)) continue;
    if (block.name) place.save(block.name, block.text);
    if (block.lang === 'sh') {
      for (const text of block.directives) await DATABASES[text]?.(place);
      if (block.directives.includes(STORE_AND_STOP)) await storeAndStop(place);
      else if (!STARTS_SERVER.test(block.text)) await needServer(place, page, block);
      const printed = await place.run(block.text, where(block));
      const shown = outputAfter(page, block);
      if (shown) assertOutput(printed, shown.text, where(shown), /order may differ/.test(shown.prose));
    }
    if (block === unnamed.at(-1)) await runFragments(place, page, unnamed);
  }
  await place.stopServer();
}

async function storeAndStop(place) {
  await place.needServer();
  await new Backend({ url: `http://127.0.0.1:${place.port}` }).user('anna');
  await place.stopServer();
}

/** The server of a block: one of the kind that its directive names, or, after blocks of another kind, the usual one. */
async function needServer(place, { blocks }, block) {
  const mode = block.directives.find((text) => text.startsWith('server: '))?.slice('server: '.length);
  const hasModes = blocks.some(({ directives }) => directives.some((text) => text.startsWith('server: ')));
  await place.needServer(mode ?? (hasModes ? 'open' : undefined));
}

/** In a program that is printed in parts each `console.log` prints JSON, so that it can be compared. */
const LOG_JSON = 'console.log = (value) => process.stdout.write(`${JSON.stringify(value)}\\n`);';

/** Runs the parts of a program that is spread over a document; what they print stands behind them as comments. */
async function runFragments(place, page, blocks) {
  place.save('fragments.mjs', blocks.map(({ text }) => text).join('\n'));
  place.save('.log-json.mjs', LOG_JSON);
  await place.needServer('empty');
  const printed = await place.run('node --import ./.log-json.mjs fragments.mjs', `the parts of a program in ${page.path}`);
  const shown = blocks.flatMap(({ text }) => [...text.matchAll(/console\.log\([^]*?\);\n((?:\/\/ .*\n?)+)/g)])
    .map(([, comment]) => comment.replace(/^\/\/ /gm, ''));
  const lines = printed.trim().split('\n');
  assert.equal(lines.length, shown.length, printed);
  lines.forEach((line, at) => assertJson(line, quoted(shown[at]), page.path));
}

/** A WebSocket with the frames that it receives, one after the other. */
async function connect(t, server, path) {
  const socket = new WebSocket(`${server.url.replace('http', 'ws')}${path}`);
  t.after(() => socket.terminate());
  const frames = [];
  const changes = new Changes();
  socket.on('message', (text) => {
    frames.push(String(text));
    changes.happened();
  });
  await within(new Promise((resolve, reject) => { socket.once('open', resolve).once('error', reject); }), () => path);
  const next = async (shown) => {
    await changes.until(() => frames.length > 0, () => shown);
    return frames.shift();
  };
  return { next, send: (text) => socket.send(text) };
}

/** Plays a transcript: what is sent, and what is received in this order. */
async function playTranscript(t, page, block) {
  const server = await startServer(t);
  const [, path] = /** @type {RegExpExecArray} */ (/`(\/ws[^`]*)`/.exec(block.prose));
  const anna = await connect(t, server, path);
  const steps = block.text.replace(/\n {3}/g, ' ').split('\n');
  assert.ok(steps.length > 10, 'a transcript');
  for (const step of steps) {
    const [kind, text] = [step[0], step.slice(2)];
    if (kind === '>') anna.send(text);
    else if (kind === '<') assertJson(await anna.next(`${page.path}: ${step}`), text, `${page.path}: ${step}`);
    else (await connect(t, server, path.replace('anna', 'boris'))).send('{"action":"join_room","pk":1}');
  }
}

describe('blocks', () => {
  test('have a language that is run, or data', () => {
    const unknown = pages.flatMap(({ path, blocks }) => blocks
      .filter((block) => block.lang !== 'sh' && !isProgram(block) && !DATA.includes(block.lang))
      .map(({ lang, line }) => `${path}:${line}: ${lang}`));
    assert.deepEqual(unknown, []);
  });

  test('that are not run are shell blocks with a known reason', (t) => {
    for (const { path, blocks } of pages) {
      for (const block of blocks.filter(reasonOf)) {
        assert.equal(block.lang, 'sh', `${path}:${block.line}`);
        assert.ok(REASONS.includes(/** @type {string} */ (reasonOf(block))), `${path}:${block.line}: ${reasonOf(block)}`);
        t.diagnostic(`${path}:${block.line}: ${NOT_RUN}${reasonOf(block)}`);
      }
    }
  });

  test('that are programs with a name are run by a shell block', () => {
    for (const { path, blocks } of pages) {
      for (const { name, line } of blocks.filter((block) => isProgram(block) && block.name)) {
        const shell = blocks.filter((block) => block.lang === 'sh' && isRun(block));
        assert.ok(shell.some(({ text }) => text.includes(`${name}`)), `${path}:${line}: nothing runs ${name}`);
      }
    }
  });
});

describe('programs and shell blocks', () => {
  for (const page of pages.filter(({ path, blocks }) => path !== WALKED && blocks.some(isRun))) {
    test(`of ${page.path} work as they are printed`, (t) => runPage(t, page));
  }

  for (const page of pages) {
    for (const block of page.blocks.filter(isTranscript)) {
      test(`the transcript in ${page.path} is what a server sends`, (t) => playTranscript(t, page, block));
    }
  }
});

describe('links and paths', () => {
  for (const path of DOCUMENTS) {
    test(`of ${path} exist`, () => {
      const document = readDocument(path);
      assert.deepEqual(deadLinks(document), []);
      assert.deepEqual(deadPaths(document), []);
    });
  }

  test('every document is in the index', () => {
    const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8');
    const missing = FILES.filter((path) => /^docs\/.*\.md$/.test(path) && path !== 'docs/README.md')
      .filter((path) => !index.includes(`(${path.replace('docs/', '')}`));
    assert.deepEqual(missing, []);
  });
});

describe('the README', () => {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');

  test('is short', () => {
    const MOST = 9216;
    assert.ok(Buffer.byteLength(text) <= MOST, `${Buffer.byteLength(text)} bytes, at most ${MOST}`);
  });

  test('names both commands', () => {
    for (const command of [/^cargo run --release$/m, /`make test`/]) assert.match(text, command);
  });
});

test('the table of options is that of polychat --help', async () => {
  const { expected, actual, count } = await optionsTable();
  assert.ok(count > 20, `${count} options`);
  assert.equal(actual, expected, 'docs/CONFIGURATION.md differs from polychat --help: run `make options`');
});

describe('prose', () => {
  const NOT_PLAIN = [
    /It refuses to/i, /\bwhoever\b/i, /\bby itself\b/i, /\bsuch a one\b/i, /\bwho (is|are|has|goes|comes)\b/i,
  ];

  test('is plain: no phrases that hide the subject', () => {
    const found = [...USER_DOCUMENTS, 'SECURITY.md'].flatMap((path) => places(join(path), NOT_PLAIN));
    assert.deepEqual(found, []);
  });
});
