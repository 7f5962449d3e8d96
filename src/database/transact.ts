import type { DataSource, EntityManager } from 'typeorm';
import { isDeadlock } from './database-errors';

const mostTries = 5;

/**
 * Runs one statement, and again when the database chose it to resolve a deadlock: it then changed nothing.
 */
export async function untilDecided<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await work();
    } catch (error) {
      if (tries === mostTries || !isDeadlock(error)) throw error;
    }
  }
}

/**
 * Runs work in one transaction, and again when the database chose it to resolve a deadlock: it then changed nothing.
 * The work may run several times, so it must do nothing but ask the database.
 */
export function transact<Result>(
  dataSource: DataSource,
  work: (manager: EntityManager) => Promise<Result>,
): Promise<Result> {
  return untilDecided(() => dataSource.transaction(work));
}
