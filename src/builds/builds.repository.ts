import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { columnsOf } from '../database/columns';
import { query } from '../database/query';
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

/** A build that was just started, and its place in the queue, from 1. */
export interface StartedBuild {
  readonly build: BuildEntity;
  readonly place: number;
}

/**
 * Every statement about builds on behalf of a user takes the user's tenant; a deleted build is as good as absent.
 * A transition is one guarded UPDATE: of parallel ones the first to lock the row wins, and the others get no row.
 */
@Injectable()
export class BuildsRepository {
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

  public async find(tenantId: string, id: string): Promise<BuildEntity | null> {
    const [row] = await query<BuildEntity>(
      this.dataSource,
      `SELECT ${this.columns} FROM builds b WHERE b.id = $2 AND b.tenant_id = $1 AND b.deleted_at IS NULL`,
      [tenantId, id],
    );
    return row ?? null;
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

  /** Null when it is not queued. */
  public async start(manager: EntityManager, tenantId: string, id: string): Promise<StartedBuild | null> {
    const { from, to } = transitions.start;
    const [row] = await query<BuildEntity & { place: number }>(
      manager,
      `UPDATE builds b SET status = '${to}', started_at = now(), updated_at = now()
       WHERE b.id = $2 AND b.tenant_id = $1 AND b.status = '${from}' AND b.deleted_at IS NULL
       RETURNING ${this.columns}, ${placeSql('b')} AS place`,
      [tenantId, id],
    );
    if (row === undefined) return null;
    const { place, ...build } = row;
    return { build, place };
  }

  /** Null when it is not in progress. A lease stays with its worker, which stops the build and then gives it back. */
  public async cancel(
    manager: EntityManager,
    tenantId: string,
    id: string,
    reason: string | null,
  ): Promise<BuildEntity | null> {
    const { from, to } = transitions.cancel;
    const [row] = await query<BuildEntity>(
      manager,
      `UPDATE builds b SET status = '${to}', error_message = $3, completed_at = now(), updated_at = now()
       WHERE b.id = $2 AND b.tenant_id = $1 AND b.status = '${from}' AND b.deleted_at IS NULL
       RETURNING ${this.columns}`,
      [tenantId, id, reason],
    );
    return row ?? null;
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
