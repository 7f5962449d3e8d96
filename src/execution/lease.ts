import { Logger } from '@nestjs/common';
import type { BuildQueueRepository, Claim } from './build-queue.repository';

/** Why a build must stop although nothing is wrong with it. */
export class BuildStopped extends Error {
  public override readonly name = 'BuildStopped';

  /**
   * `withdrawn`: it was cancelled or deleted. `lost`: the lease is gone, or will be before it can be renewed.
   * @param killAfterMs how long the build's processes may take to end; without it, as long as any
   */
  public constructor(
    public readonly why: 'withdrawn' | 'lost',
    public readonly killAfterMs?: number,
  ) {
    super(why === 'lost' ? 'The lease of the build was lost' : 'The build was cancelled or deleted');
  }
}

/** The share of a lease after which a build that could not renew it is stopped, so that it is dead before the lease ends. */
const unrenewedShare = 0.6;
/** The share of a lease that the processes of such a build have to end by themselves. */
const endingShare = 0.2;
/** After a renewal that failed; of a short lease a tenth. */
const longestRetryMs = 1_000;

/** Keeps the lease of one running build, and learns by it that the build was withdrawn. */
export class Lease {
  private readonly logger = new Logger(Lease.name);
  private readonly timer: NodeJS.Timeout;
  private readonly leaseMs: number;
  private deadline: NodeJS.Timeout | undefined;
  private retry: NodeJS.Timeout | undefined;
  private renewing: Promise<void> | undefined;
  private isAsked = false;
  private isKept = true;

  /** @param stop is told once why the build must stop */
  public constructor(
    private readonly queue: Pick<BuildQueueRepository, 'renew'>,
    private readonly claim: Pick<Claim, 'id' | 'token'>,
    private readonly leaseSeconds: number,
    private readonly stop: (reason: BuildStopped) => void,
  ) {
    this.leaseMs = leaseSeconds * 1000;
    this.timer = setInterval(() => void this.renew(), this.leaseMs / 3);
    this.extend(performance.now());
  }

  /** Renews: something may have happened to the build. A renewal under way may have missed it, so another one follows. */
  public async renew(): Promise<void> {
    this.isAsked = true;
    this.renewing ??= this.renewWhileAsked().finally(() => {
      this.renewing = undefined;
    });
    return this.renewing;
  }

  /** Lets the lease go; what becomes of it in the database is the caller's. */
  public release(): void {
    this.isKept = false;
    clearInterval(this.timer);
    clearTimeout(this.deadline);
    clearTimeout(this.retry);
  }

  private async renewWhileAsked(): Promise<void> {
    while (this.isAsked && this.isKept) {
      this.isAsked = false;
      await this.tryRenew();
    }
  }

  private async tryRenew(): Promise<void> {
    // A lease counts from before the request, as nobody knows when the database granted it.
    const askedAt = performance.now();
    try {
      const lease = await this.queue.renew(this.claim, this.leaseSeconds);
      if (!this.isKept) return;
      if (lease === null) {
        this.end(new BuildStopped('lost', 0));
        return;
      }
      this.extend(askedAt);
      if (!lease.goesOn) this.stop(new BuildStopped('withdrawn'));
    } catch (error) {
      this.logger.warn(`The lease of build ${this.claim.id} was not renewed: ${String(error)}`);
      if (!this.isKept) return;
      clearTimeout(this.retry);
      this.retry = setTimeout(() => void this.renew(), Math.min(longestRetryMs, this.leaseMs / 10));
    }
  }

  /** The deadline does not wait for an answer that may never come. */
  private extend(askedAt: number): void {
    clearTimeout(this.deadline);
    const leftMs = askedAt + this.leaseMs * unrenewedShare - performance.now();
    this.deadline = setTimeout(() => {
      this.logger.warn(`The lease of build ${this.claim.id} could not be renewed in time: the build is stopped`);
      this.end(new BuildStopped('lost', this.leaseMs * endingShare));
    }, leftMs);
  }

  private end(reason: BuildStopped): void {
    this.release();
    this.stop(reason);
  }
}
