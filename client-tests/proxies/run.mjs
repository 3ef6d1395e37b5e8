// @ts-check
// Owns the run of the proxy tests: prints which programs are missing, makes the certificate that every client of the
// tests then trusts, and runs them.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const NEEDED = { nginx: ['-v'], haproxy: ['-v'], caddy: ['version'], openssl: ['version'] };

const missing = Object.entries(NEEDED).filter(([name, args]) => spawnSync(name, args).status !== 0).map(([name]) => name);
if (missing.length > 0) {
  console.error(`The proxy tests need ${missing.join(', ')}. On Debian: apt-get install nginx-light haproxy caddy openssl`);
  process.exit(1);
}

const dir = mkdtempSync(join(tmpdir(), 'polychat-proxies-'));
const [certificate, key] = [join(dir, 'localhost.crt'), join(dir, 'localhost.key')];
const made = spawnSync('openssl', [
  'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
  '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-out', certificate, '-keyout', key,
], { encoding: 'utf8' });
if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`);
const both = join(dir, 'localhost.pem');
writeFileSync(both, readFileSync(certificate, 'utf8') + readFileSync(key, 'utf8'));

const here = fileURLToPath(new URL('.', import.meta.url));
const run = spawn(process.execPath, ['--test', '--test-concurrency=1', ...process.argv.slice(2), 'proxies.test.mjs'], {
  cwd: here,
  stdio: 'inherit',
  env: { ...process.env, NODE_EXTRA_CA_CERTS: certificate, POLYCHAT_TEST_CERTIFICATES: dir },
});
process.exitCode = await new Promise((resolve) => { run.on('close', (code) => resolve(code ?? 1)); });
rmSync(dir, { recursive: true, force: true });
