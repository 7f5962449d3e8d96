import { Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { DataSource, type EntityManager } from 'typeorm';
import { LogUpkeepRepository } from '../build-logs/log-upkeep.repository';
import { query } from '../database/query';
import { ArtifactStore } from '../execution/artifact-store';

const intervalMs = 10_000;
const rowsAtOnce = 1_000;

/**
 * Purges, in small batches, what is deleted or too old, and joins the small chunks of closed logs. One janitor works
 * at a time over all processes, by an advisory lock that ends with its transaction, so a killed one holds nobody up.
 */
@Injectable()
export class Janitor {
  private readonly logger = new Logger(Janitor.name);
  private isWorking = false;

  public constructor(
    private readonly dataSource: DataSource,
    private readonly logs: LogUpkeepRepository,
    private readonly artifacts: ArtifactStore,
  ) {}

  @Interval(intervalMs)
  public async work(): Promise<void> {
    if (this.isWorking) return;
    this.isWorking = true;
    try {
      while (await this.alone((manager) => this.purgeBuild(manager)));
      while (await this.alone(() => this.logs.compactNext()));
      await this.alone((manager) => this.forgetOld(manager));
    } catch (error) {
      this.logger.warn(`Deleted builds could not be purged: ${String(error)}`);
    } finally {
      this.isWorking = false;
    }
  }

  /** False when another janitor is at work. */
  private alone(task: (manager: EntityManager) => Promise<boolean>): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      const [lock] = await query<{ taken: boolean }>(
        manager,
        `SELECT pg_try_advisory_xact_lock(hashtext('image-factory janitor')) AS taken`,
      );
      return lock?.taken === true && (await task(manager));
    });
  }

  /** Removes a batch of the log of one deleted build that no worker holds, and with the last one all the rest of it. */
  private async purgeBuild(manager: EntityManager): Promise<boolean> {
    const [build] = await query<{ id: string; archive: string | null }>(
      manager,
      `SELECT id, image_archive AS archive FROM builds
       WHERE deleted_at IS NOT NULL AND lease_token IS NULL ORDER BY deleted_at LIMIT 1 FOR UPDATE SKIP LOCKED`,
    );
    if (build === undefined) return false;
    if (!(await this.logs.purge(manager, build.id))) return true;
    await this.artifacts.remove(build.archive ?? this.artifacts.nameOf(build.id));
    await query(manager, 'DELETE FROM builds WHERE id = $1', [build.id]);
    return true;
  }

  private async forgetOld(manager: EntityManager): Promise<boolean> {
    await query(
      manager,
      `DELETE FROM idempotency_keys WHERE (tenant_id, key) IN (
         SELECT tenant_id, key FROM idempotency_keys WHERE created_at < now() - interval '24 hours' LIMIT ${rowsAtOnce})`,
    );
    await query(
      manager,
      `DELETE FROM refresh_tokens WHERE id IN (
         SELECT id FROM refresh_tokens WHERE expires_at < now() LIMIT ${rowsAtOnce})`,
    );
    return true;
  }
}
