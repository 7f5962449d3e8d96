import path from 'node:path';
import { findFlags } from './flags';

/** What the engine is given of the secrets of a project. */
export interface MountedSecrets {
  /** Options of `buildah build`. */
  readonly args: readonly string[];
  /** The environment of the engine that the options name: from there its copies come into memory, never on a disk. */
  readonly env: Readonly<Record<string, string>>;
}

/** The secrets that the mounts of a Dockerfile name, and no others. */
export function mountedSecrets(dockerfile: string, secrets: ReadonlyMap<string, string>): MountedSecrets {
  const named = new Set([...findFlags(dockerfile, 'mount')].flatMap(({ value }) => namesIn(value)));
  const args: string[] = [];
  const env: Record<string, string> = {};
  for (const [name, value] of secrets) {
    if (!named.has(name)) continue;
    // Of our making, as a variable like PATH would mean something else to the engine.
    const variable = `IMAGE_FACTORY_SECRET_${args.length}`;
    args.push(`--secret=id=${name},env=${variable}`);
    env[variable] = value;
  }
  return { args, env };
}

/** The ids in a mount of the type `secret`; without one, the engine takes the last part of the target for it. */
function namesIn(mount: string): string[] {
  const options = mount.split(',').map((option): [string, string] => {
    const [key = '', ...value] = option.split('=');
    return [key.trim().toLowerCase(), value.join('=').trim()];
  });
  if (!options.some(([key, value]) => key === 'type' && value === 'secret')) return [];
  const valuesOf = (...keys: string[]): string[] =>
    options.filter(([key]) => keys.includes(key)).map(([, value]) => value);
  return [...valuesOf('id'), ...valuesOf('target', 'dst', 'destination').map((target) => path.basename(target))];
}
