// @ts-check
// Owns the folder and the terminals in which the blocks of one document are run: bash, with the built server as `polychat`
// and `target/release/polychat`. Does not know the output of a block.
//
// The differences from a reader's terminal: 127.0.0.1:3000 and localhost:3000 are a port of the test, and
// 127.0.0.1:27017 that of a mongod; `cargo run --release` starts the server that `make build` built; `npm install` and
// `pip install` check that the packages of the tests are those.
import { spawn } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BINARY, freePort, tempDir } from '../harness/server.mjs';
import { Changes, within } from '../harness/wait.mjs';
import { ROOT } from './documents.markdown.mjs';

const BLOCK_MS = 60_000;
const END_MS = 40_000;
const BANNER = /listening on http:\/\//;
const PACKAGES = fileURLToPath(new URL('documents.packages.mjs', import.meta.url));

/** A block whose last command is the server: it occupies its terminal. */
export const STARTS_SERVER = /(^|\n)(cargo run --release|(target\/release\/)?polychat)( --[^\n]*)?$/;

/** The variables that a terminal inherits. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH'];

/** The processes that lead the groups of terminals; none outlives the tests. */
const leaders = new Set();
process.on('exit', () => { for (const leader of leaders) signalGroup(leader, 'SIGKILL'); });

function signalGroup(leader, signal) {
  try { process.kill(-leader, signal); } catch { /* it has ended */ }
}

const CARGO = `#!/bin/sh
[ "$1 $2" = "run --release" ] || { echo "the documents' cargo only runs the server" >&2; exit 64; }
shift 2; [ "$1" = -- ] && shift
exec polychat "$@"
`;

/** A bash that takes one block after the other. */
class Terminal {
  #bash;
  #output = { stdout: '', stderr: '' };
  #changes = new Changes();
  #ended;
  #blocks = 0;

