import { randomBytes, scrypt, type ScryptOptions, timingSafeEqual } from 'node:crypto';
import { ApiError } from '../http/api-error';

// OWASP Password Storage Cheat Sheet: scrypt with N = 2^15 (32 MiB), r = 8, p = 3.
const cost = 2 ** 15;
const blockSize = 8;
const parallelization = 3;
const keyLength = 32;

/** More do not wait: each takes a tenth of a second of a core, and those who asked would be gone. */
const mostAtOnce = 32;
let atOnce = 0;

/** So many are worked on; the others wait. Node has four threads for such work, and files and names need some too. */
const mostRunning = 2;
let running = 0;
const waiting: (() => void)[] = [];

async function turn(): Promise<void> {
  if (running === mostRunning) await new Promise<void>((resolve) => waiting.push(resolve));
  else running += 1;
}

function passOn(): void {
  const next = waiting.shift();
  if (next === undefined) running -= 1;
  else next();
}

/** @throws ApiError 503 while too many passwords are being checked */
async function derive(password: string, salt: Buffer, options: ScryptOptions): Promise<Buffer> {
  if (atOnce >= mostAtOnce) {
    throw new ApiError(503, 'Too many sign-ins at once; try again', null, { headers: { 'Retry-After': '5' } });
  }
  atOnce += 1;
  await turn();
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      scrypt(password.normalize('NFKC'), salt, keyLength, { ...options, maxmem: 256 * 2 ** 20 }, (error, key) => {
        if (error === null) resolve(key);
        else reject(error);
      });
    });
  } finally {
    passOn();
    atOnce -= 1;
  }
}

/** A text that holds all that is needed to check a password later: `scrypt$N$r$p$salt$key`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(16);
  const key = await derive(password, salt, { N: cost, r: blockSize, p: parallelization });
  return ['scrypt', cost, blockSize, parallelization, salt.toString('base64'), key.toString('base64')].join('$');
}

// Checked in place of the hash of a user who does not exist, so that both answers take as long.
const nobody = `scrypt$${cost}$${blockSize}$${parallelization}$${'A'.repeat(22)}==$${'A'.repeat(43)}=`;

/** Compares in constant time; without a hash it takes as long and is false. */
export async function verifyPassword(password: string, hash: string | null): Promise<boolean> {
  const [, N, r, p, salt = '', key = ''] = (hash ?? nobody).split('$');
  const derived = await derive(password, Buffer.from(salt, 'base64'), { N: Number(N), r: Number(r), p: Number(p) });
  return timingSafeEqual(derived, Buffer.from(key, 'base64')) && hash !== null;
}
