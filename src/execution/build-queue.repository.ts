import { Inject, Injectable } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { BuildLogsRepository } from '../build-logs/build-logs.repository';
import { type BuildStatus, transitions } from '../builds/build-state';
import { isWaiting, longestWaitingOf, queuesSql } from '../builds/queue-order';
import { ENV, type Env } from '../config/env';
import { query } from '../database/query';
import { takeClaimLock } from './claim-lock';

/** A build that a worker has taken, with all that it needs to run it. */
export interface Claim {
  readonly id: string;
  readonly token: string;
  readonly tenantId: string;
  readonly projectId: string;
  readonly buildNumber: number;
  readonly gitBranch: string;
  readonly gitCommit: string | null;
  readonly commitVerified: boolean;
  readonly buildArgs: Readonly<Record<string, string>>;
  readonly repositoryUrl: string;
  readonly dockerfilePath: string;
  readonly contextPath: string;
  readonly imageRepository: string | null;
  readonly timeoutSeconds: number;
  readonly registryPrefixes: readonly string[];
}

/** What a checkout found out about a build. */
export interface ResolvedCommit {
  readonly commit: string;
  readonly authorName: string | null;
  readonly authorEmail: string | null;
}

export interface Progress {
  readonly stepsDone: number;
  readonly stepsTotal: number;
}

/** How a build ended. */
export type Ending =
  | {
      readonly status: 'success';
      readonly digest: string;
      readonly reference: string | null;
      readonly archive: string | null;
    }
  | { readonly status: 'failed'; readonly message: string };

/** A claim passes over builds that are locked, as while they are cancelled: then it takes the tenant's next one. */
const candidatesOfTenant = 4;

/**
 * The queue is the builds table: an `in_progress` build without a claim waits for a worker. Everything that a worker
 * writes carries its lease token, and changes nothing once the lease is another's or nobody's. Time is the database's.
 */
