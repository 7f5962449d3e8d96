import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { query } from '../database/query';
import type { BuildStatus } from '../builds/build-state';
import { isWaiting, placeSql } from '../builds/queue-order';

/** What a status answer is made of, read in one statement. */
export interface StatusRow {
  readonly status: BuildStatus;
  readonly stepsDone: number;
  readonly stepsTotal: number;
  readonly startedAt: Date | null;
  readonly errorMessage: string | null;
  /** The database's clock. */
  readonly now: Date;
  /** Since a worker took it, by the database's clock. */
  readonly elapsedMs: number;
  /** Median of the last ten successful builds of the project; null unless this one is in progress. */
  readonly usualMs: number | null;
  /** Its place in the queue, from 1; null unless it waits for a worker. */
  readonly queuePosition: number | null;
}

@Injectable()
export class BuildStatusRepository {
  public constructor(private readonly dataSource: DataSource) {}

  /** Null for a build that is absent, deleted or another tenant's. */
  public async find(tenantId: string, id: string): Promise<StatusRow | null> {
    const [row] = await query<StatusRow>(
      this.dataSource,
      `SELECT b.status, b.steps_done AS "stepsDone", b.steps_total AS "stepsTotal", b.started_at AS "startedAt",
              b.error_message AS "errorMessage", now() AS now,
              coalesce(extract(epoch FROM now() - b.claimed_at) * 1000, 0)::float8 AS "elapsedMs",
              CASE WHEN b.status = 'in_progress' THEN (
                SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM completed_at - claimed_at) * 1000)
                FROM (
                  SELECT completed_at, claimed_at FROM builds
                  WHERE project_id = b.project_id AND status = 'success' AND deleted_at IS NULL
                  ORDER BY completed_at DESC LIMIT 10
                ) AS recent
              ) END::float8 AS "usualMs",
              CASE WHEN ${isWaiting('b')} THEN ${placeSql('b')} END AS "queuePosition"
       FROM builds b WHERE b.id = $2 AND b.tenant_id = $1 AND b.deleted_at IS NULL`,
      [tenantId, id],
    );
    return row ?? null;
  }
}
