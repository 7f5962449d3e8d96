import { setTimeout as sleep } from 'node:timers/promises';
import { Client, escapeIdentifier } from 'pg';
import { administrator, Postmaster, type PostmasterOptions } from './postmaster';

/** The service's own database and the user who owns it, who is no administrator. */
const service = 'image_factory';
const restartPauseMs = 10_000;

/** Keeps a server running until it is stopped. */
export class Supervisor {
  private readonly stopping = new AbortController();
  private readonly onExit = (): void => {
    this.server?.abandon();
  };
  private server: Postmaster | undefined;
  private watching: Promise<void> | undefined;

  public constructor(
    private readonly options: PostmasterOptions,
    private readonly logger: Pick<Console, 'log' | 'warn' | 'error'>,
  ) {}

  public get url(): string {
    return `postgres:///${service}?host=${encodeURIComponent(this.options.socketDirectory)}&user=${service}`;
  }

  /**
   * @param signal gives up the start.
   * @throws StartError with one line when the server does not start.
   */
  public async start(signal: AbortSignal = this.stopping.signal): Promise<void> {
    const server = await Postmaster.start(this.options, signal);
    this.server = server;
    process.once('exit', this.onExit);
    try {
      await this.createDatabase();
    } catch (error) {
      await this.stop();
      throw error;
    }
    this.watching = this.watch(server);
  }

  public async stop(): Promise<void> {
    this.stopping.abort();
    await this.server?.stop();
    await this.watching;
    process.removeListener('exit', this.onExit);
  }

  private async watch(first: Postmaster): Promise<void> {
    for (let server: Postmaster | undefined = first; server !== undefined;) {
      const how = await server.exited;
      if (this.stopped()) return;
      this.logger.warn(`The embedded PostgreSQL ended (${how}); starting it again`);
      server = await this.restart();
    }
  }

  /** Goes on trying as long as the service runs: whoever frees a full disk need not restart us as well. */
  private async restart(): Promise<Postmaster | undefined> {
    while (!this.stopped()) {
      try {
        this.server = await Postmaster.start(this.options, this.stopping.signal);
        this.logger.log('The embedded PostgreSQL runs again');
        return this.server;
      } catch (error) {
        if (this.stopped()) break;
        this.logger.error(error instanceof Error ? error.message : String(error));
        await sleep(restartPauseMs, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
    return undefined;
  }

  private stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private async createDatabase(): Promise<void> {
    const client = new Client({ host: this.options.socketDirectory, user: administrator, database: 'postgres' });
    await client.connect();
    try {
      const owner = escapeIdentifier(service);
      const { rowCount: users } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [service]);
      if (users === 0) await client.query(`CREATE ROLE ${owner} LOGIN`);
      const { rowCount: databases } = await client.query('SELECT FROM pg_database WHERE datname = $1', [service]);
      if (databases === 0) await client.query(`CREATE DATABASE ${owner} OWNER ${owner}`);
    } finally {
      await client.end();
    }
  }
}
