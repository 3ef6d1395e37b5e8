// @ts-check
// Owns waiting: every promise of the tests has an end, and its failure says what was waited for.

const SAFETY_MS = 10_000;

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** The promise itself, or a failure that names `what` once the safety time is over. */
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

/** Asks `check` again and again until it answers something truthy, which is returned. */
export async function eventually(check, what, ms = SAFETY_MS) {
  const deadline = Date.now() + ms;
  for (;;) {
    const answer = await check();
    if (answer) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${ms} ms in vain until ${what}`);
    await sleep(20);
  }
}

/** Something that changes now and then, for those who wait until it is as they want it. */
export class Changes {
  #looks = new Set();

  happened() {
    for (const look of this.#looks) look();
  }

  /** Asks `check` now and at every change until it answers something truthy, which is returned. */
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

/** Lets the clock move on, so that two stored times differ. */
export const tick = () => sleep(5);
