import { Logger } from '@nestjs/common';
import type { Env } from '../config/env';
import { awaitServer } from './await-server';
import type { DatabaseAddress } from './database-address';
import { startEmbeddedPostgres } from './embedded-postgres';
import { migrate } from './migrate';

/** The database that the service uses: it answers, and its schema is up to date. */
export class DatabaseServer implements DatabaseAddress {
  private constructor(
    public readonly url: string,
    private readonly stopEmbedded: () => Promise<void>,
  ) {}

  /**
   * Takes the operator's server, or starts the embedded one where no address is set, and migrates.
   * @throws StartError with one line that says what is wrong.
   * @throws the signal's reason after an abort, once nothing runs any more that was started here.
   */
  public static async open(env: Pick<Env, 'DATABASE_URL' | 'DATA_DIR'>, signal: AbortSignal): Promise<DatabaseServer> {
    const logger = new Logger('Database');
    const server =
      env.DATABASE_URL === undefined
        ? await startEmbeddedPostgres({ dataDir: env.DATA_DIR, logger, signal })
        : { url: env.DATABASE_URL, stop: () => Promise.resolve() };
    try {
      await awaitServer(server.url, logger, signal);
      const done = await migrate(server.url, signal);
      if (done.length > 0) logger.log(`Migrated the database: ${done.join(', ')}`);
    } catch (error) {
      await server.stop();
      throw error;
    }
    return new DatabaseServer(server.url, () => server.stop());
  }

  /** Stops the embedded server. Every connection must have been closed. */
  public async stop(): Promise<void> {
    await this.stopEmbedded();
  }
}
