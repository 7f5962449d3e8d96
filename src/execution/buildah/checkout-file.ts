import { lstat, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { BuildFailure } from '../image-builder';
import { isWithin } from '../files/is-within';

/**
 * Finds a file or directory of a checkout, symbolic links resolved.
 * @param what how the message names it, such as `Dockerfile`.
 * @throws BuildFailure when it is absent, of the wrong kind, or leaves the checkout by `..` or by a symbolic link.
 */
export async function findInCheckout(
  checkoutDir: string,
  relative: string,
  what: string,
  kind: 'file' | 'directory' | 'either',
): Promise<string> {
  const wanted = path.resolve(checkoutDir, relative);
  if (!isWithin(path.resolve(checkoutDir), wanted))
    throw new BuildFailure(`${what} "${relative}" leaves the repository`);
  const root = await realpath(checkoutDir);
  let found: string;
  try {
    found = await realpath(path.join(root, path.relative(path.resolve(checkoutDir), wanted)));
  } catch {
    throw new BuildFailure(`${what} "${relative}" does not exist in the repository`);
  }
  if (!isWithin(root, found)) throw new BuildFailure(`${what} "${relative}" leaves the repository by a symbolic link`);
  const entry = await stat(found);
  if ((kind !== 'directory' && entry.isFile()) || (kind !== 'file' && entry.isDirectory())) return found;
  throw new BuildFailure(`${what} "${relative}" is not a ${kind === 'either' ? 'file or directory' : kind}`);
}

/**
 * Looks at a file of a checkout that the engine would read if it is there, whatever it is. Null when it is not.
 * @throws BuildFailure when it is no file of the checkout, or larger than `mostBytes`.
 */
export async function checkOptionalFile(
  checkoutDir: string,
  relative: string,
  what: string,
  mostBytes: number,
): Promise<string | null> {
  const entry = await lstat(path.join(checkoutDir, relative)).catch(() => null);
  if (entry === null) return null;
  const found = await findInCheckout(checkoutDir, relative, what, 'file');
  const { size } = await stat(found);
  if (size > mostBytes) throw new BuildFailure(`${what} "${relative}" exceeds ${mostBytes / 1_024} KiB`);
  return found;
}
