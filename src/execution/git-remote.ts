import path from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type GitPolicy,
  parseRepositoryUrl,
  realRepositoryPath,
  repositoryUrlProblem,
  withoutCredentials,
} from '../projects/git-policy';
import { BuildFailure } from './image-builder';

export interface GitRemotePolicy extends GitPolicy {
  /** Where the commands that we launch see `allowedFileRoot`; by default at the same path. */
  readonly fileRootInside?: string;
}

/** A repository that may be fetched from. */
export interface GitRemote {
  /** What git is given. */
  readonly url: string;
  /** What people see: the project's URL without credentials. */
  readonly shownUrl: string;
  readonly protocol: string;
  /** Of a file: its path as launched commands see it. */
  readonly path: string | null;
}

/**
 * Decides whether a build may fetch from a repository now; what held when its project was saved may hold no longer.
 * @throws BuildFailure that says why it may not.
 */
export function admitRemote(repositoryUrl: string, policy: GitRemotePolicy): GitRemote {
  const shownUrl = withoutCredentials(repositoryUrl);
  const problem = repositoryUrlProblem(repositoryUrl, policy);
  const address = parseRepositoryUrl(repositoryUrl);
  if (problem !== null || address === null) {
    throw new BuildFailure(`The repository URL ${shownUrl} is refused: it ${problem ?? 'cannot be read'}.`);
  }
  const { protocol, filePath } = address;
  if (filePath === null) return { url: repositoryUrl, shownUrl, protocol, path: null };
  const inside = insidePath(filePath, policy);
  return { url: pathToFileURL(inside).href, shownUrl, protocol, path: inside };
}

function insidePath(filePath: string, { allowedFileRoot = '', fileRootInside }: GitRemotePolicy): string {
  const real = realRepositoryPath(filePath, allowedFileRoot);
  const realRoot = realRepositoryPath(allowedFileRoot, allowedFileRoot);
  if (real === null || realRoot === null)
    throw new BuildFailure('The repository was moved out of the allowed directory.');
  return fileRootInside === undefined ? real : path.join(fileRootInside, path.relative(realRoot, real));
}
