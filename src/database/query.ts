import { Pool } from 'pg';
import { type DataSource, EntityManager, QueryFailedError } from 'typeorm';
import { PostgresDriver } from 'typeorm/driver/postgres/PostgresDriver';

/**
 * Runs one SQL statement and returns its rows, also those of `UPDATE … RETURNING` and `DELETE … RETURNING`, for which
 * TypeORM's own `query` answers `[rows, count]` instead. With the manager of a transaction it runs inside that one; else on
 * the next free connection of the pool, without TypeORM's query runner, which costs as much as the statement.
 *
 * `Row` is the caller's word for what the statement selects. Note how `pg` reads: `bigint` and so `count(*)` arrive as
 * strings (write `count(*)::int`), `numeric` too, `timestamptz` as `Date`, `jsonb` parsed.
 * @throws QueryFailedError by the database; the pool's own errors when there is no connection
 */
export async function query<Row extends object>(
  database: DataSource | EntityManager,
  sql: string,
  params: readonly unknown[] = [],
): Promise<Row[]> {
  if (!(database instanceof EntityManager)) return queryPool(poolOf(database), sql, params);
  if (database.queryRunner === undefined) return queryPool(poolOf(database.dataSource), sql, params);
  const result: { records: Row[] } = await database.queryRunner.query(sql, [...params], true);
  return result.records;
}

async function queryPool<Row extends object>(pool: Pool, sql: string, params: readonly unknown[]): Promise<Row[]> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error): void => {
    broken = error;
  };
  client.on('error', onError);
  try {
    const { rows } = await client.query<Row>(sql, [...params]);
    return rows;
  } catch (error) {
    throw error instanceof Error ? new QueryFailedError(sql, [...params], error) : error;
  } finally {
    client.off('error', onError);
    client.release(broken);
  }
}

function poolOf({ driver }: DataSource): Pool {
  if (!(driver instanceof PostgresDriver)) throw new Error('The database is no PostgreSQL');
  const pool: unknown = driver.master;
  if (!(pool instanceof Pool)) throw new Error('Driver not Connected');
  return pool;
}