@Injectable()
export class BuildQueueRepository {
  /** Tokens of claims that may or may not have become true. */
  private readonly unsure = new Set<string>();

  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly logs: BuildLogsRepository,
  ) {}

  /**
   * Takes the next build in the order of the queue that no limit holds back; null when there is none. Claims of all
   * workers go one after the other, and so they never exceed a limit together. Their time is that of the statement: the
   * transaction may have waited for its turn.
   */
  public async claim(workerId: string, leaseSeconds: number): Promise<Claim | null> {
    const token = randomUUID();
    const taken: string[] = [];
    const claimed = this.dataSource.transaction(async (manager) => {
      await takeClaimLock(manager);
      const [claim] = await query<Claim>(
        manager,
        `WITH RECURSIVE ${queuesSql},
         full_projects AS (
           SELECT project_id FROM builds WHERE lease_token IS NOT NULL GROUP BY project_id HAVING count(*) >= $5
         ),
         candidates AS (
           SELECT oldest.id, oldest.started_at, queues.running, ${longestWaitingOf('queues')} FROM queues CROSS JOIN LATERAL (
             SELECT w.id, w.started_at FROM builds w
             WHERE w.tenant_id = queues.tenant_id AND ${isWaiting('w')}
               AND w.project_id NOT IN (SELECT project_id FROM full_projects)
             ORDER BY w.started_at, w.id LIMIT ${candidatesOfTenant}
           ) oldest
           WHERE $4::int IS NULL OR queues.running < $4
         ),
         next AS (
           SELECT b.id FROM candidates c JOIN builds b USING (id) WHERE ${isWaiting('b')}
           ORDER BY c.running, ${longestWaitingOf('c')}, c.started_at, c.id FOR UPDATE OF b SKIP LOCKED LIMIT 1
         ),
         claimed AS (
           UPDATE builds b SET lease_token = $2, worker_id = $1, claimed_at = clock_timestamp(), updated_at = now(),
                               lease_expires_at = clock_timestamp() + make_interval(secs => $3)
           FROM next, projects p, tenants t
           WHERE b.id = next.id AND p.id = b.project_id AND t.id = b.tenant_id
           RETURNING b.id, b.lease_token AS token, b.tenant_id AS "tenantId", b.project_id AS "projectId",
                     b.build_number AS "buildNumber",
                     b.git_branch AS "gitBranch", b.git_commit AS "gitCommit", b.commit_verified AS "commitVerified",
                     b.build_args AS "buildArgs", p.repository_url AS "repositoryUrl",
                     p.dockerfile_path AS "dockerfilePath", p.context_path AS "contextPath",
                     p.image_repository AS "imageRepository", p.build_timeout_seconds AS "timeoutSeconds",
                     t.registry_prefixes AS "registryPrefixes"
         ),
         noted AS (
           UPDATE tenants t SET last_claimed_at = clock_timestamp() FROM claimed WHERE t.id = claimed."tenantId"
         )
         SELECT * FROM claimed`,
        [
          workerId,
          token,
          leaseSeconds,
          this.env.MAX_RUNNING_PER_TENANT ?? null,
          this.env.MAX_RUNNING_PER_PROJECT ?? null,
        ],
      );
      if (claim === undefined) return null;
      await this.logs.setWriter(manager, claim.id, token);
      taken.push(token);
      return claim;
    });
    try {
      return await claimed;
    } catch (error) {
      for (const each of taken) this.unsure.add(each);
      throw error;
    }
  }

  /**
   * Claims of this process of which nobody knows, as their commit was not acknowledged, go back to their place. Behind the
   * claim's own transaction, if that is still at work.
   */
  public async putUnsureBack(): Promise<void> {
    if (this.unsure.size === 0) return;
    const tokens = [...this.unsure];
    await this.dataSource.transaction(async (manager) => {
      await takeClaimLock(manager);
      await query(
        manager,
        `UPDATE builds SET lease_token = NULL, lease_expires_at = NULL, worker_id = NULL, claimed_at = NULL, updated_at = now()
         WHERE lease_token = ANY($1::uuid[]) AND status = '${transitions.fail.from}' AND deleted_at IS NULL`,
        [tokens],
      );
    });
    for (const token of tokens) this.unsure.delete(token);
  }

  /** Extends the lease and says whether the build shall go on; null when the lease is lost. */
  public async renew(
    { id, token }: Pick<Claim, 'id' | 'token'>,
    leaseSeconds: number,
  ): Promise<{ readonly goesOn: boolean } | null> {
    const [row] = await query<{ goesOn: boolean }>(
      this.dataSource,
      `UPDATE builds SET lease_expires_at = now() + make_interval(secs => $3)
       WHERE id = $1 AND lease_token = $2
       RETURNING status = 'in_progress' AND deleted_at IS NULL AS "goesOn"`,
      [id, token, leaseSeconds],
    );
    return row ?? null;
  }

  public async saveProgress({ id, token }: Claim, { stepsDone, stepsTotal }: Progress): Promise<void> {
    await query(
      this.dataSource,
      `UPDATE builds SET steps_done = greatest(steps_done, $3), steps_total = greatest(steps_total, $4), updated_at = now()
       WHERE id = $1 AND lease_token = $2 AND status = 'in_progress'`,
      [id, token, stepsDone, stepsTotal],
    );
  }

  public async saveCommit({ id, token }: Claim, { commit, authorName, authorEmail }: ResolvedCommit): Promise<void> {
    await query(
      this.dataSource,
      `UPDATE builds SET git_commit = $3, commit_verified = true, git_author_name = $4, git_author_email = $5,
                         updated_at = now()
       WHERE id = $1 AND lease_token = $2`,
      [id, token, commit, authorName, authorEmail],
    );
  }

  /** Decides the build and gives the lease back; false when it was cancelled, deleted or taken away before. */
  public async finish(
    manager: EntityManager,
    { id, token }: Claim,
    ending: Ending,
    { stepsDone, stepsTotal }: Progress,
  ): Promise<boolean> {
    const { from } = ending.status === 'success' ? transitions.succeed : transitions.fail;
    const image = ending.status === 'success' ? ending : { digest: null, reference: null, archive: null };
    const rows = await query(
      manager,
      `UPDATE builds SET status = $3, error_message = $4, image_digest = $5, image_reference = $6, image_archive = $7,
                         steps_done = greatest(steps_done, $8), steps_total = greatest(steps_total, $9),
                         completed_at = now(), updated_at = now(), lease_token = NULL, lease_expires_at = NULL
       WHERE id = $1 AND lease_token = $2 AND status = '${from}' AND deleted_at IS NULL
       RETURNING id`,
      [
        id,
        token,
        ending.status,
        ending.status === 'failed' ? ending.message : null,
        image.digest,
        image.reference,
        image.archive,
        stepsDone,
        stepsTotal,
      ],
    );
    return rows.length === 1;
  }

  /** Whether the build's record says that its archive is kept. */
  public async keepsArchive(id: string): Promise<boolean> {
    const rows = await query(
      this.dataSource,
      'SELECT id FROM builds WHERE id = $1 AND image_archive IS NOT NULL AND deleted_at IS NULL',
      [id],
    );
    return rows.length === 1;
  }

  /** Gives the lease of a stopped build back; says what had become of the build, null when the lease was lost. */
  public async release(
    manager: EntityManager,
    id: string,
    token: string,
  ): Promise<{ readonly status: BuildStatus; readonly isDeleted: boolean } | null> {
    const [row] = await query<{ status: BuildStatus; isDeleted: boolean }>(
      manager,
      `UPDATE builds SET lease_token = NULL, lease_expires_at = NULL WHERE id = $1 AND lease_token = $2
       RETURNING status, deleted_at IS NOT NULL AS "isDeleted"`,
      [id, token],
    );
    return row ?? null;
  }
}
