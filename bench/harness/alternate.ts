import { Series } from './series';

/** Both sides of a comparison, round by round. */
export interface Rounds {
  readonly ours: Series;
  readonly floor: Series;
  /** Of each round: ours by the floor. */
  readonly ratio: Series;
}

/**
 * Measures in turn, so that what else the machine does meets both alike: floor, ours, ours, floor, floor, ours …
 * @param rounds how many of each
 */
export async function alternate(
  rounds: number,
  sides: { readonly ours: () => Promise<number>; readonly floor: () => Promise<number> },
): Promise<Rounds> {
  const ours: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? (['floor', 'ours'] as const) : (['ours', 'floor'] as const);
    for (const side of order) (side === 'ours' ? ours : floor).push(await sides[side]());
  }
  const ratio = ours.map((value, round) => value / (floor[round] ?? NaN));
  return { ours: new Series(ours), floor: new Series(floor), ratio: new Series(ratio) };
}
