import type { Series } from './series';

/** One figure of a goal against its bound. */
export interface Check {
  readonly name: string;
  /** What the product reached; absent where the ratio alone was made. */
  readonly ours: Series;
  /** What the least program that does the same reached, in the same rounds; null for a goal that is absolute. */
  readonly floor: Series | null;
  /** Such as `requests/s`. */
  readonly unit: string;
  /** Of each round: ours by the floor; where there is no floor, ours. */
  readonly ratio: Series;
  readonly bound: Bound;
  /** Milliseconds of CPU for one operation of both, where it was measured. */
  readonly cpu?: { readonly ours: number; readonly floor: number | null };
}

/** `most` for costs, `least` for rates. */
export type Bound = { readonly least: number } | { readonly most: number };

export interface BenchOptions {
  /** Shorter rounds and smaller data, whose bounds are looser. */
  readonly isQuick: boolean;
}

/** One of the goals of performance. */
export interface Goal {
  /** Such as `P6`. */
  readonly id: string;
  readonly title: string;
  measure(options: BenchOptions): Promise<Check[]>;
}

/** How much of a bound a quick run has to reach. */
const quickShare = 0.7;

/** Whether a check reached its bound. */
export function isReached({ ratio, bound }: Check, { isQuick }: BenchOptions): boolean {
  const slack = isQuick ? quickShare : 1;
  return 'least' in bound ? ratio.median >= bound.least * slack : ratio.median <= bound.most / slack;
}
