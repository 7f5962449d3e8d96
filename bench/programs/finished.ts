import type { Work } from '../harness/cpu';

/** What a program has done, and what it cost. */
export interface Finished extends Work {
  /** Milliseconds of CPU for each operation. */
  readonly cpu: number;
}

/** Tells the parent. @param began by `performance.now()` */
export function finished(operations: number, began: number): void {
  const { user, system } = process.cpuUsage();
  const rate = operations / ((performance.now() - began) / 1_000);
  process.send?.({ operations, rate, cpu: (user + system) / 1_000 / operations } satisfies Finished);
}
