import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ENV, type Env } from '../config/env';
import { Lifetime } from '../config/lifetime';
import { Notifications } from '../database/notifications';
import { BuildQueueRepository } from './build-queue.repository';
import { BuildRunner, type Run } from './build-runner';
import { DiskGuard } from './disk-guard';
import { IMAGE_BUILDER, type ImageBuilder } from './image-builder';

/** How often the queue is looked at without being told to: a lost wake-up costs no more than this. */
const pollMs = 2_000;

/** How long builds that are ended at a shutdown may take: 10 s until nothing of them runs, and the rest for their record. */
const endMs = 20_000;

/** Why a build failed that took longer than the grace. */
const shutDown = 'worker shut down';

/** Claims builds while slots are free, and runs them. Idle in a process without the role `worker`. */
@Injectable()
export class Worker implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger(Worker.name);
  private readonly id = `${os.hostname()}:${process.pid}:${randomUUID().slice(0, 8)}`;
  private readonly runs = new Map<string, Run>();
  private claiming: Promise<void> | undefined;
  /** The claim that the database is being asked for. */
  private claim: Promise<unknown> | undefined;
  private isAwake = false;
  private isPrepared = false;
  private toldProblem: string | null = null;
  private isClosing = false;
  private isGraceOver = false;
  private poll: NodeJS.Timeout | undefined;
  private unsubscribe: () => void = () => undefined;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly queue: BuildQueueRepository,
    private readonly runner: BuildRunner,
    private readonly disk: DiskGuard,
    private readonly notifications: Notifications,
    private readonly lifetime: Lifetime,
  ) {}

  /** Only builds wait until this host is ready for them; the start does not. */
  public onApplicationBootstrap(): void {
    if (!this.env.ROLES.includes('worker')) return;
    this.wake();
    this.unsubscribe = this.notifications.subscribe((wake) => {
      if (wake.kind === 'queue') this.wake();
      else if (wake.kind === 'control') void this.runs.get(wake.buildId)?.check();
      else if (wake.kind === 'resync') this.resync();
    });
    this.poll = setInterval(() => {
      this.wake();
    }, pollMs);
  }

  /**
   * Takes no more builds, gives running ones their grace, and then ends them. Their leases are renewed until the end. One
   * that cannot be recorded, as the database is away, is left to its lease.
   */
  public async beforeApplicationShutdown(): Promise<void> {
    this.isClosing = true;
    clearInterval(this.poll);
    const idle = this.idle();
    await Promise.race([idle, this.grace()]);
    this.isGraceOver = true;
    for (const run of this.runs.values()) run.fail(shutDown);
    await Promise.race([idle, sleep(endMs, undefined, { ref: false })]);
    await this.putUnsureBack();
    if (this.runs.size > 0) {
      this.lifetime.leaveUndone(`Builds that could not be recorded: ${[...this.runs.keys()].join(', ')}`);
    }
    this.unsubscribe();
  }

  /** What this worker may have claimed without knowing is another's at once, in place of being lost with a lease. */
  private async putUnsureBack(): Promise<void> {
    try {
      await this.queue.putUnsureBack();
    } catch (error) {
      this.lifetime.leaveUndone(`A claim that could not be given back: ${String(error)}`);
    }
  }

  private async grace(): Promise<void> {
    const { hurry } = this.lifetime;
    await sleep(this.env.SHUTDOWN_GRACE_SECONDS * 1000, undefined, { ref: false, signal: hurry }).catch(
      () => undefined,
    );
  }

  /** Resolves when no build runs here or is being claimed. */
  private async idle(): Promise<void> {
    await this.claim?.catch(() => undefined);
    while (this.runs.size > 0) await Promise.all([...this.runs.values()].map(({ ended }) => ended));
  }

  private get isStopping(): boolean {
    return this.isClosing || this.lifetime.stop.aborted;
  }

  /** Whether this host can build, and has room for it. Until then it claims nothing: another worker may. */
  private async isFit(): Promise<boolean> {
    const problem = (await this.gap()) ?? (await this.disk.shortage());
    if (problem !== null && problem !== this.toldProblem) {
      this.logger.warn(`This worker cannot build yet: ${problem}`);
    }
    this.toldProblem = problem;
    return problem === null;
  }

  /** Why this host cannot build; readiness says it as well. */
  private async gap(): Promise<string | null> {
    if (this.isPrepared) return null;
    try {
      await this.builder.check();
      for (const gap of await this.builder.describe()) this.logger.warn(gap);
      this.isPrepared = true;
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  private resync(): void {
    this.wake();
    for (const run of this.runs.values()) void run.check();
  }

  private wake(): void {
    this.isAwake = true;
    this.claiming ??= this.claimAll().finally(this.onClaimed);
  }

  /** Who called while the claiming came to its end is not forgotten. */
  private readonly onClaimed = (): void => {
    this.claiming = undefined;
    if (this.isAwake && !this.isStopping) this.wake();
  };

  private async claimAll(): Promise<void> {
    while (this.isAwake && !this.isStopping) {
      this.isAwake = false;
      try {
        await this.queue.putUnsureBack();
        while (this.hasRoom() && (await this.isFit()) && this.hasRoom() && (await this.claimOne()));
      } catch (error) {
        this.logger.warn(`No build could be claimed: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  private hasRoom(): boolean {
    return !this.isStopping && this.runs.size < this.env.WORKER_SLOTS;
  }

  private async claimOne(): Promise<boolean> {
    const claimed = this.queue.claim(this.id, this.env.LEASE_SECONDS);
    this.claim = claimed;
    const claim = await claimed;
    if (claim === null) return false;
    const run = this.runner.start(claim);
    this.runs.set(claim.id, run);
    if (this.isGraceOver) run.fail(shutDown);
    // What happened to it between the claim and now found no run to tell.
    void run.check();
    void run.ended.then(() => {
      this.runs.delete(claim.id);
      // Not this worker alone: a limit may have held another one back.
      this.notifications.wake({ kind: 'queue' });
    });
    return true;
  }
}
