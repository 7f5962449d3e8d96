import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import addFormats from 'ajv-formats';
import { isTree, type Tree } from './document';

const ajv = addFormats(new Ajv({ strict: true, allErrors: true }));

const compiled = new WeakMap<Tree, ValidateFunction>();

/** What OpenAPI says beside a schema, and what no validation needs. */
const annotations = new Set(['example', 'nullable']);

/** A schema of OpenAPI 3.0 as JSON Schema: `nullable` is a type there, and annotations mean nothing. */
function jsonSchema(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(jsonSchema);
  if (!isTree(value)) return value;
  const schema = Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !annotations.has(key))
      .map(([key, item]) => [key, key === 'properties' ? propertiesOf(item) : jsonSchema(item)]),
  );
  if (value.nullable !== true) return schema;
  return {
    ...schema,
    type: [value.type, 'null'],
    ...(Array.isArray(value.enum) ? { enum: [...(value.enum as unknown[]), null] } : {}),
  };
}

/** Names of properties are no keywords. */
function propertiesOf(value: unknown): Tree {
  return Object.fromEntries(Object.entries(isTree(value) ? value : {}).map(([name, item]) => [name, jsonSchema(item)]));
}

/** What is wrong with a value by a schema of OpenAPI 3.0, its references resolved; empty when nothing is. */
export function problemsBy(schema: Tree, value: unknown): string[] {
  const validate = compiled.get(schema) ?? ajv.compile(jsonSchema(schema) as object);
  compiled.set(schema, validate);
  validate(value);
  return (validate.errors ?? []).map(({ instancePath, message }: ErrorObject) => `${instancePath} ${message ?? ''}`);
}
