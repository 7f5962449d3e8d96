import { readFile } from 'node:fs/promises';
import type { Credential } from '../../secrets/secret';
import { basicAuth } from '../build-secrets';
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

/** Whose credentials a build may use. */
export interface RegistryAccess {
  /** The operator's file; null: there is none. */
  readonly authFile: string | null;
  /** The repositories for which the operator's may be used. */
  readonly prefixes: readonly string[];
  /** The project's own, which come first. */
  readonly own: readonly Credential[];
}

/**
 * The credentials for an image: the project's own with the longest scope that the repository lies in, else the
 * operator's, as far as the prefixes grant them. The entry is written for the repository alone, so that the engine
 * cannot use it for another one of the same registry.
 * @throws Error when the operator's file cannot be read.
 */
export async function authFor(access: RegistryAccess, image: ImageName): Promise<RegistryAuth> {
  const [own] = access.own
    .filter(({ scope }) => isGranted(image.repository, [scope]))
    .sort((a, b) => b.scope.length - a.scope.length);
  if (own !== undefined) return { auths: { [image.repository]: { auth: basicAuth(own) } } };
  return operatorsAuth(access, image);
}

async function operatorsAuth(
  { authFile, prefixes }: RegistryAccess,
  { repository, registry }: ImageName,
): Promise<RegistryAuth> {
  if (authFile === null || !isGranted(repository, prefixes)) return { auths: {} };
  const operators = await readAuthFile(authFile);
  const key = namesFor(repository, registry).find((name) => Object.hasOwn(operators.auths, name));
  return { auths: key === undefined ? {} : { [repository]: operators.auths[key] } };
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
