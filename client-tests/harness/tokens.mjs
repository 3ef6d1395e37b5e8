// @ts-check
// Owns keys and tokens, as the host application of a chat server makes them.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SignJWT, exportJWK, exportSPKI, generateKeyPair } from 'jose';

export const SECRET = randomBytes(32).toString('hex');

const bytes = (secret) => new TextEncoder().encode(secret);
const base64url = (value) => Buffer.from(value).toString('base64url');

export const now = () => Math.floor(Date.now() / 1000);

/** The life of a token that expires in a test, in seconds: longer than it takes to connect on a busy machine. */
export const SHORT_LIFE_S = 6;

/**
 * A signed token; claims win over the defaults, and `exp: undefined` leaves it out.
 * @param {import('jose').JWTPayload} claims
 * @param {{ alg: string, key: import('jose').CryptoKey | Uint8Array, kid?: string }} header
 */
export function signed(claims, { alg, key, kid }) {
  const all = { exp: now() + 3600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg, typ: 'JWT', ...(kid && { kid }) }).sign(key);
}

/** A token made with the shared secret. */
export const token = (claims, secret = SECRET) => signed(claims, { alg: 'HS256', key: bytes(secret) });

/** A token that claims to need no signature. */
export function unsigned(claims) {
  const parts = [{ alg: 'none', typ: 'JWT' }, { exp: now() + 3600, ...claims }];
  return `${parts.map((part) => base64url(JSON.stringify(part))).join('.')}.`;
}

/** A key pair: `key` signs, `pem` and `jwk` are the public half. */
export async function keyPair(alg, kid) {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    alg,
    kid,
    key: privateKey,
    pem: await exportSPKI(publicKey),
    jwk: { ...(await exportJWK(publicKey)), alg, kid, use: 'sig' },
  };
}

/** A token made with the public key as if it were a shared secret. */
export const signedWithPublicKey = (claims, { pem }) => signed(claims, { alg: 'HS256', key: bytes(pem) });

export async function pemFile(dir, { alg, pem }) {
  const path = join(dir, `${alg}.pem`);
  await writeFile(path, pem);
  return path;
}

export async function jwksFile(dir, ...pairs) {
  const path = join(dir, 'jwks.json');
  await writeFile(path, JSON.stringify({ keys: pairs.map(({ jwk }) => jwk) }));
  return path;
}
