import { Inject, Injectable, Logger } from '@nestjs/common';
import { statfs } from 'node:fs/promises';
import { ENV, type Env } from '../config/env';
import { Cage } from './cage/cage';
import { DiskGrowth } from './disk-growth';
import type { DiskUse } from './files/disk-use';
import { Unmeasurable } from './files/unlinked-files';
import { DiskExceeded, type EngineDirs, IMAGE_BUILDER, type ImageBuilder } from './image-builder';

const megabyte = 1_024 * 1_024;

/** A file system of ext4 has one inode for each 16 KiB, unless its maker wished otherwise. */
const inodesPerMb = 64;

/** How often the free space is looked at. */
const lookMs = 500;

/** To measure builds costs one twentieth of the time, or a fifth where one may be about to exceed its limit. */
const [usualShare, urgentShare] = [20, 5];
const [leastPauseMs, mostPauseMs] = [2_000, 60_000];

/** How long a measure may take; and how long one for which a full disk waits: then what is known has to do. */
const [usualMeasureMs, hastyMeasureMs] = [600_000, 3_000];

/** From one build that was ended for want of room to the next, and when half of what is to stay free is gone as well. */
const [usualPauseMs, hurriedPauseMs] = [20_000, 3_000];

/** A build that is about to begin. */
export interface BuildOnDisk {
  readonly id: string;
  readonly projectId: string;
  readonly checkoutDir: string;
}

/** A build that is under way. */
interface Watched {
  readonly buildId: string;
  readonly growth: DiskGrowth;
  readonly ending: AbortController;
  use: DiskUse;
  measuredAt: number;
  tookMs: number;
  /** Free on the disk at that time. */
  freeThen: number;
}

