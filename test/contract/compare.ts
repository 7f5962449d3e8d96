import { isDeepStrictEqual } from 'node:util';
import {
  isTree,
  listOf,
  type Operation,
  operationsOf,
  securityOf,
  type Tree,
  treeAt,
} from '../support/openapi/document';

/** What must be the same on both sides, absent included. */
const exact = ['type', 'format', 'nullable', 'default', 'minimum', 'maximum', 'minLength', 'maxLength', 'pattern'];

/** Limits that product.md adds to the contract: the place, and the keyword. */
const added = new Set(['cancelBuild body.reason maxLength']);

/**
 * Says in which ways a document does not hold what the contract promises. It may have more operations, optional
 * parameters, properties and answers, but nothing less and nothing else. Both come with their references resolved.
 */
export function deviations(contract: Tree, ours: Tree): string[] {
  const mine = new Map(operationsOf(ours).map((operation) => [`${operation.method} ${operation.path}`, operation]));
  const found: string[] = [];
  for (const theirs of operationsOf(contract)) {
    const name = `${theirs.method} ${theirs.path}`;
    const operation = mine.get(name);
    if (operation === undefined) found.push(`${name} is missing`);
    else found.push(...ofOperation(theirs, operation), ...ofSecurity(contract, theirs, ours, operation));
  }
  const schemas = treeAt(contract, 'components', 'schemas');
  for (const [name, schema] of Object.entries(schemas)) {
    const counterpart = treeAt(ours, 'components', 'schemas')[name];
    if (counterpart === undefined) found.push(`the schema ${name} is missing`);
    else found.push(...ofSchema(name, treeAt(schema), treeAt(counterpart)));
  }
  return [...found, ...ofSchemes(contract, ours)];
}

function unequal(place: string, theirs: unknown, ours: unknown): string[] {
  if (isDeepStrictEqual(theirs, ours)) return [];
  return [`${place} is ${JSON.stringify(ours)} instead of ${JSON.stringify(theirs)}`];
}

function ofOperation({ id, docs: theirs }: Operation, { docs: ours }: Operation): string[] {
  return [
    ...unequal(`${id} operationId`, theirs.operationId, ours.operationId),
    ...unequal(`${id} summary`, theirs.summary, ours.summary),
    ...unequal(`${id} tags`, theirs.tags, ours.tags),
    ...ofParameters(id, listOf(theirs.parameters), listOf(ours.parameters)),
    ...ofBody(id, treeAt(theirs.requestBody), treeAt(ours.requestBody)),
    ...ofResponses(id, treeAt(theirs.responses), treeAt(ours.responses)),
  ];
}

function ofParameters(id: string, theirs: readonly unknown[], ours: readonly unknown[]): string[] {
  const keyed = (list: readonly unknown[]): Map<string, Tree> =>
    new Map(list.map((item) => [`${id} ${String(treeAt(item).in)}.${String(treeAt(item).name)}`, treeAt(item)]));
  const mine = keyed(ours);
  const known = keyed(theirs);
  const found = [...mine]
    .filter(([place, parameter]) => !known.has(place) && parameter.required === true)
    .map(([place]) => `${place} is required, but not in the contract`);
  for (const [place, parameter] of known) {
    const counterpart = mine.get(place);
    if (counterpart === undefined) {
      found.push(`${place} is missing`);
      continue;
    }
    found.push(...unequal(`${place} required`, parameter.required ?? false, counterpart.required ?? false));
    found.push(...ofSchema(place, treeAt(parameter.schema), treeAt(counterpart.schema)));
  }
  return found;
}

function ofBody(id: string, theirs: Tree, ours: Tree): string[] {
  if (Object.keys(theirs).length === 0) return ours.required === true ? [`${id} body is required`] : [];
  return [
    ...unequal(`${id} body required`, theirs.required ?? false, ours.required ?? false),
    ...ofContent(`${id} body`, treeAt(theirs.content), treeAt(ours.content)),
  ];
}

function ofResponses(id: string, theirs: Tree, ours: Tree): string[] {
  return Object.entries(theirs).flatMap(([status, response]) => {
    const counterpart = ours[status];
    if (!isTree(counterpart)) return [`${id} ${status} is missing`];
    return ofContent(`${id} ${status}`, treeAt(response, 'content'), treeAt(counterpart, 'content'));
  });
}

function ofContent(place: string, theirs: Tree, ours: Tree): string[] {
  if (Object.keys(theirs).length === 0 && Object.keys(ours).length > 0) return [`${place} has content`];
  return Object.entries(theirs).flatMap(([type, media]) => {
    const counterpart = ours[type];
    if (!isTree(counterpart)) return [`${place} ${type} is missing`];
    const examples = Object.entries(treeAt(media, 'examples'));
    return [
      ...ofSchema(place, treeAt(media, 'schema'), treeAt(counterpart, 'schema')),
      ...examples.flatMap(([name, example]) =>
        unequal(`${place} example ${name}`, example, treeAt(counterpart, 'examples')[name]),
      ),
      ...lacking(`${place} example`, treeAt(media, 'example'), counterpart.example),
    ];
  });
}

/** An example of ours may show more fields. */
function lacking(place: string, theirs: Tree, ours: unknown): string[] {
  return Object.entries(theirs).flatMap(([key, value]) => unequal(`${place}.${key}`, value, treeAt(ours)[key]));
}

function ofSchema(place: string, theirs: Tree, ours: Tree): string[] {
  const found = exact
    .filter((keyword) => theirs[keyword] !== undefined || !added.has(`${place} ${keyword}`))
    .flatMap((keyword) => unequal(`${place} ${keyword}`, theirs[keyword] ?? null, ours[keyword] ?? null));
  found.push(...unequal(`${place} enum`, sorted(theirs.enum), sorted(ours.enum)));
  const properties = treeAt(theirs.properties);
  const required = listOf(ours.required).filter((name) => Object.hasOwn(properties, String(name)));
  found.push(...unequal(`${place} required`, sorted(theirs.required), sorted(required)));
  for (const [name, schema] of Object.entries(properties)) {
    const counterpart = treeAt(ours.properties)[name];
    if (counterpart === undefined) found.push(`${place}.${name} is missing`);
    else found.push(...ofSchema(`${place}.${name}`, treeAt(schema), treeAt(counterpart)));
  }
  if (isTree(theirs.items)) found.push(...ofSchema(`${place}[]`, theirs.items, treeAt(ours.items)));
  return [...found, ...ofAdditional(`${place}.*`, theirs.additionalProperties, ours.additionalProperties)];
}

function ofAdditional(place: string, theirs: unknown, ours: unknown): string[] {
  return isTree(theirs) && isTree(ours) ? ofSchema(place, theirs, ours) : unequal(place, theirs, ours);
}

function sorted(list: unknown): string[] {
  return listOf(list).map(String).sort();
}

function ofSecurity(contract: Tree, theirs: Operation, document: Tree, ours: Operation): string[] {
  return unequal(`${theirs.id} security`, securityOf(contract, theirs), securityOf(document, ours));
}

function ofSchemes(contract: Tree, ours: Tree): string[] {
  return Object.entries(treeAt(contract, 'components', 'securitySchemes')).flatMap(([name, scheme]) => {
    const counterpart = treeAt(ours, 'components', 'securitySchemes', name);
    return ['type', 'scheme', 'bearerFormat'].flatMap((key) =>
      unequal(`security scheme ${name} ${key}`, treeAt(scheme)[key], counterpart[key]),
    );
  });
}
