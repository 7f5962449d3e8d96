import { readFileSync } from 'node:fs';
import path from 'node:path';
import { mayImport } from './rooms';
import { filesOf, importsOf, resolveImport } from './source-tree';

type Graph = ReadonlyMap<string, readonly string[]>;

/**
 * Everything in a project's `src` that breaks the rules of the house, a sentence each. Specs are left out: they may
 * look at anything.
 */
export function faultsOf(projectRoot: string): string[] {
  const src = path.join(projectRoot, 'src');
  const graph = graphOf(src);
  return [
    ...[...graph].flatMap(([file, imports]) => imports.flatMap((target) => faultOfImport(projectRoot, file, target))),
    ...cyclesOf(graph).map((cycle) => `cycle: ${cycle.map((file) => path.relative(src, file)).join(' → ')}`),
    ...[...graph.keys()].flatMap((file) => faultsOfFile(src, file)),
  ];
}

function graphOf(src: string): Graph {
  const files = filesOf(src)
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
    .map((file) => path.join(src, file));
  return new Map(
    files.map((file) => [file, importsOf(file).flatMap((specifier) => resolveImport(file, specifier) ?? [])]),
  );
}

/** The first folder under `src`; undefined for the files of `src` itself, which put the rooms together. */
function roomOf(src: string, file: string): string | undefined {
  const parts = path.relative(src, file).split(path.sep);
  return parts.length > 1 ? parts[0] : undefined;
}

function faultOfImport(projectRoot: string, file: string, target: string): string[] {
  const src = path.join(projectRoot, 'src');
  const from = roomOf(src, file);
  const words = `${path.relative(src, file)} imports ${path.relative(src, target)}`;
  if (path.relative(src, target).startsWith('..')) {
    const migration = path.dirname(target) === path.join(projectRoot, 'migrations') && from === 'database';
    const version = target === path.join(projectRoot, 'package.json') && from === undefined;
    return migration || version ? [] : [`${words}, which is outside src`];
  }
  if (from === undefined) return [];
  const to = roomOf(src, target);
  const allowed = mayImport(from);
  if (allowed === undefined) return [`${from} is not in the table of rooms`];
  return to !== undefined && allowed.has(to) ? [] : [`${words}, and ${from} may not import ${to ?? 'the application'}`];
}

function faultsOfFile(src: string, file: string): string[] {
  const name = path.relative(src, file);
  return [
    ...(path.basename(file) === 'index.ts' ? [`${name} is a barrel file`] : []),
    ...(/\bforwardRef\b/.test(readFileSync(file, 'utf8')) ? [`${name} uses forwardRef`] : []),
  ];
}

/** One cycle for each import that leads back to a file which is still being visited, depth first. */
function cyclesOf(graph: Graph): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) {
      cycles.push([...trail.slice(trail.indexOf(file)), file]);
      return;
    }
    if (done.has(file)) return;
    for (const target of graph.get(file) ?? []) visit(target, [...trail, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
