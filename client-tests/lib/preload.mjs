// Owns what stands between a process under test and its system: a library in C that is loaded before all others.
// It refuses to know what the library does.
import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tempDir } from './server.mjs';

/** `env` has a process load the library; `dir` is a folder of its own. The C compiler is the one that the server was built with. */
export async function preloaded(owner, text) {
  const dir = await tempDir(owner);
  const [source, library] = ['library.c', 'library.so'].map((name) => join(dir, name));
  await writeFile(source, text);
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl']);
  return { dir, env: { LD_PRELOAD: library } };
}
