import { randomInt } from 'node:crypto';

/** What a run of the chaos is told on its command line. */
export interface ChaosOptions {
  /** How long processes are killed and the database is restarted; starting and draining come on top. */
  readonly minutes: number;
  /** Decides what happens when. What the clocks and the kernel make of it still differs between two runs. */
  readonly seed: number;
}

/** @throws Error with one line that says how it is used */
export function parseOptions(args: readonly string[]): ChaosOptions {
  const given = new Map<string, string>();
  for (let index = 0; index < args.length; index += 2) given.set(args[index] ?? '', args[index + 1] ?? '');
  const minutes = Number(given.get('--minutes') ?? '1');
  const seed = Number(given.get('--seed') ?? String(randomInt(2 ** 31)));
  const isKnown = [...given.keys()].every((name) => name === '--minutes' || name === '--seed');
  if (!isKnown || !(minutes > 0 && minutes <= 24 * 60) || !Number.isInteger(seed) || seed < 0) {
    throw new Error('Usage: npm run chaos -- [--minutes N] [--seed WHOLE_NUMBER]');
  }
  return { minutes, seed };
}
