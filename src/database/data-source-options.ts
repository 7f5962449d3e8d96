import { Logger } from '@nestjs/common';
import type { PostgresDataSourceOptions } from 'typeorm/driver/postgres/PostgresDataSourceOptions';
import { migrations } from './migrations';
import { PooledClient } from './pooled-client';

/**
 * How long a request waits for the database at most. It waits for a free connection or for a new one, then for its
 * statement, and when the database hangs it must have its 503 within 5 s, on a busy machine too. The server gives up
 * first, where it still can, because then the connection stays good.
 */
const waits = {
  freeConnectionMs: 2_000,
  newConnectionMs: 1_500,
  lockMs: 2_000,
  statementMs: 2_000,
  answerMs: 2_300,
};

/** A process that froze inside of a transaction holds its locks no longer; those of claims keep all workers waiting. */
const idleTransactionMs = 10_000;

/** The options of every connection pool of this service. The schema is the migrations' alone. */
export function dataSourceOptions(url: string): PostgresDataSourceOptions {
  const logger = new Logger('Database');
  return {
    type: 'postgres',
    url,
    applicationName: 'image-factory',
    poolSize: 16,
    synchronize: false,
    migrationsRun: false,
    installExtensions: false,
    // Silent unless DEBUG=typeorm:* is set; the default prints to the console past our own log.
    logger: 'debug',
    migrations: [...migrations],
    migrationsTransactionMode: 'each',
    // An idle connection that breaks is replaced at the next use; unheard, its error would end the process.
    poolErrorHandler: (error: unknown) => {
      logger.warn(`An idle connection to the database was lost: ${String(error)}`);
    },
    extra: {
      Client: PooledClient,
      keepAlive: true,
      connectionTimeoutMillis: waits.freeConnectionMs,
      newConnectionTimeoutMillis: waits.newConnectionMs,
      lock_timeout: waits.lockMs,
      statement_timeout: waits.statementMs,
      query_timeout: waits.answerMs,
      idle_in_transaction_session_timeout: idleTransactionMs,
    },
  };
}
