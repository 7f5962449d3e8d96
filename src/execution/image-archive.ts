import { randomUUID } from 'node:crypto';
import { constants, copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from './error-code';

/**
 * Moves the engine's archive to its place, whole or not at all, also from one file system to another. It is then the
 * service's own file and is on the disk.
 */
export async function keepArchive(from: string, to: string): Promise<void> {
  const directory = path.dirname(to);
  await mkdir(directory, { recursive: true });
  const part = path.join(directory, `.${randomUUID()}.part`);
  try {
    try {
      await rename(from, part);
    } catch (error) {
      if (!hasCode(error, 'EXDEV')) throw error;
      await copyFile(from, part, constants.COPYFILE_FICLONE);
    }
    // What an engine leaves under this name may be a link to somewhere else: that is not followed.
    const file = await open(part, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      if (!(await file.stat()).isFile()) throw new Error('The engine wrote no image archive.');
      if (process.geteuid?.() === 0) await file.chown(0, process.getegid?.() ?? 0);
      await file.chmod(0o640);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, to);
  } finally {
    await rm(part, { force: true });
  }
  const parent = await open(directory, constants.O_RDONLY);
  await parent.sync().finally(() => parent.close());
}
