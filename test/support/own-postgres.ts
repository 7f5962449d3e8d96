import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { Client } from 'pg';
import { hasCode } from '../../src/config/error-code';
import { addressWith, execute, startServer, stopRunServer } from './postgres';
import { postmasterPid } from './service-process';
import { waitUntil } from './wait-until';

export interface OwnPostgresOptions {
  /** Where its files lie; without it, a fresh directory. Removed at the end. */
  readonly dataDir?: string;
  /** Settings of postgresql.conf over those of tests. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What a server must not lose when a test crashes it: all that it acknowledged. */
const keepsItsWord = { synchronous_commit: 'on', full_page_writes: 'on' };

/** A PostgreSQL server of one test file, which that file may stop, crash and freeze. When it dies it is started again. */
export class OwnPostgres {
  private constructor(
    /** The migrated database. */
    public readonly url: string,
    private readonly dataDir: string,
    private readonly supervisor: ChildProcess,
  ) {}

  public static async start({ dataDir, settings }: OwnPostgresOptions = {}): Promise<OwnPostgres> {
    const server = await startServer({ dataDir, settings: { ...keepsItsWord, ...settings }, isQuiet: true });
    return new OwnPostgres(server.url, server.dataDir, server.child);
  }

  /** The process of the server. @throws Error while it does not run */
  public get pid(): number {
    const pid = postmasterPid(this.dataDir);
    if (pid === undefined) throw new Error('The server does not run.');
    return pid;
  }

  /** Another fresh database, migrated. No service may use the first one meanwhile, as it is copied. */
  public async database(): Promise<string> {
    const name = `test_${randomBytes(8).toString('hex')}`;
    await execute(this.adminUrl('postgres'), `CREATE DATABASE ${name} TEMPLATE image_factory OWNER image_factory`);
    return addressWith(this.url, name, 'image_factory');
  }

  /** Rows of a statement by the server's administrator, who sees the sessions of all. */
  public async sql<Row extends object>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    const client = new Client({ connectionString: this.adminUrl('image_factory') });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return (await client.query<Row>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  }

  /** What `pg_ctl -m immediate restart` does: every connection breaks, and the server recovers from its log. */
  public async restartImmediate(): Promise<void> {
    const before = this.pid;
    process.kill(before, 'SIGQUIT');
    await waitUntil(() => this.pid !== before);
    await waitUntil(async () => (await this.sql('SELECT 1')).length === 1);
  }

  /** Stops the server and all its processes in their tracks. Connections stay open, and nothing is answered. */
  public freeze(): void {
    const { pid } = this;
    // First, so that it makes no more children.
    process.kill(pid, 'SIGSTOP');
    signalChildren(pid, 'SIGSTOP');
  }

  public thaw(): void {
    const { pid } = this;
    signalChildren(pid, 'SIGCONT');
    process.kill(pid, 'SIGCONT');
  }

  /** Thaws it as well, and removes its files. */
  public async stop(): Promise<void> {
    if (postmasterPid(this.dataDir) !== undefined) this.thaw();
    await stopRunServer(this.supervisor);
  }

  private adminUrl(database: string): string {
    return addressWith(this.url, database, 'postgres');
  }
}

function signalChildren(parent: number, signal: NodeJS.Signals): void {
  for (const child of childrenOf(parent)) {
    try {
      process.kill(child, signal);
    } catch (error) {
      // It has ended since.
      if (!hasCode(error, 'ESRCH')) throw error;
    }
  }
}

function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && parentOf(name) === parent)
    .map(Number);
}

function parentOf(pid: string): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in parentheses and may contain anything.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return undefined;
  }
}
