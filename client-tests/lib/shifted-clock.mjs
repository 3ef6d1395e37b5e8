// Owns a clock on the wall that somebody moves: the process under test runs as always, and sees another time of day.
// Its stopwatch (the monotonic clock) is left alone, as it is when a machine's clock is set.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { preloaded } from './preload.mjs';

/** The seconds to add stand in a file that everybody reads anew each time. */
const LIBRARY = `
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
  FILE *told = fopen(path, "r");
  if (!told) return 0;
  if (fscanf(told, "%ld", &seconds) != 1) seconds = 0;
  fclose(told);
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

/** `env` has a process look at this clock. */
export async function shiftedClock(owner) {
  const { dir, env } = await preloaded(owner, LIBRARY);
  return {
    env: { ...env, SHIFTED_CLOCK: dir },
    /** Sets it so many seconds away from the right time. */
    set: (seconds) => writeFile(join(dir, 'seconds'), `${seconds}`),
  };
}
