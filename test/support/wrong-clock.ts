import path from 'node:path';

/** The environment of a service whose clock is so many minutes ahead; below 0, behind. */
export function clockAhead(minutes: number): Record<string, string> {
  return {
    NODE_OPTIONS: `--require ${path.join(__dirname, 'shift-clock.cjs')}`,
    TEST_CLOCK_SHIFT_MS: String(minutes * 60_000),
  };
}
