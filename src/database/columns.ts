import type { DataSource, EntityMetadata, EntityTarget, ObjectLiteral } from 'typeorm';

const known = new WeakMap<EntityMetadata, Map<string, string>>();

/**
 * The columns of an entity for the SELECT or RETURNING of hand-written SQL, named as the entity's properties are:
 * a raw row then has the shape of the entity, and the entity stays the one list of columns.
 */
export function columnsOf<Entity extends ObjectLiteral>(
  source: DataSource,
  entity: EntityTarget<Entity>,
  alias: string,
): string {
  const metadata = source.getMetadata(entity);
  const ofEntity = known.get(metadata) ?? new Map<string, string>();
  known.set(metadata, ofEntity);
  const columns = ofEntity.get(alias) ?? listed(metadata, alias);
  ofEntity.set(alias, columns);
  return columns;
}

function listed({ columns }: EntityMetadata, alias: string): string {
  return columns.map(({ databaseName, propertyName }) => `${alias}.${databaseName} AS "${propertyName}"`).join(', ');
}
