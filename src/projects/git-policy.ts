import { realpathSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCode } from '../config/error-code';

/** Which repositories the operator allows. */
export interface GitPolicy {
  /** Some of `https`, `http`, `ssh` and `git`. */
  readonly allowedProtocols: readonly string[];
  /** The directory below which `file://` repositories are allowed; absent: none are. */
  readonly allowedFileRoot?: string;
}

/** What the policy has to know of a repository's address: of a file or of a server. */
export type RepositoryAddress = FileAddress | RemoteAddress;

interface FileAddress {
  readonly protocol: 'file';
  /** Absolute, symbolic links not resolved. */
  readonly filePath: string;
  readonly server: null;
}

interface RemoteAddress {
  /** `https`, `http`, `ssh` or `git`. */
  readonly protocol: string;
  readonly filePath: null;
  readonly server: RepositoryServer;
}

export interface RepositoryServer {
  /** A name or an address, an IPv6 one in brackets. */
  readonly host: string;
  /** The usual one of the protocol where the address names none. */
  readonly port: number;
  /** What stands behind host and port. */
  readonly path: string;
}

const longestUrl = 2_048;

// A name, an IPv4 address, or an IPv6 address in brackets; none can be taken for an option.
const host = '([A-Za-z0-9][A-Za-z0-9._-]*|\\[[0-9A-Fa-f:.]+\\])';
// Git itself knows no user in a URL of its own protocol.
const remoteUrl = new RegExp(`^(?:(https?|ssh)://(?:(?!-)[^/@?#]*@)?|(git)://)${host}(?::(\\d{1,5}))?(/[^/].*)$`);
// `user@host:path`: what looks like a port is a part of the path. Two colons would name a remote helper: `ext::command`.
const scpLike = new RegExp(`^[A-Za-z0-9_][A-Za-z0-9._-]*@${host}:((?!-|//|:).+)$`);
const usualPorts: Readonly<Record<string, number>> = { https: 443, http: 80, ssh: 22, git: 9418 };

const refNameRules: readonly (readonly [forbidden: RegExp, problem: string])[] = [
  [/^$/, 'must not be empty'],
  [/^-/, 'must not begin with "-"'],
  // Git counts bytes, so that it knows no control characters beyond ASCII.
  [/(?![\u0080-\u009f])\p{Cc}/u, 'must not contain control characters'],
  [/\p{Surrogate}/u, 'must be valid Unicode'],
  [/[ ~^:?*[\\]/, 'must not contain a space or one of ~ ^ : ? * [ \\'],
  [/\.\./, 'must not contain ".."'],
  [/@\{/, 'must not contain "@{"'],
  [/^\/|\/\/|\/$/, 'must not begin or end with "/" or contain "//"'],
  [/(?:^|\/)\./, 'must have no part that begins with "."'],
  [/\.lock(?:\/|$)/, 'must have no part that ends with ".lock"'],
  [/\.$/, 'must not end with "."'],
];

/**
 * What is wrong with a text as the short name of a branch or tag, or null. The rules are those of
 * git-check-ref-format(1) for `refs/heads/<name>`; besides, the name must not look like an option.
 */
export function refNameProblem(name: string): string | null {
  return refNameRules.find(([forbidden]) => forbidden.test(name))?.[1] ?? null;
}

/** What is wrong with a text as a repository's URL, or as a repository of this service, or null. */
export function repositoryUrlProblem(url: string, policy: GitPolicy): string | null {
  const address = parseRepositoryUrl(url);
  if (address === null)
    return 'must be a repository URL like https://host/path, ssh://user@host/path or user@host:path';
  const { protocol, filePath } = address;
  if (filePath === null) {
    return policy.allowedProtocols.includes(protocol)
      ? null
      : `must not use the protocol "${protocol}" on this service`;
  }
  if (policy.allowedFileRoot === undefined) return 'must not be a file on this service';
  return realRepositoryPath(filePath, policy.allowedFileRoot) === null
    ? 'must not be outside of the directory that this service allows for repositories'
    : null;
}

/** Takes an address apart; null for everything that is not plainly one: local paths, options, remote helpers. */
export function parseRepositoryUrl(url: string): RepositoryAddress | null {
  if (url.length > longestUrl || /[\s\p{Cc}\p{Surrogate}\\]|%[01][0-9a-f]|%7f/iu.test(url)) return null;
  if (/^file:\/\/\/[^/?#][^?#]*$/.test(url)) {
    try {
      return { protocol: 'file', filePath: fileURLToPath(url), server: null };
    } catch {
      return null;
    }
  }
  const [, usual, own, remoteHost, port, remotePath] = remoteUrl.exec(url) ?? [];
  const [, sshHost, sshPath] = scpLike.exec(url) ?? [];
  const protocol = usual ?? own ?? 'ssh';
  const found = { host: remoteHost ?? sshHost, path: remotePath ?? sshPath };
  if (found.host === undefined || found.path === undefined) return null;
  const server = { host: found.host, port: Number(port ?? usualPorts[protocol]), path: found.path };
  return { protocol, filePath: null, server };
}

/**
 * The path of a repository below the allowed root without symbolic links; null when it leads out of the root, or when
 * that cannot be seen. What does not exist is judged by the directory that would hold it.
 */
export function realRepositoryPath(filePath: string, allowedRoot: string): string | null {
  if (!isBelow(allowedRoot, filePath)) return null;
  const real = realPath(filePath);
  const root = realPath(allowedRoot);
  return real !== null && root !== null && isBelow(root, real) ? real : null;
}

/** Resolves the part of the path that exists; null when the rest cannot be seen. */
function realPath(filePath: string): string | null {
  try {
    return realpathSync(filePath);
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) return null;
    const parent = realPath(path.dirname(filePath));
    return parent === null ? null : path.join(parent, path.basename(filePath));
  }
}

function isBelow(root: string, inner: string): boolean {
  const relative = path.relative(root, inner);
  return relative !== '..' && !relative.startsWith('../') && !path.isAbsolute(relative);
}

/**
 * The URL as it may be shown: without a password, and over HTTP, where a user name may be a token, without that as
 * well.
 */
export function withoutCredentials(url: string): string {
  return url.replace(/^(https?:\/\/)[^/@]*@/, '$1***@').replace(/^(\w+:\/\/[^/@:]*):[^/@]*@/, '$1:***@');
}
