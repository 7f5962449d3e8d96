export interface RunSoFar {
  /** Milliseconds that recent successful builds of the project took, as a median; null without any. */
  readonly usualMs: number | null;
  /** Milliseconds since the worker took it; 0 while it waits for one. */
  readonly elapsedMs: number;
  readonly stepsDone: number;
  readonly stepsTotal: number;
}

/**
 * How many milliseconds are left, or null without a history to go by.
 *
 * Two guesses are mixed by the share of steps done: what the history leaves of the usual duration counts at the start,
 * the pace of this build (the steps left, each as long as those done) counts towards the end. A build that takes longer
 * than usual keeps at least a tenth of what its open steps usually take, so the estimate never lies in the past.
 */
export function remainingMs({ usualMs, elapsedMs, stepsDone, stepsTotal }: RunSoFar): number | null {
  if (usualMs === null) return null;
  const done = stepsTotal > 0 ? Math.min(stepsDone / stepsTotal, 1) : 0;
  const open = 1 - done;
  const byHistory = Math.max(usualMs - elapsedMs, 0.1 * usualMs * open, 1_000);
  const byPace = done > 0 ? (elapsedMs * open) / done : byHistory;
  return Math.round(open * byHistory + done * byPace);
}
