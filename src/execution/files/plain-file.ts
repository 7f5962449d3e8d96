import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';

/**
 * Opens a file that an engine or a build left for us, which may be anything if a build broke out of its engine: a link
 * to a file that only we can read is not followed, and a pipe, at which reading would hang, is refused.
 * @throws Error when it is no plain file.
 */
export async function openPlainFile(file: string): Promise<FileHandle> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if ((await handle.stat()).isFile()) return handle;
    throw new Error(`"${file}" is no plain file.`);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Reads such a file; null when it has more than `mostBytes`. */
export async function readPlainFile(file: string, mostBytes: number): Promise<string | null> {
  const handle = await openPlainFile(file);
  try {
    const buffer = Buffer.alloc(Math.min(mostBytes, (await handle.stat()).size) + 1);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
    return bytesRead > mostBytes ? null : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}
