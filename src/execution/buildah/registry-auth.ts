import { readFile } from 'node:fs/promises';
import type { ImageName } from './image-name';

/** The part of Docker's configuration file that holds credentials, by registry or by a prefix of repository names. */
export interface RegistryAuth {
  readonly auths: Readonly<Record<string, unknown>>;
}

/** True when the prefix is the repository or a parent of it: `reg/team` holds `reg/team/app`, not `reg/teammate`. */
export function isGranted(repository: string, prefixes: readonly string[]): boolean {
  return prefixes.some((prefix) => {
    const bare = prefix.replace(/\/+$/, '');
    return bare !== '' && (repository === bare || repository.startsWith(`${bare}/`));
  });
}

/**
 * The operator's credentials for exactly these repositories, as far as the prefixes grant them: each entry is written
 * for its repository alone, so that the engine cannot use it for another one of the same registry.
 * @throws Error when the operator's file cannot be read.
 */
export async function authFor(
  authFile: string | null,
  images: readonly ImageName[],
  prefixes: readonly string[],
): Promise<RegistryAuth> {
  const granted = images.filter(({ repository }) => isGranted(repository, prefixes));
  if (authFile === null || granted.length === 0) return { auths: {} };
  const operators = await readAuthFile(authFile);
  const entries = granted.flatMap(({ repository, registry }): [string, unknown][] => {
    const key = namesFor(repository, registry).find((name) => Object.hasOwn(operators.auths, name));
    return key === undefined ? [] : [[repository, operators.auths[key]]];
  });
  return { auths: Object.fromEntries(entries) };
}

/** Besides these an entry may have a user name and an address, which are words that a log may need. */
const secretNames = ['auth', 'password', 'identitytoken', 'registrytoken'];

/** Every secret of the operator's file, for the masking of logs. */
export async function registrySecrets(authFile: string): Promise<string[]> {
  const { auths } = await readAuthFile(authFile);
  return Object.values(auths).flatMap((entry) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const values = Object.entries(entry).flatMap(([name, value]: [string, unknown]) =>
      secretNames.includes(name) && typeof value === 'string' ? [value] : [],
    );
    const decoded = 'auth' in entry ? Buffer.from(String(entry.auth), 'base64').toString() : '';
    return [...values, decoded, decoded.slice(decoded.indexOf(':') + 1)].filter((value) => value !== '');
  });
}

/** How the operator may have named a repository's credentials, the most exact name first. */
function namesFor(repository: string, registry: string): string[] {
  const parts = repository.split('/');
  const parents = parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
  const hub = ['https://index.docker.io/v1/', 'index.docker.io', 'registry-1.docker.io'];
  return [...parents, `https://${registry}`, `http://${registry}`, ...(registry === 'docker.io' ? hub : [])];
}

async function readAuthFile(file: string): Promise<RegistryAuth> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : 'unknown';
    throw new Error(`REGISTRY_AUTH_FILE "${file}" cannot be read: ${reason}.`, { cause });
  });
  const content = parseJson(text);
  if (typeof content !== 'object' || content === null) {
    throw new Error(`REGISTRY_AUTH_FILE "${file}" holds no JSON object.`);
  }
  const auths = 'auths' in content ? content.auths : {};
  return { auths: typeof auths === 'object' && auths !== null ? { ...auths } : {} };
}

/** Undefined where it is no JSON: the parser's own error would quote secrets. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
