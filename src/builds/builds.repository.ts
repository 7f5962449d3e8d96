import { Injectable } from '@nestjs/common';
import DataLoader from 'dataloader';
import { DataSource, type EntityManager } from 'typeorm';
import { recordingSql } from '../audit/audit-events.repository';
import { logEntry, type LogEntry } from '../build-logs/log-entry';
import { tellingSql, type ToldLines, toldEvent } from '../build-logs/log-statements';
import { columnsOf } from '../database/columns';
import { query } from '../database/query';
import type { BuildLogAppended } from '../events/build-events';
import { offsetOf } from '../http/page';
import { noDeletionOf } from '../projects/deletion-lock';
import type { ListBuildsQuery } from './build-requests.dto';
import { type BuildStatus, buildStatuses, retryable, transitions } from './build-state';
import { BuildEntity } from './build.entity';
import { placeSql } from './queue-order';

export type NewBuild = Pick<BuildEntity, 'id' | 'tenantId' | 'projectId' | 'gitBranch' | 'gitCommit' | 'createdBy'> & {
  /** Override the project's, key by key. */
  readonly buildArgs: Readonly<Record<string, string>>;
};

/** A build that was just made, and whether its project wants it started at once. */
export interface MadeBuild {
  readonly build: BuildEntity;
  readonly autoStart: boolean;
}

/** A build that was just changed, and the lines of its log that must be told once the transaction is committed. */
export interface ChangedBuild {
  readonly build: BuildEntity;
  readonly log: BuildLogAppended | null;
}

/** A build as a user names it. */
export interface BuildKey {
  readonly tenantId: string;
  readonly id: string;
}

const mostReadAtOnce = 100;

/**
 * Every statement about builds on behalf of a user takes the user's tenant; a deleted build is as good as absent.
 * A transition is one guarded UPDATE: of parallel ones the first to lock the row wins, and the others get no row.
 */
@Injectable()
export class BuildsRepository {
  /**
   * What is asked for in one turn of the event loop is read by one statement: under load most of the cost of a read is that
   * of going to the database and back. Nothing is kept beyond the answer.
   */
  private readonly reads = new DataLoader<BuildKey, BuildEntity | null>((keys) => this.findAll(keys), {
    cache: false,
    maxBatchSize: mostReadAtOnce,
    batchScheduleFn: (read) => void setImmediate(read),
  });

  public constructor(private readonly dataSource: DataSource) {}

  /** Null when the tenant has no such project. The trigger on the table numbers the build. */
  public async insert(manager: EntityManager, build: NewBuild): Promise<MadeBuild | null> {
    return this.make(
      manager,
      `INSERT INTO builds AS b (id, tenant_id, project_id, git_branch, git_commit, build_args, created_by)
       SELECT $7, tenant_id, id, $3, $4, build_args || $5::jsonb, $6 FROM projects
       WHERE id = $2 AND tenant_id = $1 AND deleted_at IS NULL AND ${noDeletionOf('id')}`,
      [
        build.tenantId,
        build.projectId,
        build.gitBranch,
        build.gitCommit,
        JSON.stringify(build.buildArgs),
        build.createdBy,
        build.id,
      ],
    );
  }

  /**
   * A new queued build with all that a failed one, `retryOf`, was asked to do; null when that did not fail, is absent
   * or deleted.
   * @throws QueryFailedError by the index `builds_active_retry_key` while an earlier retry of it is not finished
   */
  public async insertRetry(
    manager: EntityManager,
    { id, tenantId, createdBy }: Pick<NewBuild, 'id' | 'tenantId' | 'createdBy'>,
    retryOf: string,
  ): Promise<MadeBuild | null> {
    return this.make(
      manager,
      `INSERT INTO builds AS b (id, tenant_id, project_id, git_branch, git_commit, commit_verified, build_args, created_by,
                                trigger, retry_of)
       SELECT $4, tenant_id, project_id, git_branch, git_commit, commit_verified, build_args, $3, 'retry', id FROM builds
       WHERE id = $2 AND tenant_id = $1 AND status = '${retryable}' AND deleted_at IS NULL
         AND ${noDeletionOf('project_id')}
       FOR UPDATE`,
      [tenantId, retryOf, createdBy, id],
    );
  }

