import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** The project's root folder. */
export const root = path.resolve(__dirname, '../..');

const madeByTools = new Set(['.git', 'node_modules', 'dist', 'data', 'coverage']);

/** All files of a tree, relative to it, without what tools make. */
export function filesOf(tree: string): string[] {
  return readdirSync(tree, { withFileTypes: true }).flatMap((entry) => {
    if (madeByTools.has(entry.name)) return [];
    if (!entry.isDirectory()) return [entry.name];
    return filesOf(path.join(tree, entry.name)).map((file) => path.join(entry.name, file));
  });
}

/** What a file imports in any form, types and re-exports among it, as it is written there. */
export function importsOf(file: string): string[] {
  return ts.preProcessFile(readFileSync(file, 'utf8'), true, true).importedFiles.map(({ fileName }) => fileName);
}

/** The file that a relative import means; undefined for a package's name. */
export function resolveImport(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  const plain = path.resolve(path.dirname(from), specifier);
  const candidates = [`${plain}.ts`, plain.replace(/\.js$/, '.ts'), path.join(plain, 'index.ts'), plain];
  return candidates.find((candidate) => path.extname(candidate) !== '' && existsSync(candidate)) ?? plain;
}
