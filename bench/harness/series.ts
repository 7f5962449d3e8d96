/** Figures of several rounds. */
export class Series {
  private readonly sorted: readonly number[];

  public constructor(values: readonly number[]) {
    if (values.length === 0) throw new Error('A series has one value at least');
    this.sorted = [...values].sort((a, b) => a - b);
  }

  public get median(): number {
    return this.quantile(0.5);
  }

  public get least(): number {
    return this.quantile(0);
  }

  public get most(): number {
    return this.quantile(1);
  }

  /** The smallest value that this share of all does not exceed. */
  public quantile(share: number): number {
    const index = Math.min(this.sorted.length - 1, Math.max(0, Math.ceil(this.sorted.length * share) - 1));
    return this.sorted[index] ?? NaN;
  }
}
