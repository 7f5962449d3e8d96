import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';

/** A JSON object of which nothing is known yet. */
export type Tree = Readonly<Record<string, unknown>>;

export function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object at a path of keys; an empty one where there is none. */
export function treeAt(value: unknown, ...keys: readonly string[]): Tree {
  let at = value;
  for (const key of keys) at = isTree(at) ? at[key] : undefined;
  return isTree(at) ? at : {};
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A copy of a document in which no `$ref` is left. Documents of ours have no circular ones. */
export function resolved(document: Tree): Tree {
  const resolve = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(resolve);
    if (!isTree(value)) return value;
    if (typeof value.$ref === 'string') return resolve(treeAt(document, ...value.$ref.split('/').slice(1)));
    const [only, ...more] = listOf(value.allOf);
    if (isTree(only) && more.length === 0) {
      const beside = Object.entries(value).filter(([key]) => key !== 'allOf');
      return { ...treeAt(resolve(only)), ...treeAt(resolve(Object.fromEntries(beside))) };
    }
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item)]));
  };
  return treeAt(resolve(document));
}

const contractFile = path.join(__dirname, '..', '..', 'contract', 'openapi.yaml');

/** The contract as it was handed to us, with every `$ref` resolved. */
export const contract = resolved(treeAt(parse(readFileSync(contractFile, 'utf8'))));

export const httpMethods = ['get', 'post', 'put', 'patch', 'delete'] as const;

/** One operation of a document. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly docs: Tree;
}

export function operationsOf(document: Tree): Operation[] {
  return Object.entries(treeAt(document, 'paths')).flatMap(([route, item]) =>
    httpMethods.flatMap((method) => {
      const docs = treeAt(item, method);
      if (Object.keys(docs).length === 0) return [];
      return [{ id: String(docs.operationId), method: method.toUpperCase(), path: route, docs }];
    }),
  );
}

/** The schemes that let a caller in, from the operation or else from the document; empty where none is asked for. */
export function securityOf(document: Tree, { docs }: Operation): string[] {
  return listOf(docs.security ?? document.security).flatMap((one) => Object.keys(treeAt(one)));
}
