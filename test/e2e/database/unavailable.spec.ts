import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { isDatabaseUnavailable, isUniqueViolation } from '../../../src/database/database-errors';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../../src/database/embedded-postgres';
import { query } from '../../../src/database/query';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { postmasterPid } from '../../support/service-process';
import { waitUntil } from '../../support/wait-until';

const mostMs = 5_000;
const quiet = { log: () => undefined, warn: () => undefined, error: () => undefined };

interface Outcome {
  readonly error: unknown;
  readonly ms: number;
}

async function outcomeOf(work: () => Promise<unknown>): Promise<Outcome> {
  const start = performance.now();
  const error: unknown = await work().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return { error, ms: performance.now() - start };
}

describe('a database that answers with errors', () => {
  let postgres: TestPostgres;
  let dataSource: DataSource;
  let other: DataSource;

  beforeAll(async () => {
    postgres = await startTestPostgres();
    dataSource = await new DataSource(dataSourceOptions(postgres.url)).initialize();
    other = await new DataSource({ type: 'postgres', url: postgres.adminUrl, poolSize: 2 }).initialize();
  });

  afterAll(async () => {
    await dataSource.destroy();
    await other.destroy();
    await postgres.stop();
  });

  it('tells a slow statement from a wrong one', async () => {
    const slow = await outcomeOf(() => dataSource.query('SELECT pg_sleep(20)'));
    expect(isDatabaseUnavailable(slow.error)).toBe(true);
    expect(slow.ms).toBeLessThan(mostMs);
    const wrong = await outcomeOf(() => dataSource.query('SELECT 1 / 0'));
    expect(wrong.error).toBeInstanceOf(Error);
    expect(isDatabaseUnavailable(wrong.error)).toBe(false);
  });

  it('does not wait long for a lock', async () => {
    await other.query(`INSERT INTO tenants (name) VALUES ('locked')`);
    await other.transaction(async (manager) => {
      await manager.query(`SELECT FROM tenants WHERE name = 'locked' FOR UPDATE`);
      const { error, ms } = await outcomeOf(() => dataSource.query(`DELETE FROM tenants WHERE name = 'locked'`));
      expect(isDatabaseUnavailable(error)).toBe(true);
      expect(ms).toBeLessThan(mostMs);
    });
    await expect(dataSource.query(`DELETE FROM tenants WHERE name = 'locked'`)).resolves.toEqual([[], 1]);
  });

  it('names a unique index that refused a row', async () => {
    const insert = `INSERT INTO tenants (name) VALUES ('twice')`;
    await dataSource.query(insert);
    const { error } = await outcomeOf(() => dataSource.query(insert));
    expect(isUniqueViolation(error)).toBe(true);
    expect(isUniqueViolation(error, 'tenants_name_key')).toBe(true);
    expect(isUniqueViolation(error, 'users_email_key')).toBe(false);
    expect(isDatabaseUnavailable(error)).toBe(false);
  });

  it('replaces connections that were cut, busy or idle', async () => {
    const cut = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = 'image-factory'`;
    const busy = outcomeOf(() => dataSource.query('SELECT pg_sleep(1.5)'));
    await waitUntil(
      async () =>
        (await other.query<unknown[]>(`SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(1.5)%'`)).length >
        0,
    );
    await other.query(cut);
    expect(isDatabaseUnavailable((await busy).error)).toBe(true);

    const works = async (): Promise<boolean> =>
      (await outcomeOf(() => dataSource.query('SELECT 1'))).error === undefined;
    await waitUntil(works, mostMs);
    await other.query(cut);
    await waitUntil(works, mostMs);
  });

  it('goes on when the server has no connection left', async () => {
    await other.query(`ALTER DATABASE ${new URL(postgres.url).pathname.slice(1)} CONNECTION LIMIT 0`);
    const refused = new DataSource(dataSourceOptions(postgres.url));
    const { error } = await outcomeOf(() => refused.initialize());
    await other.query(`ALTER DATABASE ${new URL(postgres.url).pathname.slice(1)} CONNECTION LIMIT -1`);
    expect(isDatabaseUnavailable(error)).toBe(true);
  });
});

describe('a database that hangs', () => {
  let dataDir: string;
  let postgres: EmbeddedPostgres;
  let dataSource: DataSource;

  beforeAll(async () => {
    dataDir = mkdtempSync(path.join(tmpdir(), 'hanging-'));
    postgres = await startEmbeddedPostgres({ dataDir, logger: quiet, settings: { fsync: 'off' } });
    dataSource = await new DataSource(dataSourceOptions(postgres.url)).initialize();
  });

  afterEach(() => {
    if (postmasterPid(dataDir) !== undefined) signal('SIGCONT');
  });

  afterAll(async () => {
    try {
      await dataSource.destroy();
    } finally {
      await postgres.stop();
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

  /** To the server and all its processes. */
  function signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    const server = postmasterPid(dataDir);
    if (server === undefined) throw new Error('The server does not run.');
    const children = execFileSync('ps', ['-o', 'pid=', '--ppid', `${server}`], { encoding: 'utf8' });
    for (const pid of [server, ...children.trim().split(/\s+/).map(Number)]) process.kill(pid, name);
  }

  it('fails every request within 5 s, also in a transaction, and serves again when it wakes up', async () => {
    await query(dataSource, 'SELECT 1');
    signal('SIGSTOP');
    const outcomes = await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        outcomeOf(() =>
          index % 2 === 0
            ? query(dataSource, 'SELECT 1')
            : dataSource.transaction((manager) => query(manager, 'SELECT 1')),
        ),
      ),
    );
    const later = await outcomeOf(() => query(dataSource, 'SELECT 1'));
    signal('SIGCONT');
    for (const { error, ms } of [...outcomes, later]) {
      expect(isDatabaseUnavailable(error)).toBe(true);
      expect(ms).toBeLessThan(mostMs);
    }
    const woken = await outcomeOf(() => query(dataSource, 'SELECT 1'));
    expect(woken).toMatchObject({ error: undefined });
    expect(woken.ms).toBeLessThan(1_500);
  });

  it('is unavailable while it is down', async () => {
    await postgres.stop();
    const { error, ms } = await outcomeOf(() => query(dataSource, 'SELECT 1'));
    expect(isDatabaseUnavailable(error)).toBe(true);
    expect(ms).toBeLessThan(mostMs);
    postgres = await startEmbeddedPostgres({ dataDir, logger: quiet, settings: { fsync: 'off' } });
    await waitUntil(async () => (await outcomeOf(() => query(dataSource, 'SELECT 1'))).error === undefined, mostMs);
  });
});
