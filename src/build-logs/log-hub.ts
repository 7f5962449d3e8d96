import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationShutdown,
  type OnModuleInit,
} from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { Notifications, type Wake } from '../database/notifications';
import type { BuildLogAppended } from '../events/build-events';
import { BuildLogsRepository } from './build-logs.repository';
import { LogFeed } from './log-feed';
import type { LogStream } from './log-stream';
import { LOG_STREAM_OPTIONS, type LogStreamOptions } from './log-stream-options';

/** How long a shutdown waits for streams that are about to end by themselves. */
const settleMs = 3_000;

/**
 * Knows which builds have subscribers in this process, and wakes them: by an event for lines that this process stored,
 * by a notification for those of other replicas, and by a slow poll that makes a lost notification harmless.
 */
@Injectable()
export class LogHub implements OnModuleInit, BeforeApplicationShutdown, OnApplicationShutdown {
  private readonly logger = new Logger(LogHub.name);
  private readonly feeds = new Map<string, LogFeed>();
  private unsubscribe: (() => void) | undefined;
  private poll: NodeJS.Timeout | undefined;
  private looking: Promise<void> | undefined;
  private lookAgain = false;

  public constructor(
    private readonly repository: BuildLogsRepository,
    private readonly notifications: Notifications,
    @Inject(LOG_STREAM_OPTIONS) private readonly options: LogStreamOptions,
  ) {}

  public onModuleInit(): void {
    this.unsubscribe = this.notifications.subscribe((wake) => {
      this.woken(wake);
    });
    this.poll = setInterval(() => {
      void this.lookAround();
    }, this.options.pollMs).unref();
  }

  /** The builds of this process have ended: their streams say so, before the server tells the others that it goes away. */
  public async beforeApplicationShutdown(): Promise<void> {
    const patience = AbortSignal.timeout(settleMs);
    await Promise.race([this.lookAround(), sleep(settleMs, undefined, { ref: false })]);
    while (!patience.aborted && [...this.feeds.values()].some((feed) => feed.isCatchingUp)) await sleep(10);
  }

  public onApplicationShutdown(): void {
    this.unsubscribe?.();
    clearInterval(this.poll);
  }

  public join(stream: LogStream): void {
    let feed = this.feeds.get(stream.buildId);
    if (feed === undefined) {
      feed = new LogFeed(stream.buildId, this.repository, this.options, (error) => {
        this.logger.warn(`The log of build ${stream.buildId} could not be read: ${String(error)}`);
      });
      this.feeds.set(stream.buildId, feed);
    }
    feed.add(stream);
  }

  public leave(stream: LogStream): void {
    const feed = this.feeds.get(stream.buildId);
    feed?.remove(stream);
    if (feed?.isEmpty === true) this.feeds.delete(stream.buildId);
  }

  public appended(event: BuildLogAppended): void {
    this.feeds.get(event.buildId)?.appended(event);
  }

  private woken(wake: Wake): void {
    if (wake.kind === 'log') this.feeds.get(wake.buildId)?.refresh();
    else if (wake.kind === 'resync') void this.lookAround();
  }

  /** Looks at all logs that have subscribers. A look under way may have missed what this one is for. */
  private lookAround(): Promise<void> {
    this.lookAgain = true;
    this.looking ??= this.lookWhileAsked().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async lookWhileAsked(): Promise<void> {
    while (this.lookAgain) {
      this.lookAgain = false;
      await this.lookOnce();
    }
  }

  /** In one query. A log that cannot be read keeps no other from its readers. */
  private async lookOnce(): Promise<void> {
    if (this.feeds.size === 0) return;
    try {
      const feeds = [...this.feeds];
      const heads = await this.repository.heads(feeds.map(([buildId]) => buildId));
      for (const [buildId, feed] of feeds) {
        await feed.advance(heads.get(buildId)).catch((error: unknown) => {
          this.logger.warn(`The log of build ${buildId} could not be read: ${String(error)}`);
        });
      }
    } catch (error) {
      this.logger.warn(`The logs that are being read could not be looked at: ${String(error)}`);
    }
  }
}
