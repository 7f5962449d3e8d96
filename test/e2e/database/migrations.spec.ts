import { readdirSync } from 'node:fs';
import path from 'node:path';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { migrate } from '../../../src/database/migrate';
import { migrations } from '../../../src/database/migrations';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { ServiceProcess } from '../../support/service-process';

let postgres: TestPostgres;
let dataSource: DataSource;

beforeEach(async () => {
  postgres = await startTestPostgres();
  dataSource = await new DataSource(dataSourceOptions(postgres.url)).initialize();
});

afterEach(async () => {
  await dataSource.destroy();
  await postgres.stop();
});

/** What the schema consists of, as the catalogue tells it. */
async function schema(): Promise<unknown> {
  return await dataSource.query(`
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
           concat_ws(' ', data_type, column_default, is_nullable) AS definition
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
    ORDER BY 1, 2, 3`);
}

async function applied(): Promise<readonly string[]> {
  const rows = await dataSource.query<{ name: string }[]>('SELECT name FROM migrations ORDER BY id');
  return rows.map(({ name }) => name);
}

describe('the migrations', () => {
  it('are all listed, in the order of their files', () => {
    const files = readdirSync(path.join(__dirname, '..', '..', '..', 'migrations')).filter((file) =>
      file.endsWith('.ts'),
    );
    const stampOf = (name: string): string => /\d{13}/.exec(name)?.[0] ?? name;
    expect(migrations.map(({ name }) => stampOf(name))).toEqual(files.sort().map(stampOf));
  });

  it('go up, down to nothing, and up to the same schema', async () => {
    const before = await schema();
    for (let left = migrations.length; left > 0; left -= 1) await dataSource.undoLastMigration();
    expect(await applied()).toEqual([]);
    expect(await dataSource.query(`SELECT tablename FROM pg_tables WHERE schemaname = 'public'`)).toEqual([
      { tablename: 'migrations' },
    ]);
    expect(await migrate(postgres.url)).toEqual(migrations.map(({ name }) => name));
    expect(await schema()).toEqual(before);
    expect(await migrate(postgres.url)).toEqual([]);
  });

  it('run once each when four processes start together on an empty database', async () => {
    await dataSource.query('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    const env = { DATABASE_URL: postgres.url, JWT_SECRET: 'x'.repeat(32) };
    const services = [1, 2, 3, 4].map(() => ServiceProcess.spawn('database-service.ts', env));
    await Promise.all(services.map((service) => service.url()));
    expect(await applied()).toEqual(migrations.map(({ name }) => name));
    expect(await Promise.all(services.map((service) => service.end()))).toEqual([0, 0, 0, 0]);
  });

  it('that fails leaves nothing behind and says so in one line', async () => {
    for (let left = migrations.length; left > 0; left -= 1) await dataSource.undoLastMigration();
    await dataSource.query('CREATE TABLE build_logs (x int)');
    await expect(migrate(postgres.url)).rejects.toThrow(
      /^The database could not be migrated: .*"build_logs" already exists/,
    );
    expect(await dataSource.query(`SELECT to_regclass('tenants') AS tenants`)).toEqual([{ tenants: null }]);
    await dataSource.query('DROP TABLE build_logs');
    expect(await migrate(postgres.url)).toEqual(migrations.map(({ name }) => name));
  });
});
