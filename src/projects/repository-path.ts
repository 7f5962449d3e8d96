import path from 'node:path';

/** What is wrong with a path inside a repository, or null. It is relative and stays inside, whatever `..` it has. */
export function repositoryPathProblem(value: string): string | null {
  if (value.startsWith('/')) return 'must be relative to the root of the repository';
  if (/[\p{Cc}\\]/u.test(value)) return 'must not contain control characters or backslashes';
  const normal = path.posix.normalize(value);
  return normal === '..' || normal.startsWith('../') ? 'must not leave the repository' : null;
}
