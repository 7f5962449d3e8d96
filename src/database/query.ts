import { type DataSource, EntityManager } from 'typeorm';

/**
 * Runs one SQL statement and returns its rows, also those of `UPDATE … RETURNING` and `DELETE … RETURNING`, for which
 * TypeORM's own `query` answers `[rows, count]` instead. With the manager of a transaction it runs inside that one.
 *
 * `Row` is the caller's word for what the statement selects. Note how `pg` reads: `bigint` and so `count(*)` arrive as
 * strings (write `count(*)::int`), `numeric` too, `timestamptz` as `Date`, `jsonb` parsed.
 */
export async function query<Row extends object>(
  database: DataSource | EntityManager,
  sql: string,
  params: readonly unknown[] = [],
): Promise<Row[]> {
  const dataSource = database instanceof EntityManager ? database.dataSource : database;
  const inTransaction = database instanceof EntityManager ? database.queryRunner : undefined;
  const runner = inTransaction ?? dataSource.createQueryRunner();
  try {
    const result: { records: Row[] } = await runner.query(sql, [...params], true);
    return result.records;
  } finally {
    if (inTransaction === undefined) await runner.release();
  }
}