/** Ends builds that write more than they may, and keeps some of the worker's disk free. */
@Injectable()
export class DiskGuard {
  private readonly logger = new Logger(DiskGuard.name);
  private readonly watched = new Set<Watched>();
  private looking: Promise<void> | null = null;
  private measuring: Promise<void> | null = null;
  private endedAt = -Infinity;
  private timer: NodeJS.Timeout | undefined;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly cage: Cage,
  ) {}

  /** Why builds must not begin now; null when there is room. */
  public async shortage(): Promise<string | null> {
    const { MIN_FREE_DISK_MB: least } = this.env;
    if ((await this.free()) >= 2 * least * megabyte) return null;
    return `its disk has less than ${2 * least} MB left, twice what MIN_FREE_DISK_MB keeps free`;
  }

  /**
   * Runs the work of a build, which gets a signal that a limit aborts as well as the given one.
   * @throws DiskExceeded that names the limit, once the work has ended
   */
  public async withinLimits<T>(
    { id: buildId, projectId, checkoutDir }: BuildOnDisk,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const ending = new AbortController();
    const both = AbortSignal.any([signal, ending.signal]);
    const dirs = async (): Promise<EngineDirs> => {
      const ofEngine = await this.builder.dirsOf({ buildId, projectId });
      return { ...ofEngine, own: [checkoutDir, ...ofEngine.own] };
    };
    const growth = await DiskGrowth.begin(this.cage, dirs, both);
    const watched: Watched = {
      ...{ buildId, growth, ending, use: { bytes: 0, inodes: 0 } },
      ...{ measuredAt: performance.now(), tookMs: 0, freeThen: await this.free() },
    };
    this.begin(watched);
    try {
      return await work(both);
    } catch (error) {
      both.throwIfAborted();
      throw error;
    } finally {
      this.end(watched);
    }
  }

  /** Those that no limit has ended. */
  private get running(): Watched[] {
    return [...this.watched].filter(({ ending }) => !ending.signal.aborted);
  }

  private begin(watched: Watched): void {
    this.watched.add(watched);
    this.timer ??= setInterval(() => {
      this.looking ??= this.look()
        .catch((error: unknown) => {
          this.logger.warn(`The disk could not be looked at: ${String(error)}`);
        })
        .finally(() => {
          this.looking = null;
        });
    }, lookMs).unref();
  }

  private end(watched: Watched): void {
    this.watched.delete(watched);
    if (this.watched.size > 0) return;
    clearInterval(this.timer);
    this.timer = undefined;
  }

  private async look(): Promise<void> {
    const free = await this.free();
    const floor = this.env.MIN_FREE_DISK_MB * megabyte;
    if (free < floor) await this.endGreatest(free < floor / 2);
    const next = this.running.find((each) => this.isDue(each, free, floor));
    if (next === undefined) return;
    // The look at the free space does not wait for it.
    this.measuring ??= this.measure(next)
      .catch((error: unknown) => {
        this.logger.warn(`What build ${next.buildId} takes of the disk could not be measured: ${String(error)}`);
      })
      .finally(() => {
        this.measuring = null;
      });
  }

  /** One after the other: what one wrote is free only when its processes are dead and its layers are dropped. */
  private async endGreatest(isHurried: boolean): Promise<void> {
    const pause = performance.now() - this.endedAt;
    if (pause < (isHurried ? hurriedPauseMs : usualPauseMs)) return;
    // What is known of them may be seconds old, and one that writes fast is what this is about.
    await Promise.allSettled(this.running.map((each) => this.measure(each, hastyMeasureMs)));
    const [greatest] = this.running.sort((a, b) => b.use.bytes - a.use.bytes);
    if (greatest !== undefined) this.endedAt = performance.now();
    greatest?.ending.abort(
      new DiskExceeded(
        `The worker's disk has less than ${this.env.MIN_FREE_DISK_MB} MB left (MIN_FREE_DISK_MB), and of its builds this one took the most`,
      ),
    );
  }

  private isDue({ measuredAt, tookMs, freeThen, use }: Watched, free: number, floor: number): boolean {
    const pause = performance.now() - measuredAt;
    const cost = tookMs * this.watched.size;
    if (pause >= Math.min(mostPauseMs, Math.max(leastPauseMs, cost * usualShare))) return true;
    const mayExceed = freeThen - free >= this.env.BUILD_DISK_MB * megabyte - use.bytes || free < 2 * floor;
    return mayExceed && pause >= cost * urgentShare;
  }

  private async measure(watched: Watched, limitMs = usualMeasureMs): Promise<void> {
    const began = performance.now();
    const freeThen = await this.free();
    try {
      watched.use = await watched.growth.measure(AbortSignal.timeout(limitMs));
    } catch (error) {
      if (!(error instanceof Unmeasurable)) throw error;
      watched.ending.abort(
        new DiskExceeded(`What the build takes of the disk cannot be measured: its processes have ${error.message}`),
      );
    } finally {
      watched.measuredAt = performance.now();
      watched.tookMs = watched.measuredAt - began;
      watched.freeThen = freeThen;
    }
    const { BUILD_DISK_MB: most } = this.env;
    const files = most * inodesPerMb;
    if (watched.use.bytes > most * megabyte) {
      watched.ending.abort(
        new DiskExceeded(`The build used more than its limit of ${most} MB of disk (BUILD_DISK_MB)`),
      );
    } else if (watched.use.inodes > files) {
      watched.ending.abort(
        new DiskExceeded(
          `The build made more than its limit of ${files} files (${inodesPerMb} for each MB of BUILD_DISK_MB)`,
        ),
      );
    }
  }

  /** On whichever disk has less. One that is not made yet is none. */
  private async free(): Promise<number> {
    const { DATA_DIR, ARTIFACT_DIR } = this.env;
    const sizes = [DATA_DIR, ARTIFACT_DIR].map((directory) =>
      statfs(directory).then(
        ({ bavail, bsize }) => bavail * bsize,
        () => Infinity,
      ),
    );
    return Math.min(...(await Promise.all(sizes)));
  }
}
