// @ts-check
// Owns `npm install` and `pip install` of the documents: checks that the packages that the tests have are those, and
// installs nothing. Usage: node documents.packages.mjs npm|pip install PACKAGE…
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const [tool, command, ...packages] = process.argv.slice(2);

const INSTALLED = {
  npm: (name) => JSON.parse(readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url), 'utf8')).version,
  pip: (name) => execFileSync('python3', [
    '-c', 'import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))', name,
  ], { encoding: 'utf8' }).trim(),
};

if (command !== 'install' || packages.length === 0) throw new Error(`the documents' ${tool} only installs packages`);
for (const wanted of packages) {
  const [, name, least = ''] = /** @type {RegExpExecArray} */ (/^([\w.-]+?)(?:\[\w+\])?(?:(?:@|>=|==)([\d.]+))?$/.exec(wanted));
  const version = INSTALLED[tool](name);
  if (!`${version}.`.startsWith(least && `${least}.`)) throw new Error(`${wanted} is documented, the tests have ${version}`);
}
