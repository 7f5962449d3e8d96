import type { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseUnavailable } from '../database/database-errors';

/** A part may hang, as on a file system that does not answer: a shutdown does not wait for it. */
const patienceMs = 5_000;

/** A piece of upkeep that is done in small parts. */
export interface Chore {
  /** What did not work, when it did not: a sentence's beginning for the log. */
  readonly complaint: string;
  /** Does a small part. @returns true when there is more to do at once */
  readonly part: () => Promise<boolean>;
}

/**
 * Does chores again and again: in each round a part of every chore by turns, until none has more to do, so that a long
 * one holds no other up. A chore that fails leaves the round; why is told once, until it changes or the chore works again.
 */
export class Rounds {
  private readonly told = new Map<Chore, string>();
  /** In this round and in the last one. */
  private isDatabaseAway = false;
  private wasDatabaseAway = false;
  private isStopping = false;
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> | undefined;

  public constructor(
    private readonly chores: readonly Chore[],
    private readonly logger: Pick<Logger, 'warn'>,
  ) {}

  /** Begins the first round at once. */
  public start(intervalMs: number): void {
    this.timer = setInterval(() => {
      if (this.round === undefined) void this.go();
    }, intervalMs);
    void this.go();
  }

  /** A whole round, after the one that is under way. */
  public async go(): Promise<void> {
    const round = (this.round ?? Promise.resolve()).then(() => this.goAround());
    this.round = round;
    await round;
    if (this.round === round) this.round = undefined;
  }

  /** Resolves when the part that is under way is done, or had 5 s for it. */
  public async stop(): Promise<void> {
    this.isStopping = true;
    clearInterval(this.timer);
    await Promise.race([this.round, sleep(patienceMs, undefined, { ref: false })]);
  }

  private async goAround(): Promise<void> {
    this.wasDatabaseAway = this.isDatabaseAway;
    this.isDatabaseAway = false;
    let left = this.chores;
    while (left.length > 0) {
      const unfinished: Chore[] = [];
      for (const chore of left) {
        if (this.isStopping) return;
        if (await this.doPart(chore)) unfinished.push(chore);
      }
      left = unfinished;
    }
  }

  private async doPart(chore: Chore): Promise<boolean> {
    try {
      const isUnfinished = await chore.part();
      this.told.delete(chore);
      return isUnfinished;
    } catch (error) {
      if (!this.isStopping) this.tell(chore, error);
      return false;
    }
  }

  private tell(chore: Chore, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (isDatabaseUnavailable(error)) {
      const isTold = this.isDatabaseAway || this.wasDatabaseAway;
      this.isDatabaseAway = true;
      if (!isTold) this.logger.warn(`Upkeep waits for the database. ${chore.complaint}: ${reason}`);
    } else if (this.told.get(chore) !== reason) {
      this.told.set(chore, reason);
      this.logger.warn(`${chore.complaint}: ${reason}`);
    }
  }
}
