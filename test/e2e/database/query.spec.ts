import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { query } from '../../../src/database/query';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';

let postgres: TestPostgres;
let dataSource: DataSource;

beforeAll(async () => {
  postgres = await startTestPostgres();
  dataSource = await new DataSource(dataSourceOptions(postgres.url)).initialize();
});

afterAll(async () => {
  await dataSource.destroy();
  await postgres.stop();
});

const countOf = async (name: string): Promise<number | undefined> =>
  (await query<{ count: number }>(dataSource, 'SELECT count(*)::int FROM tenants WHERE name = $1', [name]))[0]?.count;

describe('query', () => {
  it('answers the rows of every kind of statement', async () => {
    const insert = 'INSERT INTO tenants (name) VALUES ($1) RETURNING name';
    expect(await query(dataSource, insert, ['a'])).toEqual([{ name: 'a' }]);
    const update = `UPDATE tenants SET name = 'b' WHERE name = $1 RETURNING name`;
    expect(await query(dataSource, update, ['a'])).toEqual([{ name: 'b' }]);
    expect(await query(dataSource, update, ['a'])).toEqual([]);
    expect(await query(dataSource, 'SELECT name FROM tenants')).toEqual([{ name: 'b' }]);
    const remove = 'WITH gone AS (DELETE FROM tenants RETURNING name) SELECT name FROM gone';
    expect(await query(dataSource, remove)).toEqual([{ name: 'b' }]);
  });

  it('reads bigint as a string and a cast count as a number', async () => {
    expect(await query(dataSource, 'SELECT 9007199254740993 AS big, count(*)::int AS count FROM tenants')).toEqual([
      { big: '9007199254740993', count: 0 },
    ]);
  });

  it('runs inside of the transaction whose manager it is given', async () => {
    const failing = dataSource.transaction(async (manager) => {
      await query(manager, `INSERT INTO tenants (name) VALUES ('rolled back')`);
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(await countOf('rolled back')).toBe(0);
  });

  it('gives its connection back after an error', async () => {
    for (let round = 0; round < 40; round += 1) {
      await expect(query(dataSource, 'SELECT nonsense')).rejects.toThrow(/nonsense/);
    }
    expect(await countOf('anybody')).toBe(0);
  });
});
