import type { RateLimit, Share } from './rate-limits.repository';

/** How a caller stands after a request. */
export interface Standing {
  readonly isWithin: boolean;
  readonly limit: number;
  /** What is left of the window, as far as this replica knows. */
  readonly remaining: number;
  /** Seconds until the window ends, at least 1. */
  readonly resetSeconds: number;
}

/** @returns null when the shared budget cannot be asked now */
export type TakeShare = () => Promise<Share | null>;

/**
 * What this replica holds of one caller's budget. It takes a share of the window from the database and serves requests from
 * it, so that most ask nobody; the shares shrink with the budget, so that little of it lies unused in another replica. While
 * the database is away, a replica allows the whole limit by itself: a limiter must not make an outage longer.
 */
export class Budget {
  private held = 0;
  private leftElsewhere = 0;
  private endsAt = Number.NEGATIVE_INFINITY;
  private isSpent = false;
  private usedAlone = 0;
  private taking: Promise<void> | undefined;

  public constructor(
    private readonly limit: RateLimit,
    private readonly takeShare: TakeShare,
    /** Milliseconds of a clock that only goes forward. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Whether it holds nothing that a later request would need. */
  public get isOver(): boolean {
    return this.endsAt <= this.now() && this.taking === undefined;
  }

  public spend(): Standing | Promise<Standing> {
    this.turn();
    return this.held > 0 || this.isSpent ? this.spendHeld() : this.spendAfterTaking();
  }

  private async spendAfterTaking(): Promise<Standing> {
    while (this.held === 0 && !this.isSpent) {
      this.taking ??= this.take().finally(() => {
        this.taking = undefined;
      });
      await this.taking;
      this.turn();
    }
    return this.spendHeld();
  }

  private spendHeld(): Standing {
    const isWithin = this.held > 0;
    if (isWithin) this.held -= 1;
    const seconds = Math.ceil((this.endsAt - this.now()) / 1_000);
    return {
      isWithin,
      limit: this.limit.most,
      remaining: this.held + this.leftElsewhere,
      resetSeconds: Math.max(1, seconds),
    };
  }

  private async take(): Promise<void> {
    const share = (await this.takeShare()) ?? this.ownShare();
    this.held += share.granted;
    this.leftElsewhere = share.left;
    this.endsAt = this.now() + share.endsInMs;
    this.isSpent = share.granted === 0;
  }

  private ownShare(): Share {
    const { most, windowSeconds } = this.limit;
    const granted = Math.ceil((most - this.usedAlone) / 20);
    this.usedAlone += granted;
    const isNew = this.endsAt === Number.NEGATIVE_INFINITY;
    return {
      granted,
      left: most - this.usedAlone,
      endsInMs: isNew ? windowSeconds * 1_000 : this.endsAt - this.now(),
    };
  }

  /** Shares end with their window. */
  private turn(): void {
    if (this.endsAt > this.now()) return;
    this.held = 0;
    this.isSpent = false;
    this.usedAlone = 0;
    this.endsAt = Number.NEGATIVE_INFINITY;
  }
}
