// @ts-check
// Owns the attack with tokens: forged, confused, tampered, too old, too early, too long, of nobody, and of a user where only
// a service may call. Does not know how tokens are verified.
import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { CARRIERS } from '../clients/credentials.mjs';
import { Backend } from '../clients/rest.mjs';
import { ask, connect } from '../clients/socketio.mjs';
import { dial } from '../clients/websocket.mjs';
import { startServer, tempDir } from '../harness/server.mjs';
import { SECRET, jwksFile, keyPair, now, signed, signedWithPublicKey, token, unsigned } from '../harness/tokens.mjs';

const SERVICE = { sub: 'eve', role: 'service' };

const encoded = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token of a given header, whatever it is, and the signature that `seal` makes of the first two parts. */
function forged(header, claims, seal) {
  const payload = typeof claims === 'string' ? claims : { exp: now() + 3600, ...claims };
  const body = `${encoded({ typ: 'JWT', ...header })}.${encoded(payload)}`;
  return `${body}.${seal(body)}`;
}

const hmac = (hash, key) => (body) => createHmac(hash, key).update(body).digest('base64url');
/** @type {(header: object, claims?: any) => string} */
const withSecret = (header, claims = SERVICE) => forged({ alg: 'HS256', ...header }, claims, hmac('sha256', SECRET));

/** An attacker's own pair of keys, whose public half is in the header. */
function embedded() {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const seal = (body) => sign('sha256', Buffer.from(body), privateKey).toString('base64url');
  return {
    'a key in jwk': forged({ alg: 'RS256', jwk }, SERVICE, seal),
    'a key at jku': forged({ alg: 'RS256', jku: 'http://127.0.0.1:1/jwks.json', kid: 'x' }, SERVICE, seal),
    'a key at x5u': forged({ alg: 'RS256', x5u: 'http://127.0.0.1:1/x.pem' }, SERVICE, seal),
    'a foreign key with the id of the server\'s': forged({ alg: 'RS256', kid: 'first' }, SERVICE, seal),
  };
}

