import { randomInt } from 'node:crypto';

/** What a run of the fuzz is told on its command line. */
export interface FuzzOptions {
  readonly requests: number;
  /** Decides every request; the ids in them are of what the run itself has made. */
  readonly seed: number;
}

/** @throws Error with one line that says how it is used */
export function parseOptions(args: readonly string[]): FuzzOptions {
  const given = new Map<string, string>();
  for (let index = 0; index < args.length; index += 2) given.set(args[index] ?? '', args[index + 1] ?? '');
  const requests = Number(given.get('--requests') ?? '50000');
  const seed = Number(given.get('--seed') ?? String(randomInt(2 ** 31)));
  const isKnown = [...given.keys()].every((name) => name === '--requests' || name === '--seed');
  const isWhole = Number.isInteger(requests) && Number.isInteger(seed);
  if (!isKnown || !isWhole || requests < 1 || requests > 10_000_000 || seed < 0) {
    throw new Error('Usage: npm run fuzz -- [--requests N] [--seed WHOLE_NUMBER]');
  }
  return { requests, seed };
}
