import { isIPv6 } from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type GitPolicy,
  parseRepositoryUrl,
  type RepositoryServer,
  realRepositoryPath,
  repositoryUrlProblem,
  withoutCredentials,
} from '../../projects/git-policy';
import type { Credential } from '../../secrets/secret';
import { BuildFailure } from '../image-builder';
import { withoutUserInfo } from './git-credential';
import { publicAddressesOf } from './public-address';

export interface GitRemotePolicy extends GitPolicy {
  /** Where the commands that we launch see `allowedFileRoot`; by default at the same path. */
  readonly fileRootInside?: string;
  /** `host:port` of each server that may be asked although its address is private. */
  readonly allowedPrivateHosts?: readonly string[];
}

/** A repository that may be fetched from. */
export interface GitRemote {
  /** What git is given; over HTTP without credentials. */
  readonly url: string;
  /** Over HTTP: what git sends to this server alone. */
  readonly credential: Credential | null;
  /** What people see: the project's URL without credentials. */
  readonly shownUrl: string;
  readonly protocol: string;
  /** Of a file: its path as launched commands see it. */
  readonly path: string | null;
  /** The server, and the one address by which it may be reached; null for a file and for a server that is trusted. */
  readonly server: { readonly host: string; readonly port: number; readonly address: string } | null;
}

/**
 * Decides whether a build may fetch from a repository now; what held when its project was saved may hold no longer.
 * @throws BuildFailure that says why it may not.
 */
export async function admitRemote(repositoryUrl: string, policy: GitRemotePolicy): Promise<GitRemote> {
  const shownUrl = withoutCredentials(repositoryUrl);
  const problem = repositoryUrlProblem(repositoryUrl, policy);
  const address = parseRepositoryUrl(repositoryUrl);
  if (problem !== null || address === null) {
    throw new BuildFailure(`The repository URL ${shownUrl} is refused: it ${problem ?? 'cannot be read'}.`);
  }
  const { protocol } = address;
  if (address.server === null) {
    const inside = insidePath(address.filePath, policy);
    return { url: pathToFileURL(inside).href, credential: null, shownUrl, protocol, path: inside, server: null };
  }
  const server = await admitServer(address.server, shownUrl, policy.allowedPrivateHosts ?? []);
  // This protocol alone has no setting that leads a name to an address.
  const url =
    protocol === 'git' && server !== null
      ? `git://${inUrl(server.address)}:${server.port}${address.server.path}`
      : repositoryUrl;
  return { ...withoutUserInfo(url), shownUrl, protocol, path: null, server };
}

/** Resolves the server's name once and for all: an answer that changes later leads nowhere (DNS rebinding). */
async function admitServer(
  { host, port }: RepositoryServer,
  shownUrl: string,
  allowedPrivateHosts: readonly string[],
): Promise<GitRemote['server']> {
  if (allowedPrivateHosts.includes(`${host}:${port}`.toLowerCase())) return null;
  const bare = host.replace(/^\[|\]$/g, '');
  const addresses = await publicAddressesOf(bare).catch((error: unknown) => {
    throw new BuildFailure(`Cannot reach ${shownUrl}: there is no address for the host ${host}.`, { cause: error });
  });
  const [address] = addresses;
  if (address === undefined) {
    throw new BuildFailure(
      `The host ${host} of the repository has a private address; the operator can allow it with BUILD_EGRESS_ALLOW=${host}:${port}.`,
    );
  }
  return { host: bare, port, address };
}

function inUrl(address: string): string {
  return isIPv6(address) ? `[${address}]` : address;
}

function insidePath(filePath: string, { allowedFileRoot = '', fileRootInside }: GitRemotePolicy): string {
  const real = realRepositoryPath(filePath, allowedFileRoot);
  const realRoot = realRepositoryPath(allowedFileRoot, allowedFileRoot);
  if (real === null || realRoot === null)
    throw new BuildFailure('The repository was moved out of the allowed directory.');
  return fileRootInside === undefined ? real : path.join(fileRootInside, path.relative(realRoot, real));
}
