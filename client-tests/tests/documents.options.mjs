// @ts-check
// Owns the table of options in docs/CONFIGURATION.md: made from the output of `polychat --help`. As a program it writes
// the table (`make options`).
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../harness/server.mjs';
import { ROOT } from './documents.markdown.mjs';

const PAGE = join(ROOT, 'docs/CONFIGURATION.md');
const TABLE = /(?<=<!-- options: begin -->\n)[^]*?(?=<!-- options: end -->)/;

/** One paragraph without its line breaks. */
const joined = (text) => text.trim().replace(/\s*\n\s*/g, ' ');

/** The option in one entry of the help. */
function optionOf(entry) {
  const [, name, value] = /** @type {RegExpExecArray} */ (/^--([a-z-]+)(?: <([^>]+)>)?/.exec(entry));
  const [, variable] = /\[env: (\w+)/.exec(entry) ?? [];
  const [help, ...rest] = entry.slice(entry.indexOf('\n')).split(/\n\s*\n/).map(joined).filter(Boolean);
  const values = rest.filter((text) => text.startsWith('Possible values:'))
    .map((text) => text.replace('Possible values:', '').replace(/ - ([\w-]+): +/g, '; `$1`: ').replace(/^; /, ''));
  const [, inHelp] = /\[default: ([^\]]+)\]/.exec(help) ?? [];
  const [, byClap] = rest.map((text) => /\[default: (.*?)\](?=\s|$)/.exec(text)).find(Boolean) ?? [];
  // clap's default is a value, ours a sentence; a switch has none.
  const fallback = byClap ? `\`${byClap}\`` : inHelp ?? (value ? '' : 'off');
  return { name, value, variable, fallback, help: [help.replace(/ \[default: [^\]]+\]/, ''), ...values].join('. ') };
}

/** Every option that the help describes. */
function optionsIn(help) {
  const part = help.slice(help.indexOf('\nOptions:\n'));
  const entries = part.split(/\n(?: {6}| {2}-\w, )(?=--[a-z])/).slice(1).map((entry) => entry.split(/\n(?=\S)/)[0]);
  return entries.map(optionOf).filter(({ name }) => !['help', 'version'].includes(name));
}

const cell = (text) => text.replaceAll('|', '\\|').replace(/(?<![`\w-])(--[a-z-]+(?: (?:open|off)\b)?)(?![`\w-])/g, '`$1`');

function row({ name, value, variable, fallback, help }) {
  const flag = value ? `--${name} ${value}` : `--${name}`;
  const key = name === 'config' ? '' : `\`${name}\``;
  return `| \`${flag}\` | \`${variable}\` | ${key} | ${cell(fallback)} | ${cell(help)} |`;
}

/** The table as it has to stand in the page, the number of its options, and as it stands there. */
export async function optionsTable() {
  const { stdout } = await runToEnd(['--help']);
  const options = optionsIn(stdout);
  const head = '\n| flag | environment | TOML key | default | |\n|---|---|---|---|---|\n';
  const page = readFileSync(PAGE, 'utf8');
  return { count: options.length, expected: `${head}${options.map(row).join('\n')}\n\n`, actual: TABLE.exec(page)?.[0], page };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { expected, page } = await optionsTable();
  writeFileSync(PAGE, page.replace(TABLE, () => expected));
}
