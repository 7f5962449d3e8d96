import { Injectable } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';

export interface Installation {
  readonly id: string;
  /** Whether a process of it has marked the artifact store. */
  readonly hasStore: boolean;
}

/** What all processes on one database are together. */
@Injectable()
export class InstallationRepository {
  public constructor(private readonly dataSource: DataSource) {}

  /** Holds the installation's row, which the first process makes, while `work` runs: one process at a time. */
  public async alone<Result>(
    work: (installation: Installation, manager: EntityManager) => Promise<Result>,
  ): Promise<Result> {
    await query(this.dataSource, 'INSERT INTO installation DEFAULT VALUES ON CONFLICT DO NOTHING');
    return this.dataSource.transaction(async (manager) => {
      const [installation] = await query<Installation>(
        manager,
        'SELECT id, store_registered_at IS NOT NULL AS "hasStore" FROM installation FOR UPDATE',
      );
      if (installation === undefined) throw new Error('The database has no row of its installation');
      return work(installation, manager);
    });
  }

  /** File names of the archives that were kept last. */
  public async newestArchives(manager: EntityManager, most: number): Promise<string[]> {
    const rows = await query<{ archive: string }>(
      manager,
      `SELECT image_archive AS archive FROM builds
       WHERE image_archive IS NOT NULL AND deleted_at IS NULL ORDER BY completed_at DESC LIMIT $1`,
      [most],
    );
    return rows.map(({ archive }) => archive);
  }

  public async registerStore(manager: EntityManager): Promise<void> {
    await query(manager, 'UPDATE installation SET store_registered_at = now() WHERE store_registered_at IS NULL');
  }
}
