import type { EntityManager } from 'typeorm';
import { query } from '../database/query';

function keyOf(projectId: string): string {
  return `hashtextextended('image-factory project ' || ${projectId}::text, 0)`;
}

/**
 * A condition that is always true, and under which a statement that makes a build of the project waits until nobody
 * deletes the project, and then keeps its deletion waiting until the end of the transaction. The project's row would
 * not do: who starts a build has the build first and then that row, and a deletion would have them in the other order.
 * @param projectId an expression of SQL
 */
export function noDeletionOf(projectId: string): string {
  return `pg_advisory_xact_lock_shared(${keyOf(projectId)}) IS NOT NULL`;
}

/** Waits until nobody makes a build of the project, and keeps it so until the end of the transaction. */
export async function lockForDeletion(manager: EntityManager, projectId: string): Promise<void> {
  await query(manager, `SELECT pg_advisory_xact_lock(${keyOf('$1::uuid')})`, [projectId]);
}