/** What is wrong with the signature or the algorithm. `pair` is the pair of which the server has the public half. */
async function badSignatures(pair) {
  const good = await token(SERVICE);
  const [header, claims, signature] = good.split('.');
  const byKey = await signed(SERVICE, pair);
  const [keyHeader, , keySignature] = byKey.split('.');
  const user = await token({ sub: 'eve' });
  const modulus = Buffer.from(pair.jwk.n ?? '', 'base64url');
  const algs = ['none', 'None', 'NONE', 'nOnE', '', 'HS1', 'RS256 '];
  return {
    'alg none': unsigned(SERVICE),
    ...Object.fromEntries(algs.map((alg) => [`alg '${alg}' with a signature`, forged({ alg }, SERVICE, hmac('sha256', SECRET))])),
    ...Object.fromEntries(algs.map((alg) => [`alg '${alg}' without one`, forged({ alg }, SERVICE, () => '')])),
    'no alg': forged({}, SERVICE, hmac('sha256', SECRET)),
    'alg a list': forged({ alg: ['HS256'] }, SERVICE, hmac('sha256', SECRET)),
    'HS384': forged({ alg: 'HS384' }, SERVICE, hmac('sha384', SECRET)),
    'HS512': forged({ alg: 'HS512' }, SERVICE, hmac('sha512', SECRET)),
    'HS256 named RS256': forged({ alg: 'RS256' }, SERVICE, hmac('sha256', SECRET)),
    'the public key as the secret': await signedWithPublicKey(SERVICE, pair),
    'the public key without its line end as the secret': forged({ alg: 'HS256' }, SERVICE, hmac('sha256', pair.pem.trim())),
    'the JWK as the secret': forged({ alg: 'HS256' }, SERVICE, hmac('sha256', JSON.stringify(pair.jwk))),
    'the modulus as the secret': forged({ alg: 'HS256', kid: 'first' }, SERVICE, hmac('sha256', modulus)),
    'another secret': await token(SERVICE, 'another secret, which is long enough'),
    'an empty secret': forged({ alg: 'HS256' }, SERVICE, hmac('sha256', '')),
    'the secret of /dev/null by kid': forged({ alg: 'HS256', kid: '../../../../dev/null' }, SERVICE, hmac('sha256', '')),
    'a query as kid': forged({ alg: 'HS256', kid: "x' UNION SELECT 'x" }, SERVICE, hmac('sha256', 'x')),
    'an unknown critical header': withSecret({ crit: ['b64'], b64: false }),
    'critical exp': withSecret({ crit: ['exp'] }),
    'another key': await signed(SERVICE, await keyPair('RS256', 'first')),
    'a key of another kind': await signed(SERVICE, await keyPair('ES256', 'first')),
    ...embedded(),
    'other claims under a signature': `${header}.${encoded({ ...SERVICE, exp: now() + 9999 })}.${signature}`,
    'the claims of a service under the signature of a user': `${header}.${claims}.${user.split('.')[2]}`,
    'a signature of HS256 under the header of RS256': `${keyHeader}.${claims}.${signature}`,
    'a signature of RS256 under the header of HS256': `${header}.${claims}.${keySignature}`,
    'half a signature': good.slice(0, -20),
    'a longer signature': `${good}AAAA`,
    'no signature': `${header}.${claims}.`,
    'two parts': `${header}.${claims}`,
    'four parts': `${good}.${signature}`,
    'five parts': `${header}.${claims}.${signature}.${signature}.${signature}`,
    'dots': '....',
    'a word': 'eve',
    'null': 'null',
    'JSON': JSON.stringify(SERVICE),
    'a header nested deeply': `${encoded(`{"alg":"HS256","x":${'['.repeat(3000)}${']'.repeat(3000)}}`)}.${claims}.${signature}`,
    'a length of more than 8 KiB, signed': await token({ ...SERVICE, x: 'x'.repeat(6500) }),
    'a length of more than 8 KiB, of rubbish': 'x'.repeat(9000),
  };
}

/** What is wrong with the claims, under a good signature. */
async function badClaims() {
  const subs = {
    missing: undefined, empty: '', 'a number': 5, true: true, null: null, 'a list': ['eve'], 'an object': { id: 'eve' },
    'too long': 'e'.repeat(300), 'a control character': 'e\u0000ve', 'a line end': 'eve\nadmin', 'an escape': 'eve\u001b[31m',
  };
  const exps = {
    missing: undefined, 'a second ago': now() - 1, 0: 0, negative: -1, 'a text': 'tomorrow', null: null,
    'a number in a text': `${now() + 60}`, 'a list': [now() + 60], true: true,
  };
  const nbfs = { 'in an hour': now() + 3600, 'far away': 99_999_999_999, 'a text': 'now' };
  const made = {};
  for (const [what, sub] of Object.entries(subs)) made[`sub ${what}`] = withSecret({}, { role: 'service', sub });
  for (const [what, exp] of Object.entries(exps)) made[`exp ${what}`] = withSecret({}, { ...SERVICE, exp });
  for (const [what, nbf] of Object.entries(nbfs)) made[`nbf ${what}`] = withSecret({}, { ...SERVICE, nbf });
  for (const claims of ['[]', '"eve"', 'null', '{', '', '{"sub":"eve"']) made[`claims ${claims}`] = withSecret({}, claims);
  return made;
}

/** A good token is still accepted in each transport: a server that refuses everything passes nothing. */
async function assertGood(t, server, jwt) {
  const socket = await connect(t, server.url, { auth: { token: jwt } });
  await ask(socket, 'create-user', { user: {} });
  socket.close();
  await (await dial(t, server, '/ws/chats/', { token: jwt })).close();
}

