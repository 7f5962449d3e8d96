// npm run curves [-- log-length tenant-size] [-- --quick]: measures how costs grow. scripts/curves.mjs draws them.
import { curves } from '.';
import type { Curve, Point } from './curve';

export interface Measured extends Pick<Curve, 'id' | 'size' | 'measures'> {
  readonly points: readonly Point[];
}

/**
 * Measures the curves of these names, or all of them; each is handed over as soon as it is complete.
 * @throws Error for a name that none has
 */
export async function measure(words: readonly string[], done: (curve: Measured) => Promise<void>): Promise<void> {
  const isQuick = words.includes('--quick');
  const wanted = words.filter((word) => word !== '--quick');
  const known = curves.map(({ id }) => id);
  const unknown = wanted.filter((id) => !known.includes(id));
  if (unknown.length > 0) {
    throw new Error(`There is no ${unknown.join(', ')}. Usage: npm run curves -- [${known.join(' ')}] [--quick]`);
  }
  for (const curve of curves.filter(({ id }) => wanted.length === 0 || wanted.includes(id))) {
    const { id, size, measures } = curve;
    const points: Point[] = [];
    for await (const point of curve.points({ isQuick })) {
      points.push(point);
      process.stdout.write(`${id} ${point.size} ${JSON.stringify(point.values)}\n`);
    }
    await done({ id, size, measures, points });
  }
}
