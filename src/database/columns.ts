import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';

/**
 * The columns of an entity for the SELECT or RETURNING of hand-written SQL, named as the entity's properties are:
 * a raw row then has the shape of the entity, and the entity stays the one list of columns.
 */
export function columnsOf<Entity extends ObjectLiteral>(
  source: DataSource,
  entity: EntityTarget<Entity>,
  alias: string,
): string {
  return source
    .getMetadata(entity)
    .columns.map((column) => `${alias}.${column.databaseName} AS "${column.propertyName}"`)
    .join(', ');
}