  public find(tenantId: string, id: string): Promise<BuildEntity | null> {
    return this.reads.load({ tenantId, id });
  }

  /** The ids of a page come from an index alone; only its builds are then read from the table. */
  public async list(tenantId: string, request: ListBuildsQuery): Promise<BuildEntity[]> {
    const parameters: unknown[] = [tenantId, request.limit, offsetOf(request)];
    const conditions = ['tenant_id = $1', 'deleted_at IS NULL'];
    if (request.project_id !== undefined) conditions.push(`project_id = $${parameters.push(request.project_id)}`);
    if (request.status !== undefined) conditions.push(`status = $${parameters.push(request.status)}`);
    const order = (alias: string): string =>
      `${alias}.${request.sort_by} ${request.sort_order}, ${alias}.id ${request.sort_order}`;
    return query<BuildEntity>(
      this.dataSource,
      `SELECT ${this.columns} FROM (
         SELECT id FROM builds k WHERE ${conditions.join(' AND ')} ORDER BY ${order('k')} LIMIT $2 OFFSET $3
       ) page JOIN builds b USING (id) ORDER BY ${order('b')}`,
      parameters,
    );
  }

  /** How many builds the filters leave, from the counters in the project rows. */
  public async count(
    tenantId: string,
    projectId: string | undefined,
    status: BuildStatus | undefined,
  ): Promise<number> {
    const counters = (status === undefined ? buildStatuses : [status]).map((each) => `builds_${each}`);
    const [row] = await query<{ total: number }>(
      this.dataSource,
      `SELECT coalesce(sum(${counters.join(' + ')}), 0)::int AS total FROM projects
       WHERE tenant_id = $1 AND ($2::uuid IS NULL OR id = $2) AND deleted_at IS NULL`,
      [tenantId, projectId ?? null],
    );
    return row?.total ?? 0;
  }

  /**
   * Starts a queued build, tells its log and records the event; null when it is not queued.
   * @param message the line of the log, with `{number}` for the number of the build and `{place}` for its place in the queue
   * @param event as `recordingSql` takes it; null records none
   */
  public async start(
    database: DataSource | EntityManager,
    { tenantId, id }: BuildKey,
    message: string,
    event: string | null,
  ): Promise<ChangedBuild | null> {
    const { from, to } = transitions.start;
    return this.change(
      database,
      `UPDATE builds b SET status = '${to}', started_at = now(), updated_at = now()
       WHERE b.id = $2 AND b.tenant_id = $1 AND b.status = '${from}' AND b.deleted_at IS NULL
       RETURNING ${this.columns}, ${placeSql('b')} AS place`,
      `SELECT id AS build_id, 1 AS line_count, 0 AS debug_count, 1 AS info_count, 0 AS warn_count, 0 AS error_count,
              replace(replace($4, '{number}', "buildNumber"::text), '{place}', place::text) AS lines, NULL::text AS outcome
       FROM changed`,
      [tenantId, id, event, JSON.stringify(logEntry('INFO', message))],
    );
  }

  /**
   * Cancels a build in progress, tells its log and records the event; null when it is not in progress. A lease stays with its
   * worker, which stops the build and then gives it back; of a build that no worker has the log ends with the second line.
   */
  public async cancel(
    { tenantId, id }: BuildKey,
    reason: string | null,
    lines: readonly [asked: LogEntry, ended: LogEntry],
    event: string,
  ): Promise<ChangedBuild | null> {
    const { from, to } = transitions.cancel;
    const [asked, ended] = lines.map((line) => JSON.stringify(line));
    return this.change(
      this.dataSource,
      `UPDATE builds b SET status = '${to}', error_message = $4, completed_at = now(), updated_at = now()
       WHERE b.id = $2 AND b.tenant_id = $1 AND b.status = '${from}' AND b.deleted_at IS NULL
       RETURNING ${this.columns}`,
      `SELECT id AS build_id, 1 + ends AS line_count, 0 AS debug_count, ends AS info_count, 1 AS warn_count, 0 AS error_count,
              CASE ends WHEN 1 THEN $5 || E'\\n' || $6 ELSE $5 END AS lines, CASE ends WHEN 1 THEN status END AS outcome
       FROM changed, LATERAL (SELECT ("leaseToken" IS NULL)::int AS ends) AS last`,
      [tenantId, id, event, reason, asked, ended],
    );
  }

