const perMs = 10;
const mostMs = 30_000;

/** How often each delay was met, by tenths of a millisecond: millions of them in little memory. */
export class Delays {
  private readonly counts = new Uint32Array(mostMs * perMs + 1);
  private total = 0;

  public get count(): number {
    return this.total;
  }

  public add(ms: number): void {
    const bucket = Math.min(this.counts.length - 1, Math.max(0, Math.ceil(ms * perMs)));
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.total += 1;
  }

  /** The least delay that this share of all does not exceed, in ms; NaN without any. */
  public quantile(share: number): number {
    let seen = 0;
    for (let bucket = 0; bucket < this.counts.length && this.total > 0; bucket += 1) {
      seen += this.counts[bucket] ?? 0;
      if (seen >= this.total * share) return bucket / perMs;
    }
    return NaN;
  }

  public clear(): void {
    this.counts.fill(0);
    this.total = 0;
  }
}
