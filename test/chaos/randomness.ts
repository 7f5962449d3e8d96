/** A seeded source of random numbers: mulberry32, which is enough to spread events and no more. */
export class Randomness {
  public constructor(private state: number) {}

  /** From 0 up to, but not including, 1. */
  public next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  public between(least: number, most: number): number {
    return least + this.next() * (most - least);
  }

  public chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws Error for an empty list */
  public pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.next() * list.length)];
    if (picked === undefined) throw new Error('There is nothing to pick from.');
    return picked;
  }

  /** A source of its own for somebody who works at the same time, so that who draws first changes nothing for others. */
  public fork(): Randomness {
    return new Randomness(Math.floor(this.next() * 2 ** 32));
  }
}