  /**
   * Hides a build, or the next `most` builds of a project, for good; one that runs is cancelled by it. Returns the ids of
   * those that were hidden.
   */
  public async markDeleted(
    manager: EntityManager,
    tenantId: string,
    which: { readonly id: string } | { readonly projectId: string },
    most: number,
  ): Promise<string[]> {
    const { from, to } = transitions.cancel;
    const [column, value] = 'id' in which ? ['id', which.id] : ['project_id', which.projectId];
    const rows = await query<{ id: string }>(
      manager,
      `WITH hidden AS (
         SELECT id FROM builds WHERE ${column} = $2 AND tenant_id = $1 AND deleted_at IS NULL
         ORDER BY id LIMIT $3 FOR UPDATE
       )
       UPDATE builds b SET
         deleted_at = now(),
         updated_at = now(),
         completed_at = coalesce(b.completed_at, now()),
         status = CASE WHEN b.status = '${from}' THEN '${to}' ELSE b.status END
       FROM hidden WHERE b.id = hidden.id RETURNING b.id`,
      [tenantId, value, most],
    );
    return rows.map(({ id }) => id);
  }

  /**
   * Changes a build, tells its log and records the event, in one statement: each more would be a way to the database and back
   * while the row is locked.
   * @param told a SELECT from the `changed` row, as `tellingSql` wants it
   */
  private async change(
    database: DataSource | EntityManager,
    update: string,
    told: string,
    values: readonly unknown[],
  ): Promise<ChangedBuild | null> {
    const [row] = await query<BuildEntity & { told: ToldLines | null }>(
      database,
      `WITH changed AS (${update}), told AS (${told}), ${tellingSql},
       event AS (${recordingSql('$3', 'EXISTS (SELECT FROM changed)')})
       SELECT changed.*, to_json(counter) AS told FROM changed LEFT JOIN counter ON counter.build_id = changed.id`,
      values,
    );
    if (row === undefined) return null;
    const { told: stored, ...build } = row;
    return { build, log: toldEvent(stored) };
  }

  /** In the order of the keys; null for what is absent, deleted or another tenant's. */
  private async findAll(keys: readonly BuildKey[]): Promise<(BuildEntity | null)[]> {
    const rows = await query<BuildEntity>(
      this.dataSource,
      `SELECT ${this.columns} FROM unnest($1::uuid[], $2::uuid[]) AS k (tenant_id, id)
       JOIN builds b ON b.id = k.id AND b.tenant_id = k.tenant_id AND b.deleted_at IS NULL`,
      [keys.map(({ tenantId }) => tenantId), keys.map(({ id }) => id)],
    );
    const found = new Map(rows.map((row) => [`${row.tenantId} ${row.id}`, row]));
    return keys.map(({ tenantId, id }) => found.get(`${tenantId} ${id}`) ?? null);
  }

  /** The project's row, which numbers its builds, is locked until the commit: so nothing is asked for a second time. */
  private async make(manager: EntityManager, insert: string, values: readonly unknown[]): Promise<MadeBuild | null> {
    const [row] = await query<BuildEntity & { autoStart: boolean }>(
      manager,
      `${insert} RETURNING ${this.columns}, (SELECT auto_start FROM projects WHERE id = b.project_id) AS "autoStart"`,
      values,
    );
    if (row === undefined) return null;
    const { autoStart, ...build } = row;
    return { build, autoStart };
  }

  private get columns(): string {
    return columnsOf(this.dataSource, BuildEntity, 'b');
  }
}
