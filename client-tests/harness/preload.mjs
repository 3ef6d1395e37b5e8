// @ts-check
// Owns faults of the operating system: C libraries loaded before all others into the process under test. A disk that
// confirms nothing for a while, a disk without space, a kill at a step, and a wall clock that is set.
import { execFileSync } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sized } from './random.mjs';
import { tempDir } from './server.mjs';
import { eventually } from './wait.mjs';

/** Compiles a library: `env` makes a process load it, `dir` is its own folder. Needs a C compiler, as the server's build does. */
async function preloaded(owner, text) {
  const dir = await tempDir(owner);
  const [source, library] = ['library.c', 'library.so'].map((name) => join(dir, name));
  await writeFile(source, text);
  execFileSync('cc', ['-shared', '-fPIC', '-o', library, source, '-ldl']);
  return { dir, env: { LD_PRELOAD: library } };
}

/** While a file `stall` exists, a sync writes the name of its file to `waits`, and begins only when `stall` is gone. */
const SLOW_DISK_LIBRARY = `
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

/** A disk that confirms nothing while it is stalled: `env` makes a process use it. */
export async function slowDisk(owner) {
  const { dir, env } = await preloaded(owner, SLOW_DISK_LIBRARY);
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

/**
 * While a file `full` exists, all files together grow by at most the number of bytes in it; then a write that would let a
 * file grow fails, or is short if there is room for a part of it.
 */
const FULL_DISK_LIBRARY = `
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
  FILE *control = fopen(full, "r");
  if (!control) {
    grown = 0;
    return count;
  }
  if (fscanf(control, "%lld", &room) != 1) abort();
  fclose(control);
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
  const { dir, env } = await preloaded(owner, FULL_DISK_LIBRARY);
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
 * The kinds of full disk, and how often one test can use each: the write-ahead log of an older store restarts within its
 * present length, and then no file has to grow.
 */
export const FULL_DISKS = {
  'no space is left on the disk': { disk: withoutSpace, times: sized(2, 20) },
  'files may not grow any more': { disk: withLimit, times: 2 },
};

/**
 * Before the call of the number KILLED_AT that changes or syncs files, the process is killed. Writes that follow each other
 * count as one.
 */
const KILL_LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long steps;
static int writing;

static void step(int writes) {
  const char *at = getenv("KILLED_AT");
  if (!at) return;
  pthread_mutex_lock(&mutex);
  if (!writes || !writing) steps += 1;
  writing = writes;
  if (steps == atol(at)) {
    kill(getpid(), SIGKILL);
    for (;;) pause();
  }
  pthread_mutex_unlock(&mutex);
}

#define NEXT(type, name) ((type) dlsym(RTLD_NEXT, name))

int rename(const char *from, const char *to) {
  step(0);
  return NEXT(int (*)(const char *, const char *), "rename")(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  step(0);
  return NEXT(int (*)(int, const char *, int, const char *, int), "linkat")(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) {
  step(0);
  return NEXT(int (*)(const char *), "unlink")(path);
}

int fsync(int file) {
  step(0);
  return NEXT(int (*)(int), "fsync")(file);
}

int fdatasync(int file) {
  step(0);
  return NEXT(int (*)(int), "fdatasync")(file);
}

int ftruncate64(int file, off_t length) {
  step(0);
  return NEXT(int (*)(int, off_t), "ftruncate64")(file, length);
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

ssize_t pwrite64(int file, const void *bytes, size_t count, off_t at) {
  step(1);
  return NEXT(ssize_t (*)(int, const void *, size_t, off_t), "pwrite64")(file, bytes, count, at);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) { return pwrite64(file, bytes, count, at); }
`;

/** Kills a process at a step: `at(number)` is what makes it do so. */
export async function killer(owner) {
  const { env } = await preloaded(owner, KILL_LIBRARY);
  return { at: (number) => ({ ...env, KILLED_AT: `${number}` }) };
}

/** The seconds to add are in a file, which is read at every call. */
const SHIFTED_CLOCK_LIBRARY = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) {
  char path[PATH_MAX], *clock = getenv("SHIFTED_CLOCK");
  long seconds = 0;
  if (!clock) return 0;
  snprintf(path, sizeof path, "%s/seconds", clock);
  FILE *control = fopen(path, "r");
  if (!control) return 0;
  if (fscanf(control, "%ld", &seconds) != 1) seconds = 0;
  fclose(control);
  return seconds;
}

int clock_gettime(clockid_t which, struct timespec *time) {
  int answer = ((int (*)(clockid_t, struct timespec *)) dlsym(RTLD_NEXT, "clock_gettime"))(which, time);
  if (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE) time->tv_sec += shift();
  return answer;
}

int gettimeofday(struct timeval *time, void *zone) {
  int answer = ((int (*)(struct timeval *, void *)) dlsym(RTLD_NEXT, "gettimeofday"))(time, zone);
  if (time) time->tv_sec += shift();
  return answer;
}

time_t time(time_t *seconds) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (seconds) *seconds = now.tv_sec;
  return now.tv_sec;
}
`;

/** A wall clock that can be set; the monotonic clock is left alone. `env` makes a process use it. */
export async function shiftedClock(owner) {
  const { dir, env } = await preloaded(owner, SHIFTED_CLOCK_LIBRARY);
  return {
    env: { ...env, SHIFTED_CLOCK: dir },
    /** Sets it to the right time and this many seconds. */
    set: (seconds) => writeFile(join(dir, 'seconds'), `${seconds}`),
  };
}
