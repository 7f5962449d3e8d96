import { type BenchOptions, type Check, isReached } from './goal';
import type { Series } from './series';

/** A check as the lines that people read. */
export function tell(check: Check, options: BenchOptions): string {
  const { name, ours, floor, unit, ratio, bound, cpu } = check;
  const limit = 'least' in bound ? `≥ ${bound.least}` : `≤ ${bound.most}`;
  const verdict = isReached(check, options) ? 'pass' : 'MISS';
  const figures = [`ours ${spread(ours)} ${unit}`];
  if (floor !== null) figures.push(`floor ${spread(floor)} ${unit}`, `ratio ${spread(ratio)}`);
  if (cpu !== undefined) {
    figures.push(`CPU ${figure(cpu.ours)} ms${cpu.floor === null ? '' : ` against ${figure(cpu.floor)} ms`}`);
  }
  return `  ${verdict}  ${name}: ${limit}${options.isQuick ? ' (loosely)' : ''}\n        ${figures.join('   ')}\n`;
}

function spread({ median, least, most }: Series): string {
  return least === most ? figure(median) : `${figure(median)} (${figure(least)}–${figure(most)})`;
}

/** With three digits. */
export function figure(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en');
  return value.toPrecision(3);
}
