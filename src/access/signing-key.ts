import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Env } from '../config/env';
import { hasCode } from '../config/error-code';

/**
 * The key that signs and verifies access tokens: JWT_SECRET, or one that is made once and kept in DATA_DIR.
 * A KeyObject, as jsonwebtoken tries to parse a string as a public key on every call, which costs 30 times as much.
 */
export async function loadSigningKey(env: Env): Promise<KeyObject> {
  if (env.JWT_SECRET !== undefined) return createSecretKey(env.JWT_SECRET, 'utf8');
  const file = path.join(env.DATA_DIR, 'jwt-secret');
  await mkdir(env.DATA_DIR, { recursive: true });
  try {
    await writeFile(file, randomBytes(48).toString('base64url'), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  const secret = await readFile(file, 'utf8');
  if (Buffer.byteLength(secret) < 32)
    throw new Error(`${file} holds no usable secret; remove it to have a new one made`);
  return createSecretKey(secret, 'utf8');
}
