import {
  type BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { AuditEventsRepository } from '../audit/audit-events.repository';
import { KnownClientsRepository } from '../auth/known-clients.repository';
import { LogUpkeepRepository } from '../build-logs/log-upkeep.repository';
import { ENV, type Env } from '../config/env';
import { query } from '../database/query';
import { ArtifactStore } from '../execution/artifact-store';
import { ArchiveUpkeep } from './archive-upkeep';
import { asOnlyJanitor } from './janitor-lock';
import { type Chore, Rounds } from './rounds';

const intervalMs = 10_000;
const rowsAtOnce = 1_000;

/**
 * Removes, in small batches, what is deleted, too old or an orphan, and joins the small chunks of closed logs. Every
 * process has one; they take turns.
 */
@Injectable()
export class Janitor implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly rounds: Rounds;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    private readonly dataSource: DataSource,
    private readonly logs: LogUpkeepRepository,
    private readonly audit: AuditEventsRepository,
    private readonly knownClients: KnownClientsRepository,
    private readonly archives: ArchiveUpkeep,
    private readonly artifacts: ArtifactStore,
  ) {
    this.rounds = new Rounds(this.chores, new Logger(Janitor.name));
  }

  public onApplicationBootstrap(): void {
    this.rounds.start(intervalMs);
  }

  /** A whole round, after the one that is under way. */
  public work(): Promise<void> {
    return this.rounds.go();
  }

  public async beforeApplicationShutdown(): Promise<void> {
    await this.rounds.stop();
  }

  private get chores(): Chore[] {
    const { LOG_RETENTION_DAYS: logDays, ARCHIVE_RETENTION_DAYS: archiveDays } = this.env;
    const { AUDIT_RETENTION_DAYS: auditDays } = this.env;
    return [
      { complaint: 'Deleted builds could not be purged', part: () => this.purgeBuild() },
      ...(logDays === undefined
        ? []
        : [{ complaint: 'Old logs could not be removed', part: this.alone((it) => this.logs.expire(it, logDays)) }]),
      { complaint: 'Lines of removed logs could not be purged', part: this.alone((it) => this.logs.purgeExpired(it)) },
      ...(archiveDays === undefined
        ? []
        : [{ complaint: 'Old archives could not be removed', part: () => this.archives.expire(archiveDays) }]),
      ...(auditDays === undefined
        ? []
        : [
            {
              complaint: 'Old audit events could not be removed',
              part: this.alone((it) => this.audit.expire(it, auditDays)),
            },
          ]),
      { complaint: 'Archives without a build could not be removed', part: () => this.archives.removeOrphans() },
      { complaint: 'Closed logs could not be compacted', part: this.alone((it) => this.logs.compactNext(it)) },
      { complaint: 'Old idempotency keys could not be forgotten', part: this.alone((it) => this.forgetKeys(it)) },
      { complaint: 'Old refresh tokens could not be forgotten', part: this.alone((it) => this.forgetTokens(it)) },
      {
        complaint: 'Addresses of old sign-ins could not be forgotten',
        part: this.alone((it) => this.knownClients.forgetOld(it)),
      },
    ];
  }

  private alone(work: (manager: EntityManager) => Promise<boolean>): () => Promise<boolean> {
    return async () => (await asOnlyJanitor(this.dataSource, work)) ?? false;
  }

  /** Removes a batch of the log of one deleted build that no worker holds, and with the last one all the rest of it. */
  private async purgeBuild(): Promise<boolean> {
    const purged = await asOnlyJanitor(this.dataSource, async (manager) => {
      const [build] = await query<{ id: string; archive: string | null }>(
        manager,
        `SELECT id, image_archive AS archive FROM builds
         WHERE deleted_at IS NOT NULL AND lease_token IS NULL ORDER BY deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
      );
      if (build === undefined) return null;
      if (!(await this.logs.purge(manager, build.id))) return [];
      await query(manager, 'DELETE FROM builds WHERE id = $1', [build.id]);
      return [build.archive ?? this.artifacts.nameOf(build.id)];
    });
    if (purged === null) return false;
    await this.archives.remove(purged);
    return true;
  }

  private async forgetKeys(manager: EntityManager): Promise<boolean> {
    const forgotten = await query(
      manager,
      `DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (
         SELECT tenant_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT ${rowsAtOnce})
       RETURNING key`,
    );
    return forgotten.length === rowsAtOnce;
  }

  private async forgetTokens(manager: EntityManager): Promise<boolean> {
    const forgotten = await query(
      manager,
      `DELETE FROM refresh_tokens WHERE id IN (
         SELECT id FROM refresh_tokens WHERE expires_at < now() LIMIT ${rowsAtOnce})
       RETURNING id`,
    );
    return forgotten.length === rowsAtOnce;
  }
}
