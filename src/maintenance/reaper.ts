import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { BuildLogsRepository } from '../build-logs/build-logs.repository';
import { logEntry } from '../build-logs/log-entry';
import { LogPublisher } from '../build-logs/log-publisher';
import { transitions } from '../builds/build-state';
import { ENV, type Env } from '../config/env';
import { Notifications } from '../database/notifications';
import { query } from '../database/query';
import type { BuildLogAppended } from '../events/build-events';

const intervalMs = 2_000;
const lostMessage = 'worker lost';

interface Lost {
  readonly id: string;
  readonly wasRunning: boolean;
  readonly status: string;
  readonly isDeleted: boolean;
}

/** A build that was ended here, and what its log took of that. */
interface Reaped {
  readonly id: string;
  readonly why: string;
  readonly event: BuildLogAppended | null;
}

/**
 * Ends builds whose worker did not renew its lease, and those that no worker took in time. Every process runs one; each
 * build is ended by one of them.
 */
@Injectable()
export class Reaper implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger(Reaper.name);
  private timer: NodeJS.Timeout | undefined;
  private reaping: Promise<void> | undefined;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly logs: BuildLogsRepository,
    private readonly publisher: LogPublisher,
    private readonly notifications: Notifications,
  ) {}

  public onApplicationBootstrap(): void {
    this.timer = setInterval(
      () => {
        void this.reap();
      },
      Math.min(intervalMs, (this.env.LEASE_SECONDS * 1000) / 2),
    );
  }

  public async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.reaping;
  }

  /** Ends what must be ended now; builds that another process is about to end are left to it. */
  public reap(): Promise<void> {
    this.reaping ??= this.reapAll().finally(() => {
      this.reaping = undefined;
    });
    return this.reaping;
  }

  private async reapAll(): Promise<void> {
    try {
      // A limit may have held a build back while the lost one counted.
      while (await this.reapOne((manager) => this.endLost(manager))) this.notifications.wake({ kind: 'queue' });
      while (await this.reapOne((manager) => this.endUnclaimed(manager)));
    } catch (error) {
      this.logger.warn(`Builds to be ended could not be looked for: ${String(error)}`);
    }
  }

  /** One build a transaction: each locks its project as well, and of several they could wait for one another. */
  private async reapOne(end: (manager: EntityManager) => Promise<Reaped | null>): Promise<boolean> {
    const reaped = await this.dataSource.transaction(end);
    if (reaped === null) return false;
    this.publisher.publish(reaped.event);
    this.logger.warn(`Build ${reaped.id}: ${reaped.why}`);
    return true;
  }

  /** A build that was started, and that no worker has taken for too long. */
  private async endUnclaimed(manager: EntityManager): Promise<Reaped | null> {
    const { from, to } = transitions.fail;
    const why = `No worker took the build within its limit of ${this.env.QUEUE_TTL_SECONDS} seconds (QUEUE_TTL_SECONDS)`;
    const [expired] = await query<{ id: string }>(
      manager,
      `UPDATE builds SET status = '${to}', error_message = $1, completed_at = now(), updated_at = now()
       WHERE id = (
         SELECT id FROM builds
         WHERE status = '${from}' AND claimed_at IS NULL AND deleted_at IS NULL
           AND started_at < now() - make_interval(secs => $2)
         ORDER BY started_at FOR UPDATE SKIP LOCKED LIMIT 1
       )
       RETURNING id`,
      [why, this.env.QUEUE_TTL_SECONDS],
    );
    if (expired === undefined) return null;
    const event = await this.logs.close(manager, expired.id, to, [logEntry('ERROR', `Build failed: ${why}`)]);
    return { id: expired.id, why, event };
  }

  /** A build whose lease was not renewed: it failed, unless it was cancelled or deleted before. */
  private async endLost(manager: EntityManager): Promise<Reaped | null> {
    const { from, to } = transitions.fail;
    const [lost] = await query<Lost>(
      manager,
      `WITH lost AS (
         SELECT id, status FROM builds WHERE lease_token IS NOT NULL AND lease_expires_at < now()
         ORDER BY lease_expires_at FOR UPDATE SKIP LOCKED LIMIT 1
       )
       UPDATE builds b SET
         lease_token = NULL, lease_expires_at = NULL, updated_at = now(),
         status = CASE WHEN lost.status = '${from}' THEN '${to}' ELSE lost.status END,
         error_message = CASE WHEN lost.status = '${from}' THEN $1 ELSE b.error_message END,
         completed_at = CASE WHEN lost.status = '${from}' THEN now() ELSE b.completed_at END
       FROM lost WHERE b.id = lost.id
       RETURNING b.id, lost.status = '${from}' AS "wasRunning", b.status, b.deleted_at IS NOT NULL AS "isDeleted"`,
      [lostMessage],
    );
    if (lost === undefined) return null;
    await this.logs.setWriter(manager, lost.id, null);
    if (lost.isDeleted) return { id: lost.id, why: lostMessage, event: null };
    const line = lost.wasRunning
      ? logEntry('ERROR', `Build failed: ${lostMessage}`)
      : logEntry('WARN', 'Build stopped: its worker was lost');
    const event = await this.logs.close(manager, lost.id, lost.status, [line]);
    return { id: lost.id, why: lostMessage, event };
  }
}
