// Owns a disk that confirms nothing for a while: the process under test runs as always, but its fsync() waits.
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preloaded } from './preload.mjs';
import { eventually } from './wait.mjs';

/** While a file `stall` is there a sync notes in `waits` which file it is for, and begins only when `stall` is gone. */
const LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void hold(int file) {
  char stall[PATH_MAX], waits[PATH_MAX], link[64], name[PATH_MAX];
  const char *disk = getenv("SLOW_DISK");
  if (!disk) return;
  snprintf(stall, sizeof stall, "%s/stall", disk);
  if (access(stall, F_OK)) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, name, sizeof name - 1);
  snprintf(waits, sizeof waits, "%s/waits", disk);
  int note = open(waits, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (note >= 0 && length > 0) {
    name[length] = '\\n';
    if (write(note, name, length + 1) < 0) abort();
    close(note);
  }
  while (!access(stall, F_OK)) usleep(2000);
}

int fsync(int file) {
  hold(file);
  return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file) {
  hold(file);
  return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(file);
}
`;

/** `env` puts a server on this disk. */
export async function slowDisk(owner) {
  const { dir, env } = await preloaded(owner, LIBRARY);
  const [stall, waits] = ['stall', 'waits'].map((name) => join(dir, name));
  return {
    env: { ...env, SLOW_DISK: dir },
    stall: () => writeFile(stall, ''),
    goOn: () => rm(stall),
    waitsFor: (path) => eventually(async () => (
      existsSync(waits) && (await readFile(waits, 'utf8')).split('\n').includes(path)
    ), `${path} is to be synced`),
  };
}
