import type { DataSource, EntityManager } from 'typeorm';
import { isDeadlock } from './database-errors';

const mostTries = 5;

/**
 * Runs work in one transaction, and again when the database chose it to resolve a deadlock: it then changed nothing.
 * The work may run several times, so it must do nothing but ask the database.
 */
export async function transact<Result>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<Result>,
): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await dataSource.transaction(work);
    } catch (error) {
      if (tries === mostTries || !isDeadlock(error)) throw error;
    }
  }
}
