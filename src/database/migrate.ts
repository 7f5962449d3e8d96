import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource, MigrationExecutor, type QueryRunner } from 'typeorm';
import { dataSourceOptions } from './data-source-options';
import { query } from './query';
import { StartError } from '../config/start-error';

/** Any number that nothing else locks; it is the same for every process that migrates one database. */
const advisoryLock = '7236201845';
const pollMs = 100;

/**
 * Brings the schema up to date. Processes that start together on one database wait for each other here: one runs the
 * migrations, the others then find nothing left to do. Nothing times out, since a migration may rewrite a big table.
 * @param signal ends the wait for the others; a migration that has begun comes to its end.
 * @returns the names of the migrations that ran.
 * @throws StartError with one line when a migration fails; those before it are kept.
 * @throws the signal's reason after an abort.
 */
export async function migrate(url: string, signal?: AbortSignal): Promise<readonly string[]> {
  const dataSource = new DataSource({
    ...dataSourceOptions(url),
    applicationName: 'image-factory migrations',
    poolSize: 2,
    connectTimeoutMS: 10_000,
    extra: { keepAlive: true },
  });
  await dataSource.initialize();
  try {
    // The lock and the migrations share a session: whoever loses the one loses the other.
    const session = dataSource.createQueryRunner();
    try {
      while (!(await isFirst(session))) await sleep(pollMs, undefined, { signal });
      signal?.throwIfAborted();
      const executor = new MigrationExecutor(dataSource, session);
      executor.transaction = 'each';
      const done = await executor.executePendingMigrations();
      return done.map(({ name }) => name);
    } catch (cause) {
      signal?.throwIfAborted();
      throw new StartError(
        `The database could not be migrated: ${cause instanceof Error ? cause.message : String(cause)}`,
        {
          cause,
        },
      );
    } finally {
      await session.release();
    }
  } finally {
    // Closing the session gives the lock back.
    await dataSource.destroy();
  }
}

async function isFirst(session: QueryRunner): Promise<boolean> {
  const sql = `SELECT pg_try_advisory_lock(${advisoryLock}) AS "isFirst"`;
  const [row] = await query<{ isFirst: boolean }>(session.manager, sql);
  return row?.isFirst === true;
}
