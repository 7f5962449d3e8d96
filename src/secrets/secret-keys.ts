import { randomBytes } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { decodeKey } from '../config/decode-key';
import type { Env } from '../config/env';
import { hasCode } from '../config/error-code';
import { StartError } from '../config/start-error';

/**
 * The keys of SECRETS_KEY; with the embedded database one that is made once and kept in DATA_DIR; else none, as processes
 * on other machines would not have it.
 */
export async function loadSecretKeys(
  env: Pick<Env, 'SECRETS_KEY' | 'DATABASE_URL' | 'DATA_DIR'>,
): Promise<readonly Buffer[]> {
  if (env.SECRETS_KEY.length > 0) return env.SECRETS_KEY;
  if (env.DATABASE_URL !== undefined) return [];
  const file = path.join(env.DATA_DIR, 'secrets-key');
  await mkdir(env.DATA_DIR, { recursive: true });
  try {
    await writeFile(file, randomBytes(32).toString('base64'), { mode: 0o600, flag: 'wx', flush: true });
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
  }
  const key = decodeKey((await readFile(file, 'utf8')).trim());
  // A new one would make every secret unreadable without a word.
  if (key === null) throw new StartError(`${file} holds no key of 32 bytes; put back the one that was there`);
  return [key];
}
