import { Inject, Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { BuildLogsRepository } from '../build-logs/build-logs.repository';
import { logEntry } from '../build-logs/log-entry';
import { LogPublisher } from '../build-logs/log-publisher';
import { transitions } from '../builds/build-state';
import { ENV, type Env } from '../config/env';
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

/** Ends builds whose worker did not renew its lease. Every process runs one; each lost lease is taken by one of them. */
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
  ) {}

  public onApplicationBootstrap(): void {
    this.timer = setInterval(
      () => {
        this.reaping ??= this.reapAll().finally(() => {
          this.reaping = undefined;
        });
      },
      Math.min(intervalMs, (this.env.LEASE_SECONDS * 1000) / 2),
    );
  }

  public async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.reaping;
  }

  private async reapAll(): Promise<void> {
    try {
      while (await this.reapOne());
    } catch (error) {
      this.logger.warn(`Lost leases could not be looked for: ${String(error)}`);
    }
  }

  /** One build a transaction: each locks its project as well, and of several they could wait for one another. */
  private async reapOne(): Promise<boolean> {
    const reaped = await this.dataSource.transaction((manager) => this.reapIn(manager));
    if (reaped === null) return false;
    this.publisher.publish(reaped.event);
    this.logger.warn(`Build ${reaped.id}: ${lostMessage}`);
    return true;
  }

  private async reapIn(
    manager: EntityManager,
  ): Promise<{ readonly id: string; readonly event: BuildLogAppended | null } | null> {
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
    if (lost.isDeleted) return { id: lost.id, event: null };
    const line = lost.wasRunning
      ? logEntry('ERROR', `Build failed: ${lostMessage}`)
      : logEntry('WARN', 'Build stopped: its worker was lost');
    return { id: lost.id, event: await this.logs.close(manager, lost.id, lost.status, [line]) };
  }
}
