// @ts-check
// Owns a redis-server of the tests: on a port and in a folder of its own, which its owner ends. Nothing in it outlives a restart.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { freePort, tempDir } from './server.mjs';
import { eventually, within } from './wait.mjs';

const FETCHED = fileURLToPath(new URL('../../target/redis/redis-server', import.meta.url));
const BINARY = process.env.REDIS_SERVER || FETCHED;
const START_MS = 60_000;

class Redis {
  #child;
  #ended;
  #args;

  constructor(port, folder, args) {
    this.port = port;
    this.folder = folder;
    this.url = `redis://127.0.0.1:${port}`;
    this.#args = args;
  }

  /** Starts the process, for the first time or again, and waits until it answers. */
  async start() {
    const child = spawn(BINARY, [
      '--bind', '127.0.0.1', '--port', `${this.port}`, '--save', '', '--appendonly', 'no', '--dir', this.folder, ...this.#args,
    ], { stdio: 'ignore' });
    this.#child = child;
    this.#ended = new Promise((resolve, reject) => {
      child.once('exit', resolve);
      child.once('error', ({ message }) => reject(new Error(`cannot run ${BINARY} (make redis): ${message}`)));
    });
    process.once('exit', () => child.kill('SIGKILL'));
    const answers = eventually(() => this.command('PING').catch(() => ''), 'a redis-server that answers', START_MS);
    await Promise.race([answers, this.#ended.then(() => { throw new Error('the redis-server ended at once'); })]);
    return this;
  }

  /**
   * The first line of the answer to a command without blanks in its words, such as `CLIENT KILL TYPE pubsub`.
   * @param {string} command
   */
  async command(command) {
    const socket = connect(this.port, '127.0.0.1');
    try {
      socket.write(`${command}\r\n`);
      const [data] = await within(once(socket, 'data'), () => `the answer to ${command}`);
      return data.toString().split('\r\n')[0];
    } finally {
      socket.destroy();
    }
  }

  signal(name) { this.#child.kill(name); }

  async kill() {
    this.#child.kill('SIGKILL');
    await within(this.#ended, () => 'the end of the redis-server');
  }
}

/**
 * A redis-server that answers; more arguments for it may follow.
 * @param {import('./scope.mjs').Owner} owner
 * @param {string[]} args
 */
export async function startRedis(owner, ...args) {
  const redis = new Redis(await freePort(), await tempDir(owner), args);
  owner.after(() => redis.kill());
  return redis.start();
}
