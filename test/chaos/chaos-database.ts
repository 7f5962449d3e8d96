import { Client } from 'pg';
import { OwnPostgres } from '../support/own-postgres';
import { waitUntil } from '../support/wait-until';

const readMs = 60_000;

/** A PostgreSQL server of this run, to be tormented, and to be read past the service. */
export class ChaosDatabase {
  private constructor(private readonly server: OwnPostgres) {}

  public static async start(): Promise<ChaosDatabase> {
    return new ChaosDatabase(await OwnPostgres.start());
  }

  public get url(): string {
    return this.server.url;
  }

  /** Ends the server as a crash does, and waits until the next one answers. */
  public restart(): Promise<void> {
    return this.server.restartImmediate();
  }

  public freeze(): void {
    this.server.freeze();
  }

  public thaw(): void {
    this.server.thaw();
  }

  /** Rows of a statement, asked again while the server is down. */
  public async sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    let rows: Row[] = [];
    await waitUntil(async () => {
      rows = await this.ask<Row>(statement, values);
      return true;
    }, readMs);
    return rows;
  }

  public stop(): Promise<void> {
    return this.server.stop();
  }

  private async ask<Row extends object>(statement: string, values: readonly unknown[]): Promise<Row[]> {
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: 5_000, query_timeout: 30_000 });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  }
}
