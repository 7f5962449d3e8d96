import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { ApiError } from '../http/api-error';
import { FairTurns } from './fair-turns';

// OWASP Password Storage Cheat Sheet: scrypt with N = 2^15 (32 MiB), r = 8, p = 3.
const cost = 2 ** 15;
const blockSize = 8;
const parallelization = 3;
const keyLength = 32;

/**
 * Each takes a tenth of a second of a core. Two run: Node has four threads for such work, and files and names need some too.
 * More than 32 of a party do not wait: the others of a flood would be gone when their turn came.
 */
const turns = new FairTurns({ running: 2, ofEach: 32, ofAll: 256 });

/** @throws ApiError 503 while too many passwords of the party, or of all, are being checked */
async function derive(password: string, salt: Buffer, options: ScryptOptions, party: string): Promise<Buffer> {
  if (!turns.hasPlaceFor(party)) {
    throw new ApiError(503, 'Too many passwords at once; try again', null, { headers: { 'Retry-After': '5' } });
  }
  return turns.take(party, () => {
    return new Promise<Buffer>((resolve, reject) => {
      scrypt(password.normalize('NFKC'), salt, keyLength, { ...options, maxmem: 256 * 2 ** 20 }, (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      });
    });
  });
}

/**
 * A text that holds all that is needed to check a password later: `scrypt$N$r$p$salt$key`.
 * @param party who asks; parties take turns
 * @throws ApiError 503 while too many wait
 */
export async function hashPassword(password: string, party: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, { N: cost, r: blockSize, p: parallelization }, party);
  return ['scrypt', cost, blockSize, parallelization, salt.toString('base64'), key.toString('base64')].join('$');
}

// Checked in place of the hash of a user who does not exist, so that both answers take as long.
const nobody = `scrypt$${cost}$${blockSize}$${parallelization}$${'A'.repeat(22)}==$${'A'.repeat(43)}=`;

/**
 * Compares in constant time; without a hash it takes as long and is false.
 * @param party who asks; parties take turns
 * @throws ApiError 503 while too many wait
 */
export async function verifyPassword(password: string, hash: string | null, party: string): Promise<boolean> {
  const [, N, r, p, salt = '', key = ''] = (hash ?? nobody).split('$');
  const derived = await derive(
    password,
    Buffer.from(salt, 'base64'),
    { N: Number(N), r: Number(r), p: Number(p) },
    party,
  );
  return timingSafeEqual(derived, Buffer.from(key, 'base64')) && hash !== null;
}
