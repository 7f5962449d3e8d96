import { createHash, randomInt } from 'node:crypto';
import { crc32 } from 'node:zlib';

const digits = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const mark = 'imgf_';
/** Enough that no two keys have the same. */
const nameDigits = 12;
/** log₂(62) × 43 = 256 bits, none of which the prefix shows. */
const secretDigits = 43;
/** Enough for any 32 bits. */
const checkDigits = 6;

const form = new RegExp(`^${mark}[0-9A-Za-z]{${nameDigits + secretDigits + checkDigits}}$`);

/** A key as its owner is shown it, once, and how it is recognised afterwards. */
export interface ApiKey {
  readonly key: string;
  /** The beginning of the key: no secret. */
  readonly prefix: string;
}

/**
 * Makes a key: `imgf_`, 12 digits by which it is found, 43 secret ones, and a checksum of 6, all in base 62. The mark and the
 * checksum let scanners for leaked secrets find keys without false alarms, as GitHub's tokens do.
 */
export function newApiKey(): ApiKey {
  const random = Array.from({ length: nameDigits + secretDigits }, () => digits.charAt(randomInt(digits.length)));
  const body = mark + random.join('');
  return { key: body + checksumOf(body), prefix: prefixOf(body) };
}

/** Whether a credential claims to be a key. */
export function looksLikeApiKey(credential: string): boolean {
  return credential.startsWith(mark);
}

/** The beginning by which the key is found; null when it was mistyped, cut or made up. */
export function prefixOfApiKey(key: string): string | null {
  if (!form.test(key)) return null;
  const body = key.slice(0, -checkDigits);
  return key.endsWith(checksumOf(body)) ? prefixOf(body) : null;
}

/** What is stored of a key. It has 256 random bits, which no slow hash makes harder to guess. */
export function hashOfApiKey(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function prefixOf(body: string): string {
  return body.slice(0, mark.length + nameDigits);
}

function checksumOf(body: string): string {
  let rest = crc32(body);
  let text = '';
  for (let index = 0; index < checkDigits; index += 1) {
    text = digits.charAt(rest % digits.length) + text;
    rest = Math.floor(rest / digits.length);
  }
  return text;
}
