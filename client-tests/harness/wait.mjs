// @ts-check
// Owns waiting with a deadline: the failure names the condition.

const SAFETY_MS = 10_000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The promise itself, or a failure that names `what` after the deadline. */
export async function within(promise, what, ms = SAFETY_MS) {
  let timer;
  const expired = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms in vain for ${what()}`)), ms);
  });
  try {
    return await Promise.race([promise, expired]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls `check` until its result is truthy: the result. */
export async function eventually(check, what, ms = SAFETY_MS) {
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain until ${what}`);
    await sleep(20);
  }
}

/** Notifies of changes, so that others can wait for a condition. */
export class Changes {
  #looks = new Set();

  happened() {
    for (const look of this.#looks) look();
  }

  /** Evaluates `check` now and at every change until its result is truthy: the result. */
  async until(check, what, ms) {
    let look;
    const seen = new Promise((resolve) => {
      look = () => {
        const answer = check();
        if (answer) resolve(answer);
      };
    });
    this.#looks.add(look);
    look();
    try {
      return await within(seen, what, ms);
    } finally {
      this.#looks.delete(look);
    }
  }
}

/** Waits until two stored times differ. */
export const tick = () => sleep(5);
