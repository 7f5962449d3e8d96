/** What was measured at one size. */
export interface Point {
  /** The size: lines, builds, subscribers. */
  readonly size: number;
  /** By the names of the curve's measures; one that could not be taken at this size is absent. */
  readonly values: Readonly<Record<string, number>>;
}

/** How costs grow with one size. */
export interface Curve {
  /** Also the name of its files in `docs/performance`. */
  readonly id: string;
  /** What grows, with its unit: the title of the axis. */
  readonly size: string;
  /** What is measured at each size, with units: a plot each. */
  readonly measures: readonly string[];
  points(options: CurveOptions): AsyncIterable<Point>;
}

export interface CurveOptions {
  /** Up to a hundredth of the sizes alone, to see whether it works. */
  readonly isQuick: boolean;
}

/** 1, 10, 100 …, from and to whole powers of ten. */
export function decades(from: number, to: number, { isQuick }: CurveOptions): number[] {
  const last = isQuick ? to / 100 : to;
  const sizes: number[] = [];
  for (let size = from; size <= last; size *= 10) sizes.push(size);
  return sizes;
}
