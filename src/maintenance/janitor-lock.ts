import type { DataSource, EntityManager } from 'typeorm';
import { query } from '../database/query';

/**
 * Runs a part of the upkeep that concerns all processes in a transaction, while no other process does any. The lock ends
 * with the transaction, so a killed janitor holds nobody up.
 * @returns null when another janitor is at work.
 */
export async function asOnlyJanitor<Result>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<Result>,
): Promise<Result | null> {
  return dataSource.transaction(async (manager) => {
    const [lock] = await query<{ taken: boolean }>(
      manager,
      `SELECT pg_try_advisory_xact_lock(hashtext('image-factory janitor')) AS taken`,
    );
    return lock?.taken === true ? work(manager) : null;
  });
}
