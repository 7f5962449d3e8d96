import { listOf, type Tree, treeAt } from './document';

const nul = 'a\0b';
const halfSurrogate = 'a\ud800b';

/** JSON values that a field of a body must refuse by its own schema. */
export function badJson(schema: Tree): unknown[] {
  const nullish = schema.nullable === true ? [] : [null];
  switch (schema.type) {
    case 'string':
      return [5, true, [], ['x'], {}, { x: 1 }, nul, halfSurrogate, ...nullish, ...badTexts(schema)];
    case 'integer':
    case 'number':
      return ['x', '5', '', true, [], [5], {}, Number.NaN, 1.5, 1e300, ...nullish, ...badNumbers(schema)];
    case 'boolean':
      return ['true', '', 0, 1, [], {}, ...nullish];
    case 'array':
      return ['x', 5, true, {}, [5], [null], [[]], [nul], ...nullish, ...badLists(schema)];
    default:
      return ['x', '', 5, true, [], ['x'], ...nullish, ...badObjects(schema)];
  }
}

/** A longer request line is refused by HTTP itself, without a word about the parameter. */
const longestInLine = 10_000;

/** Texts that a parameter of a query must refuse. */
export function badQuery(schema: Tree): string[] {
  const texts = schema.type === 'integer' ? ['', 'x', '1.5', '0x10', '1e3', ' 1', '+1', 'NaN', '9'.repeat(400)] : [];
  return [...texts, ...badNumbers(schema).map(String), ...badTexts(schema), nul, 'true', '[]', '{}', '💥'].filter(
    ({ length }) => length <= longestInLine,
  );
}

function badNumbers({ minimum, maximum }: Tree): number[] {
  return [
    ...(typeof minimum === 'number' ? [minimum - 1, -1e15] : []),
    ...(typeof maximum === 'number' ? [maximum + 1, 1e15] : []),
  ];
}

function badTexts({ type, minLength, maxLength, enum: words, format }: Tree): string[] {
  if (type !== 'string') return [];
  return [
    ...(typeof minLength === 'number' && minLength > 0 ? ['x'.repeat(minLength - 1)] : []),
    ...(typeof maxLength === 'number' ? ['x'.repeat(maxLength + 1), 'x'.repeat(100_000)] : []),
    ...(words === undefined ? [] : ['', 'other', listOf(words).join(',')]),
    ...(format === 'uuid' ? ['', 'x', '550e8400-e29b-41d4-a716-44665544000', '550e8400e29b41d4a716446655440000'] : []),
    ...(format === 'uuid' ? [`${uuid}\n`, ` ${uuid}`, `{${uuid}}`, 'x'.repeat(10_000)] : []),
  ];
}

const uuid = '550e8400-e29b-41d4-a716-446655440000';

function badLists({ maxItems, items }: Tree): unknown[] {
  const tooMany = typeof maxItems === 'number' ? [Array.from({ length: maxItems + 1 }, () => 'x')] : [];
  return [...tooMany, ...badTexts(treeAt(items)).map((text) => [text])];
}

/** A map of texts, or an object with properties of its own. */
function badObjects({ additionalProperties, properties }: Tree): unknown[] {
  const values = [5, null, [], {}, nul, halfSurrogate];
  const map = additionalProperties === undefined ? [] : values.map((value) => ({ NAME: value }));
  const proto: unknown = JSON.parse('{"__proto__": {"x": "y"}}');
  return [...map, proto, { constructor: 'x' }, { prototype: 'x' }, ...(properties === undefined ? [] : [{}])];
}

/** Whether the schema of a field of a request says how long its texts may be. */
export function isBounded({ type, maxLength, enum: words, format, items, additionalProperties }: Tree): boolean {
  if (type === 'array') return isBounded(treeAt(items));
  if (type !== 'string' || additionalProperties !== undefined) return true;
  return maxLength !== undefined || words !== undefined || format === 'uuid';
}
