import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Budget, type Standing } from './budget';
import { type RateLimit, RateLimitsRepository, type Share } from './rate-limits.repository';

/** A share is this part of what is left: of 600 requests a replica takes 30 at first, and single ones at the end. */
const parts = 20;
/** One unit at a time. */
const units = 2 ** 31 - 1;

/** A request waits no longer than this for its limit: it also has to wait for its own statements. */
const patienceMs = 600;
const pauseMs = 1_000;
const tidyMs = 60_000;
const batch = 1_000;

/** Counts requests against limits that all replicas share. */
@Injectable()
export class RateLimiter implements OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(RateLimiter.name);
  private readonly budgets = new Map<string, Budget>();
  private askAgainAt = Number.NEGATIVE_INFINITY;
  private timer: NodeJS.Timeout | undefined;

  public constructor(private readonly repository: RateLimitsRepository) {}

  public onModuleInit(): void {
    this.timer = setInterval(() => void this.tidy(), tidyMs);
  }

  public onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Spends one request of the key's budget; asks the database only now and then. One key has one limit. */
  public spend(key: string, limit: RateLimit): Standing | Promise<Standing> {
    let budget = this.budgets.get(key);
    if (budget === undefined) {
      budget = new Budget(limit, () => this.take(key, limit));
      this.budgets.set(key, budget);
    }
    return budget.spend();
  }

  /**
   * Counts one attempt, exactly and at once over all replicas: for what is rare and must not be guessed.
   * @returns null within the limit; else the seconds until another attempt may be made.
   */
  public async attempt(key: string, limit: RateLimit): Promise<number | null> {
    const { granted, endsInMs } = await this.repository.take(key, limit, units);
    return granted > 0 ? null : Math.max(1, Math.ceil(endsInMs / 1_000));
  }

  /** One attempt that was counted does not count after all. */
  public giveBack(key: string): Promise<void> {
    return this.repository.giveBack(key);
  }

  /** Forgets the attempts that were counted. */
  public forget(key: string): Promise<void> {
    return this.repository.forget(key);
  }

  /** Removes what is over, here and in the database. */
  public async tidy(): Promise<void> {
    for (const [key, budget] of this.budgets) if (budget.isOver) this.budgets.delete(key);
    try {
      // As many as there are: a flood leaves a row for each of its addresses.
      while ((await this.repository.forgetEnded(batch)) === batch);
    } catch (error) {
      this.logger.warn(`Windows of rate limits that are over could not be removed: ${String(error)}`);
    }
  }

  /** Null when the database does not answer soon; then it is left alone for a moment. */
  private async take(key: string, limit: RateLimit): Promise<Share | null> {
    if (performance.now() < this.askAgainAt) return null;
    const asked = this.repository.take(key, limit, parts).catch(() => null);
    const share = await Promise.race([asked, sleep(patienceMs, null, { ref: false })]);
    if (share === null) this.askAgainAt = performance.now() + pauseMs;
    return share;
  }
}
