import { randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { hasCode } from '../../config/error-code';
import { openPlainFile } from '../files/plain-file';

/**
 * Moves the engine's archive to its place, whole or not at all, also from one file system to another. It is then the
 * service's own file and is on the disk. Until then its name begins with a dot and ends with ".part".
 * @param signal ends a copy that is under way
 * @throws Error when what the engine left under this name is no plain file.
 */
export async function keepArchive(from: string, to: string, signal?: AbortSignal): Promise<void> {
  const directory = path.dirname(to);
  await mkdir(directory, { recursive: true });
  const part = path.join(directory, `.${path.basename(to)}.${randomUUID()}.part`);
  try {
    try {
      await rename(from, part);
    } catch (error) {
      if (!hasCode(error, 'EXDEV')) throw error;
      await copy(from, part, signal);
    }
    const file = await openPlainFile(part);
    try {
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
  const parent = await open(directory);
  await parent.sync().finally(() => parent.close());
}

async function copy(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  const source = await openPlainFile(from);
  await pipeline(source.createReadStream(), createWriteStream(to, { flags: 'wx' }), { signal });
}
