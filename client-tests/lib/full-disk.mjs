// Owns disks without space: one on which no file grows any more, and a limit on the size of files. The process under test
// runs as always, and whatever lies on the disk can be read and written over.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sized } from './faults.mjs';
import { preloaded } from './preload.mjs';

/**
 * While a file `full` is there, files grow by as many bytes more as it says, all together; then a write that would have
 * a file grow fails, and one that has room for its beginning only writes that.
 */
const LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long long grown;

/* How many of the bytes may be written; -1: none, the disk is full. */
static ssize_t granted(int file, size_t count, off_t at) {
  char full[PATH_MAX], *disk = getenv("FULL_DISK");
  struct stat state;
  long long room = 0;
  if (!disk || fstat(file, &state) || !S_ISREG(state.st_mode)) return count;
  snprintf(full, sizeof full, "%s/full", disk);
  FILE *told = fopen(full, "r");
  if (!told) {
    grown = 0;
    return count;
  }
  if (fscanf(told, "%lld", &room) != 1) abort();
  fclose(told);
  long long end = at + (long long) count, growth = end - state.st_size;
  if (growth <= 0) return count;
  if (growth > room - grown) {
    count -= growth - (room - grown);
    growth = room - grown;
  }
  grown += growth;
  if ((ssize_t) count > 0) return count;
  errno = ENOSPC;
  return -1;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
  ssize_t most = granted(file, count, at);
  if (most < 0) return -1;
  return ((ssize_t (*)(int, const void *, size_t, off_t)) dlsym(RTLD_NEXT, "pwrite64"))(file, bytes, most, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }

ssize_t write(int file, const void *bytes, size_t count) {
  off_t at = lseek(file, 0, SEEK_CUR);
  ssize_t most = at < 0 ? (ssize_t) count : granted(file, count, at);
  if (most < 0) return -1;
  return ((ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write"))(file, bytes, most);
}
`;

/** No space is left (ENOSPC) once `room` bytes more are written. */
async function withoutSpace(owner) {
  const { dir, env } = await preloaded(owner, LIBRARY);
  const full = join(dir, 'full');
  return {
    env: { ...env, FULL_DISK: dir },
    fill: (server, room) => writeFile(full, `${room}`),
    free: () => rm(full),
  };
}

/** No file of the process may be longer (EFBIG, and the signal SIGXFSZ) than the longest of the store, and `room` bytes. */
async function withLimit(owner, store) {
  const limit = (server, bytes) => execFileSync('prlimit', ['--pid', `${server.pid}`, `--fsize=${bytes}:unlimited`]);
  const sizes = () => ['', '-wal', '-shm'].map((end) => `${store}${end}`).filter(existsSync).map((path) => statSync(path).size);
  return {
    env: {},
    fill: (server, room) => limit(server, Math.max(...sizes()) + room),
    free: (server) => limit(server, 'unlimited'),
  };
}

/**
 * What a full disk can be, and how often one test may have it: an old store's log of transactions begins anew within the
 * length that it has, and then no file has to grow.
 */
export const FULL_DISKS = {
  'no space is left on the disk': { disk: withoutSpace, times: sized(2, 20) },
  'files may not grow any more': { disk: withLimit, times: 2 },
};
