import { Injectable } from '@nestjs/common';
import { Notifications } from '../database/notifications';
import { BuildEventBus, type BuildLogAppended } from '../events/build-events';

/** Tells the readers of a log that it has grown: those of this process with the lines, other replicas with a wake. */
@Injectable()
export class LogPublisher {
  public constructor(
    private readonly bus: BuildEventBus,
    private readonly notifications: Notifications,
  ) {}

  /** Call it after the commit, with what the repository returned; nothing was stored: nothing is told. */
  public publish(event: BuildLogAppended | null): void {
    if (event === null) return;
    this.bus.publish('build.log.appended', event);
    const { buildId, totalLines, ended } = event;
    this.notifications.announce({ kind: 'log', buildId, totalLines, ended });
  }
}
