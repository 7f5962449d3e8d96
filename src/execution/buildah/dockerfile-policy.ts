import { createHash } from 'node:crypto';
import { BuildFailure } from '../image-builder';
import { disguisedFlags, findFlags, longestFlag } from './flags';

/** What of a Dockerfile, or of what a base image adds to it, is looked at before the engine sees it. */
export interface PolicySource {
  /** How messages begin, such as `Dockerfile "a/Dockerfile"`. */
  readonly name: string;
  readonly text: string;
  /** Of the engine: major, minor, patch. */
  readonly version: readonly number[];
}

/** A file or directory of the build's context that a step mounts. */
export interface ContextMount {
  readonly line: number;
  readonly source: string;
}

/** What the steps mount, on an engine that is not corrected; on others nothing is asked. */
export interface PlannedMounts {
  readonly sources: ContextMount[];
  /** Their paths among the caches of the project. */
  readonly caches: string[];
}

type Options = readonly (readonly [key: string, value: string])[];

/** Releases that have all the corrections below; every one from the last on has them too. */
const correctedPatches: readonly (readonly [number, number, number])[] = [
  [1, 37, 6],
  [1, 38, 1],
];
const needs = 'buildah 1.38.1 or newer on the worker';

/**
 * Refuses what would lead out of the build on an engine of this version, and what no engine of ours shall be asked for.
 * @returns what has yet to be looked at
 * @throws BuildFailure with file, line and reason.
 */
export function checkPolicy({ name, text, version }: PolicySource): PlannedMounts {
  const refuse = (line: number, what: string): never => {
    throw new BuildFailure(`${name} line ${line}: ${what}.`);
  };
  for (const { line, key, value } of directives(text)) {
    if (
      key === 'syntax' &&
      !/^(?:docker\.io\/)?docker\/dockerfile(?::\w[\w.-]*)?(?:@sha256:[0-9a-f]{64})?$/.test(value)
    ) {
      refuse(
        line,
        `"# syntax=${value}" is not allowed: only docker/dockerfile, with or without a tag and a digest, is`,
      );
    }
  }
  for (const { line, value } of findFlags(text, 'security')) {
    if (/^insecure$/i.test(value)) refuse(line, '--security=insecure is not allowed');
  }
  const mounts: PlannedMounts = { sources: [], caches: [] };
  if (isCorrected(version)) return mounts;
  for (const { line, value } of disguisedFlags(text)) {
    refuse(
      line,
      `${value}: a flag whose name has variables or quotes cannot be checked before the build; that needs ${needs}`,
    );
  }
  for (const { line, value } of findFlags(text, 'mount')) {
    const options = read(value);
    const danger = dangerOf(value, options);
    if (danger !== null) refuse(line, `--mount=${value}: ${danger}; that needs ${needs}`);
    const types = valuesOf(options, 'type');
    if (types.length === 0 || types.includes('bind')) {
      mounts.sources.push(...valuesOf(options, 'source', 'src').map((source) => ({ line, source })));
    }
    if (types.includes('cache')) mounts.caches.push(...cachesOf(options));
  }
  return mounts;
}

/**
 * The directory, of the project's, in which a build finds its caches. An engine that is not corrected would follow a link
 * that an earlier step, or an earlier build, has put into one cache at the place of another: so none of them lies in
 * another, and builds share them only with those that have the same ones.
 * @throws BuildFailure when one lies in another
 */
export function cacheDirectory(caches: readonly string[], version: readonly number[]): string {
  if (isCorrected(version)) return 'all';
  const sorted = [...new Set(caches)].sort();
  for (const inner of sorted) {
    const outer = sorted.find((each) => inner.startsWith(`${each}/`));
    if (outer === undefined) continue;
    throw new BuildFailure(
      `--mount=type=cache: the cache "${inner}" lies in the cache "${outer}", where a link could lead it to directories of the host; give one of them an id of its own, or use ${needs}`,
    );
  }
  return createHash('sha256').update(sorted.join('\n')).digest('hex').slice(0, 32);
}

/** The paths that the engine makes of the id of a cache or, without one, of its target. */
function cachesOf(options: Options): string[] {
  const ids = valuesOf(options, 'id').filter((id) => id !== '');
  const paths = ids.length > 0 ? ids : valuesOf(options, 'target', 'dst', 'destination');
  return paths.map((each) =>
    each
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/'),
  );
}

/** Why such a mount may lead out of the build on an engine that is not corrected; null when it does not. */
function dangerOf(mount: string, options: Options): string | null {
  if (mount.length >= longestFlag) return 'it is too long to be checked before the build';
  if (mount.includes('$')) return 'its variables cannot be checked before the build';
  if (/["'\\`]/.test(mount)) return 'its quotes cannot be checked before the build';
  if (valuesOf(options, 'from').length > 0) return 'a link in that image could show files of the host (CVE-2024-1753)';
  if (valuesOf(options, 'bind-propagation').length > 0) return 'it could mount directories of the host (CVE-2024-9407)';
  const paths = valuesOf(options, 'id', 'target', 'dst', 'destination', 'source', 'src');
  if (paths.some((each) => each.split('/').includes('..'))) {
    return '".." could lead to directories of the host (CVE-2024-9675)';
  }
  return null;
}

function read(mount: string): Options {
  return mount.split(',').map((option) => {
    const [key = '', ...value] = option.split('=');
    return [key.trim().toLowerCase(), value.join('=').trim()];
  });
}

function valuesOf(options: Options, ...keys: readonly string[]): string[] {
  return options.filter(([key]) => keys.includes(key)).map(([, value]) => value);
}

/** Whether an engine has the corrections of all that is refused here by its version. */
function isCorrected([major = 0, minor = 0, patch = 0]: readonly number[]): boolean {
  const newest = correctedPatches.at(-1) ?? [0, 0, 0];
  const after = [major - newest[0], minor - newest[1], patch - newest[2]].find((difference) => difference !== 0) ?? 0;
  return after >= 0 || correctedPatches.some((each) => each[0] === major && each[1] === minor && patch >= each[2]);
}

/** `# key=value` at the beginning of a file, up to the first line that is something else. */
function directives(text: string): { readonly line: number; readonly key: string; readonly value: string }[] {
  const found: { line: number; key: string; value: string }[] = [];
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (index === 0 && line.startsWith('#!')) continue;
    const [, key, value] = /^\s*(?:#|\/\/)\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/.exec(line) ?? [];
    if (key === undefined || value === undefined) break;
    found.push({ line: index + 1, key: key.toLowerCase(), value });
  }
  return found;
}