async function startWithKeys(t) {
  const pair = await keyPair('RS256', 'first');
  const keys = ['--auth', 'jwt', '--jwt-secret', SECRET, '--jwt-keys', await jwksFile(await tempDir(t), pair)];
  return { pair, server: await startServer(t, keys) };
}

/** @type {import('./tally.mjs').Attack} */
const confusion = {
  kind: 'tokens', what: 'tokens forged, confused, tampered with, expired, too early, too long, of nobody; in every way to carry one',
  holds: 'none is admitted; a good one is, before and afterwards', seconds: 40, short: 12,
  async run({ t, short, tally }) {
    const { pair, server } = await startWithKeys(t);
    for (const good of [await token({ sub: 'anna' }), await signed({ sub: 'anna' }, pair)]) await assertGood(t, server, good);
    const bad = Object.entries({ ...await badSignatures(pair), ...await badClaims() });
    const carriers = Object.entries(CARRIERS);
    for (const [index, [what, jwt]] of bad.entries()) {
      // Short: each token in two ways, another two for the next token.
      const used = short ? [0, 4].map((shift) => carriers[(index + shift) % carriers.length]) : carriers;
      await Promise.all(used.map(([how, carry]) => (
        tally.attempt(`${what}, in ${how}`, async () => { await carry(t, server, jwt); })
      )));
    }
    await tally.attempt('a good token afterwards', async () => assertGood(t, server, await token({ sub: 'anna' })));
  },
};

/** Roles that are not `service`. */
const ROLES = [undefined, 'user', 'admin', 'Service', 'SERVICE', 'service ', 'service\u0000', ['service'], { service: true }, true, 1, null];

const API = '/api/v1';
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];

/** @type {import('./tally.mjs').Attack} */
const userAsService = {
  kind: 'tokens', what: 'a user\'s token, with many spellings of a role, on every operation of the API and on the metrics',
  holds: 'each is 403', seconds: 20, short: 4,
  async run({ t, tally }) {
    const { server } = await startWithKeys(t);
    const { paths } = /** @type {any} */ (await (await fetch(`${server.url}${API}/openapi.json`)).json());
    const service = await token(SERVICE);
    const operations = Object.entries(paths).flatMap(([path, item]) => (
      METHODS.filter((method) => method in item).map((method) => [method.toUpperCase(), API + path.replace(/\{[^}]+\}/g, '1')])
    ));
    const guarded = [];
    for (const [method, path] of operations) {
      const { status } = await fetch(server.url + path, { method });
      if (status === 401) guarded.push([method, path]);
      else if (![200, 503].includes(status)) tally.fail(`${method} ${path} without a token is ${status}`);
    }
    guarded.push(['GET', '/metrics']);
    for (const role of ROLES) {
      const headers = { authorization: `Bearer ${withSecret({}, { sub: 'eve', role })}` };
      for (const [method, path] of guarded) {
        await tally.attempt(`${method} ${path} with the role ${JSON.stringify(role)}`, async () => {
          const response = await fetch(server.url + path, { method, headers });
          await response.arrayBuffer();
          return response.status === 403 ? undefined : `status ${response.status}`;
        });
      }
    }
    await tally.attempt('a service afterwards', () => new Backend(server, service).get('/users'));
    tally.measured = `${guarded.length} operations`;
  },
};

/** @type {import('./tally.mjs').Attack} */
const audience = {
  kind: 'tokens', what: 'a token for another audience, and of another issuer',
  holds: 'admitted: documented, `iss` and `aud` are not checked', seconds: 2,
  async run({ t, tally }) {
    const { server } = await startWithKeys(t);
    for (const claims of [{ aud: 'another' }, { aud: ['another'] }, { iss: 'another' }]) {
      await tally.attempt(JSON.stringify(claims), async () => assertGood(t, server, await token({ sub: 'anna', ...claims })));
    }
  },
};

export const ATTACKS = [confusion, userAsService, audience];
