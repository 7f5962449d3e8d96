import { Injectable, Logger } from '@nestjs/common';
import { EventEmitter2 } from '@nestjs/event-emitter';

/** Lines that were stored and committed, or an end of the log that was. */
export interface BuildLogAppended {
  readonly buildId: string;
  /** The number of the first of these lines, from 0. */
  readonly firstLine: number;
  /** How many lines the log has now: `firstLine` + the number of these lines. */
  readonly totalLines: number;
  /** The stored text: one JSON LogEntry a line, joined by newlines; empty when only the end of the log was written. */
  readonly lines: string;
  /** The log was closed or deleted by this write, or may have been. */
  readonly ended: boolean;
}

/** Everything that is published inside one process, by name. */
export interface BuildEvents {
  'build.log.appended': BuildLogAppended;
}

/** Publishes after a commit. A listener that throws is logged and never reaches the publisher. */
@Injectable()
export class BuildEventBus {
  private readonly logger = new Logger(BuildEventBus.name);

  public constructor(private readonly emitter: EventEmitter2) {}

  public publish<Name extends keyof BuildEvents>(name: Name, event: BuildEvents[Name]): void {
    try {
      this.emitter.emit(name, event);
    } catch (error) {
      this.logger.error(error, `A listener of ${name} failed`);
    }
  }
}
