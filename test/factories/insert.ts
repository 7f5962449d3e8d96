import type { Api } from '../support/api';

/** Inserts one row and returns it as the database has it. */
export async function insert<Row extends object>(
  api: Api,
  table: string,
  values: Readonly<Record<string, unknown>>,
): Promise<Row> {
  const columns = Object.keys(values);
  const places = columns.map((_, index) => `$${index + 1}`);
  const [row] = await api.sql<Row>(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${places.join(', ')}) RETURNING *`,
    Object.values(values),
  );
  if (row === undefined) throw new Error(`${table} took no row`);
  return row;
}
