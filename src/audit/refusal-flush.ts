import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { AuditEventsRepository } from './audit-events.repository';
import { RefusalLog } from './refusal-log';

const intervalMs = 1_000;

/** Stores what the log of refusals has gathered, once a second and at the end of the process. */
@Injectable()
export class RefusalFlush implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(RefusalFlush.name);
  private timer: NodeJS.Timeout | undefined;
  private flushing: Promise<void> | undefined;

  public constructor(
    private readonly log: RefusalLog,
    private readonly events: AuditEventsRepository,
  ) {}

  public onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.flushing ??= this.flush().finally(() => {
        this.flushing = undefined;
      });
    }, intervalMs);
  }

  /** When no request is under way any more. */
  public async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flushing;
    await this.flush(true);
  }

  private async flush(isLast = false): Promise<void> {
    const due = this.log.refusals.take(performance.now(), isLast);
    if (due.length === 0) return;
    try {
      await this.events.insertRefusals(due);
    } catch (error) {
      this.logger.warn(`Refused accesses could not be written down: ${String(error)}`);
      this.log.refusals.giveBack(due, performance.now());
    }
  }
}
