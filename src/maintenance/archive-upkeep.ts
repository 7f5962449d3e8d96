import { Injectable } from '@nestjs/common';
import type { Dir } from 'node:fs';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';
import { ArtifactStore } from '../execution/artifact-store';
import { StoreMarker } from '../execution/store-marker';
import { asOnlyJanitor } from './janitor-lock';

const archivesAtOnce = 100;
const namesAtOnce = 500;

/** Looks after the files in the artifact store. */
@Injectable()
export class ArchiveUpkeep {
  /** Where the look through the directory has come to. */
  private listing: Dir | undefined;

  public constructor(
    private readonly dataSource: DataSource,
    private readonly artifacts: ArtifactStore,
    private readonly marker: StoreMarker,
  ) {}

  /**
   * Removes archives of builds that completed so many days ago: from the record first, then the file, which is an orphan
   * if this process dies in between.
   * @returns true when there may be more
   */
  public async expire(days: number): Promise<boolean> {
    const expired = await asOnlyJanitor(this.dataSource, (manager) =>
      query<{ archive: string }>(
        manager,
        `WITH old AS (
           SELECT id, image_archive AS archive FROM builds
           WHERE image_archive IS NOT NULL AND deleted_at IS NULL AND completed_at < now() - make_interval(days => $1)
           ORDER BY completed_at LIMIT ${archivesAtOnce} FOR UPDATE SKIP LOCKED
         )
         UPDATE builds b SET image_archive = NULL, archive_kept_days = $1 FROM old WHERE b.id = old.id
         RETURNING old.archive`,
        [days],
      ),
    );
    if (expired === null) return false;
    await this.remove(expired.map(({ archive }) => archive));
    return expired.length === archivesAtOnce;
  }

  /** Removes the files of archives, one whatever becomes of the others. A process that may not write in the store leaves them to the workers as orphans. */
  public async remove(names: readonly string[]): Promise<void> {
    if (names.length === 0 || !(await this.marker.mayRemove())) return;
    const results = await Promise.allSettled(names.map((name) => this.artifacts.remove(name)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  /**
   * Removes archives and parts of archives that belong to no build, out of the next names in the directory. The directory
   * is read before the database is asked, so a build that just began is known by then.
   * @returns true when there are more names to look at
   */
  public async removeOrphans(): Promise<boolean> {
    if (!(await this.marker.mayRemove())) return false;
    const { names, isLast } = await this.nextNames();
    if (names.length > 0) {
      await asOnlyJanitor(this.dataSource, async (manager) => this.remove(await this.orphansOf(manager, names)));
    }
    return !isLast;
  }

  private async orphansOf(manager: EntityManager, names: readonly string[]): Promise<string[]> {
    const buildOf = new Map(names.map((name) => [name, this.artifacts.buildOf(name)]));
    const owners = await query<{ id: string; archive: string | null; isLeased: boolean }>(
      manager,
      `SELECT id, image_archive AS archive, lease_token IS NOT NULL AS "isLeased" FROM builds
       WHERE id = ANY ($1::uuid[]) AND (image_archive IS NOT NULL OR lease_token IS NOT NULL)`,
      [[...buildOf.values()]],
    );
    const leased = new Set(owners.filter(({ isLeased }) => isLeased).map(({ id }) => id));
    const kept = new Set(owners.map(({ archive }) => archive));
    return names.filter((name) => !kept.has(name) && !leased.has(buildOf.get(name) ?? ''));
  }

  /** The names of archives among the next entries of the directory; after its last one it is read anew. */
  private async nextNames(): Promise<{ readonly names: string[]; readonly isLast: boolean }> {
    const names: string[] = [];
    const listing = (this.listing ??= await this.artifacts.list());
    try {
      for (let seen = 0; seen < namesAtOnce; seen += 1) {
        const entry = await listing.read();
        if (entry === null) {
          await this.rewind();
          return { names, isLast: true };
        }
        if (this.artifacts.buildOf(entry.name) !== null) names.push(entry.name);
      }
      return { names, isLast: false };
    } catch (error) {
      await this.rewind();
      throw error;
    }
  }

  private async rewind(): Promise<void> {
    const { listing } = this;
    this.listing = undefined;
    await listing?.close();
  }
}
