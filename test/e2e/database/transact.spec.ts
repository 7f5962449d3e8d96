import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../../src/database/data-source-options';
import { query } from '../../../src/database/query';
import { transact } from '../../../src/database/transact';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';

describe('transact', () => {
  let postgres: TestPostgres;
  let source: DataSource;

  beforeAll(async () => {
    postgres = await startTestPostgres();
    source = await new DataSource(dataSourceOptions(postgres.url)).initialize();
    await query(source, 'CREATE TABLE counters (id integer PRIMARY KEY, value integer NOT NULL DEFAULT 0)');
    await query(source, 'INSERT INTO counters VALUES (1), (2)');
  });

  afterAll(async () => {
    await source.destroy();
    await postgres.stop();
  });

  const add = (id: number) => `UPDATE counters SET value = value + 1 WHERE id = ${id}`;

  /** Two transactions that lock the same two rows in opposite orders, each after the other has its first. */
  async function collide(run: typeof transact): Promise<PromiseSettledResult<void>[]> {
    let arrived = 0;
    let meet: () => void = () => undefined;
    const met = new Promise<void>((resolve) => {
      meet = resolve;
    });
    const work = (first: number, second: number) =>
      run(source, async (manager) => {
        await query(manager, add(first));
        arrived += 1;
        if (arrived >= 2) meet();
        await met;
        await query(manager, add(second));
      });
    return Promise.allSettled([work(1, 2), work(2, 1)]);
  }

  it('runs again what the database gave up to resolve a deadlock', async () => {
    const results = await collide(transact);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(await query(source, 'SELECT value FROM counters')).toEqual([{ value: 2 }, { value: 2 }]);
  });

  it('is needed: without it one of the two fails', async () => {
    const results = await collide((database, work) => database.transaction(work));
    expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('hands on every other error at once', async () => {
    let runs = 0;
    const work = transact(source, (manager) => {
      runs += 1;
      return query(manager, 'INSERT INTO counters VALUES (1)');
    });
    await expect(work).rejects.toThrow('duplicate key');
    expect(runs).toBe(1);
  });
});
