import { Inject, Injectable } from '@nestjs/common';
import { statfs } from 'node:fs/promises';
import { DataSource } from 'typeorm';
import { ENV, type Env } from '../config/env';
import { query } from '../database/query';
import { takeClaimLock } from '../execution/claim-lock';
import { DiskGuard } from '../execution/disk-guard';
import { IMAGE_BUILDER, type ImageBuilder, type KeptProject } from '../execution/image-builder';

const dayMs = 24 * 3_600_000;

interface KnownProject extends KeptProject {
  readonly isDeleted: boolean;
}

/** Drops the layers that projects keep in the engine of this host, when nobody needs them or the disk gets full. */
@Injectable()
export class LayerUpkeep {
  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly disk: DiskGuard,
    private readonly dataSource: DataSource,
  ) {}

  /** Of projects that are deleted or that were not built here for long. */
  public async dropUnused(): Promise<void> {
    const oldest = Date.now() - this.env.CACHE_RETENTION_DAYS * dayMs;
    for (const { id, isDeleted, lastBuiltAt } of await this.known()) {
      if (isDeleted || lastBuiltAt.getTime() < oldest) await this.setAside(id);
    }
  }

  /**
   * While the file system is too full, or too full for builds to begin, of the project that was not built for the longest time.
   * @param signal ends the removal, which can go on later
   * @returns true when it dropped one
   * @throws Error when it is too full and nothing can be dropped
   */
  public async dropForSpace(signal: AbortSignal): Promise<boolean> {
    const most = this.env.CACHE_MAX_DISK_PERCENT;
    const shortage = await this.disk.shortage();
    if ((await this.percentUsed()) <= most && shortage === null) return false;
    for (const { id } of await this.known()) {
      if (!(await this.setAside(id))) continue;
      await this.builder.sweep(signal);
      return true;
    }
    throw new Error(
      `${shortage ?? `the file system of DATA_DIR is fuller than ${most} %`}, and there is nothing to drop`,
    );
  }

  /**
   * Only what the database knows as a project: a stranger's storage stays. The longest unused first.
   */
  private async known(): Promise<KnownProject[]> {
    const kept = await this.builder.keptProjects();
    if (kept.length === 0) return [];
    const rows = await query<{ id: string; isDeleted: boolean }>(
      this.dataSource,
      'SELECT id, deleted_at IS NOT NULL AS "isDeleted" FROM projects WHERE id = ANY ($1::uuid[])',
      [kept.map(({ id }) => id)],
    );
    const deleted = new Map(rows.map(({ id, isDeleted }) => [id, isDeleted]));
    return kept.flatMap((project) => {
      const isDeleted = deleted.get(project.id);
      return isDeleted === undefined ? [] : [{ ...project, isDeleted }];
    });
  }

  /** Under the lock of claims: no build of the project begins between the look and the deed. False when one runs. */
  private setAside(projectId: string): Promise<boolean> {
    return this.dataSource.transaction(async (manager) => {
      await takeClaimLock(manager);
      const running = await query(
        manager,
        'SELECT FROM builds WHERE project_id = $1 AND lease_token IS NOT NULL LIMIT 1',
        [projectId],
      );
      if (running.length > 0) return false;
      await this.builder.setAside(projectId);
      return true;
    });
  }

  private async percentUsed(): Promise<number> {
    const { blocks, bfree, bavail } = await statfs(this.env.DATA_DIR);
    const used = blocks - bfree;
    return (used / (used + bavail)) * 100;
  }
}
