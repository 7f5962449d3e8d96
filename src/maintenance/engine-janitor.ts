import { Inject, Injectable, Logger } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { DataSource } from 'typeorm';
import { ENV, type Env } from '../config/env';
import { query } from '../database/query';
import { IMAGE_BUILDER, type ImageBuilder } from '../execution/image-builder';

const intervalMs = 10_000;

/** Removes from the engine of this worker's host what it keeps of deleted projects. Each host looks after its own. */
@Injectable()
export class EngineJanitor {
  private readonly logger = new Logger(EngineJanitor.name);
  private isWorking = false;

  public constructor(
    @Inject(ENV) private readonly env: Env,
    @Inject(IMAGE_BUILDER) private readonly builder: ImageBuilder,
    private readonly dataSource: DataSource,
  ) {}

  @Interval(intervalMs)
  public async work(): Promise<void> {
    if (this.isWorking || !this.env.ROLES.includes('worker')) return;
    this.isWorking = true;
    try {
      const kept = await this.builder.keptProjects();
      if (kept.length === 0) return;
      for (const { id } of await this.deleted(kept)) await this.builder.forgetProject(id);
    } catch (error) {
      this.logger.warn(`Layers of deleted projects could not be removed: ${String(error)}`);
    } finally {
      this.isWorking = false;
    }
  }

  /** Only what the database knows as deleted, and what no worker is still busy with: a stranger's storage stays. */
  private deleted(ids: readonly string[]): Promise<{ readonly id: string }[]> {
    return query(
      this.dataSource,
      `SELECT id FROM projects p WHERE id = ANY ($1::uuid[]) AND deleted_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM builds WHERE project_id = p.id AND lease_token IS NOT NULL)`,
      [ids],
    );
  }
}
