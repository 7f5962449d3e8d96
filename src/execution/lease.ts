import { Logger } from '@nestjs/common';
import type { BuildQueueRepository, Claim } from './build-queue.repository';

/** Why a build must stop although nothing is wrong with it. */
export class BuildStopped extends Error {
  public override readonly name = 'BuildStopped';

  /** `withdrawn`: it was cancelled or deleted. `lost`: the lease is gone, so nothing may be written any more. */
  public constructor(public readonly why: 'withdrawn' | 'lost') {
    super(why === 'lost' ? 'The lease of the build was lost' : 'The build was cancelled or deleted');
  }
}

/** The share of a lease after which a build that could not renew it is stopped, so that it is dead before the lease ends. */
const unrenewedShare = 0.6;

/** Keeps the lease of one running build, and learns by it that the build was withdrawn. */
export class Lease {
  private readonly logger = new Logger(Lease.name);
  private readonly timer: NodeJS.Timeout;
  private readonly leaseMs: number;
  private renewedAt = performance.now();
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
        this.end(new BuildStopped('lost'));
        return;
      }
      this.renewedAt = askedAt;
      if (!lease.goesOn) this.stop(new BuildStopped('withdrawn'));
    } catch (error) {
      this.logger.warn(`The lease of build ${this.claim.id} was not renewed: ${String(error)}`);
      if (this.isKept && performance.now() - this.renewedAt > this.leaseMs * unrenewedShare) {
        this.end(new BuildStopped('lost'));
      }
    }
  }

  private end(reason: BuildStopped): void {
    this.release();
    this.stop(reason);
  }
}