  constructor(folder, env) {
    this.#bash = spawn('bash', ['--noprofile', '--norc'], { cwd: folder, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    leaders.add(this.#bash.pid);
    for (const stream of ['stdout', 'stderr']) {
      this.#bash[stream].setEncoding('utf8').on('data', (text) => {
        this.#output[stream] += text;
        this.#changes.happened();
      });
    }
    this.#ended = new Promise((resolve) => {
      this.#bash.once('close', () => {
        this.#changes.happened();
        resolve(undefined);
      }).once('error', resolve);
    });
    this.folder = folder;
  }

  /** Runs a block until its end, or until a server listens: what was printed, and whether a server was started. */
  async run(text, where) {
    const number = ++this.#blocks;
    const file = join(this.folder, `.block-${number}.sh`);
    writeFileSync(file, `set -e\n${text}\n`);
    this.#output = { stdout: '', stderr: '' };
    const end = `-- end of block ${number}: `;
    this.#bash.stdin.write(`source ${file} < /dev/null\necho "${end}$?"\n`);
    const starts = STARTS_SERVER.test(text);
    const check = () => {
      const { stdout, stderr } = this.#output;
      if (starts && BANNER.test(stdout)) return { stdout, server: true };
      if (this.#bash.exitCode !== null) return { stdout: stdout + stderr, failed: true };
      const at = stdout.indexOf(end);
      return at >= 0 && stdout.endsWith('\n') && { stdout: stdout.slice(0, at) };
    };
    const soFar = () => `the end of ${where}\n${this.#output.stdout}${this.#output.stderr}`;
    const { stdout, failed, server } = await this.#changes.until(check, soFar, BLOCK_MS);
    if (failed) throw new Error(`${where} failed\n${stdout}`);
    return { stdout, server };
  }

  /** Ends everything that runs in it. */
  async end() {
    signalGroup(this.#bash.pid, 'SIGTERM');
    this.#bash.stdin.end();
    await within(this.#ended, () => 'the end of a terminal', END_MS).finally(() => {
      signalGroup(this.#bash.pid, 'SIGKILL');
      leaders.delete(this.#bash.pid);
    });
  }
}

/** The folder of one document, its terminals and its server. */
export class Workplace {
  /** @type {Terminal | undefined} */
  #terminal;
  /** @type {{ terminal: Terminal, mode: string } | undefined} */
  #server;
  #env;
  #substitutions;

  constructor(folder, port, mongoPort) {
    this.folder = folder;
    this.port = port;
    this.#substitutions = [
      [/(127\.0\.0\.1|localhost):3000\b/g, `127.0.0.1:${port}`],
      [/127\.0\.0\.1:27017\b/g, `127.0.0.1:${mongoPort}`],
    ];
    const inherited = INHERITED.filter((name) => name in process.env).map((name) => [name, process.env[name]]);
    this.#env = {
      ...Object.fromEntries(inherited), PYTHONPATH: join(ROOT, 'target/python'), POLYCHAT_LISTEN: `127.0.0.1:${port}`,
    };
    this.#env.PATH = `${join(folder, '.bin')}:${this.#env.PATH}`;
    this.#furnish();
  }

  /**
   * A new one; it ends with its owner.
   * @param {import('../harness/scope.mjs').Owner} owner
   */
  static async open(owner, mongoPort = 0) {
    const place = new Workplace(await tempDir(owner), await freePort(), mongoPort);
    owner.after(() => place.end());
    return place;
  }

  #furnish() {
    for (const folder of ['.bin', 'target/release']) mkdirSync(join(this.folder, folder), { recursive: true });
    for (const link of ['.bin/polychat', 'target/release/polychat']) symlinkSync(BINARY, join(this.folder, link));
    symlinkSync(join(ROOT, 'client-tests/node_modules'), join(this.folder, 'node_modules'));
    const scripts = {
      cargo: CARGO,
      npm: `#!/bin/sh\nexec node '${PACKAGES}' npm "$@"\n`,
      pip: `#!/bin/sh\nexec node '${PACKAGES}' pip "$@"\n`,
    };
    for (const [name, text] of Object.entries(scripts)) {
      writeFileSync(join(this.folder, '.bin', name), text);
      chmodSync(join(this.folder, '.bin', name), 0o755);
    }
  }

  /** The text with the ports of this place. */
  placed(text) { return this.#substitutions.reduce((now, [from, to]) => now.replace(from, to), text); }

  /** Copies a file of the repository, as a reader would. */
  copy(path) { copyFileSync(join(ROOT, path), join(this.folder, basename(path))); }

  save(name, text) { writeFileSync(join(this.folder, name), `${this.placed(text)}\n`); }

  /** Runs a block: what it printed. A block that starts the server takes the place of the server before. */
  async run(text, where) {
    if (STARTS_SERVER.test(text)) await this.stopServer();
    this.#terminal ??= new Terminal(this.folder, this.#env);
    const { stdout, server } = await this.#terminal.run(this.placed(text), where);
    if (server) {
      this.#server = { terminal: this.#terminal, mode: 'documented' };
      this.#terminal = undefined;
    }
    return stdout;
  }

  /**
   * Sees to it that a server runs: the documented one, or, of the modes, `open`, `jwt` (with a
   * service token in TOKEN) or `empty`, another one on the same port.
   * @param {string} [mode]
   */
  async needServer(mode) {
    if (this.#server && (this.#server.mode === mode || !mode)) return;
    await this.stopServer();
    const terminal = new Terminal(this.folder, this.#env);
    this.#server = { terminal, mode: mode ?? 'open' };
    if (mode === 'jwt') {
      const [flags, secret] = ['--auth jwt --store sqlite:jwt.db', 'POLYCHAT_JWT_SECRET=0123456789abcdef0123456789abcdef'];
      await terminal.run(`export ${secret}\npolychat ${flags}`, 'the server');
      await this.run(`TOKEN=$(${secret} polychat token --user backend --role service)`, 'a service token');
    } else {
      await terminal.run(`polychat --store ${mode === 'empty' ? 'sqlite::memory:' : 'sqlite:polychat.db'}`, 'the server');
    }
  }

  async stopServer() {
    const server = this.#server;
    this.#server = undefined;
    await server?.terminal.end();
  }

  async end() {
    await this.stopServer();
    await this.#terminal?.end();
    this.#terminal = undefined;
  }

  /** Runs a command until it ends, or has printed enough: what it printed, and its exit code if it has ended. */
  async untilEnd(command, isEnough = (_output) => false) {
    const child = spawn('bash', ['-c', this.placed(command)], {
      cwd: this.folder, env: this.#env, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
    });
    leaders.add(child.pid);
    const changes = new Changes();
    let output = '';
    let code;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        changes.happened();
      });
    }
    child.once('close', (status) => {
      code = status;
      changes.happened();
    });
    try {
      await changes.until(() => code !== undefined || isEnough(output), () => `the end of ${command}\n${output}`, BLOCK_MS);
      return { output, code };
    } finally {
      signalGroup(child.pid, 'SIGKILL');
      leaders.delete(child.pid);
    }
  }
}
