import { readdir, readlink, stat, statfs } from 'node:fs/promises';
import path from 'node:path';

/** tmpfs (statfs(2)): what is in it is memory. */
const memoryType = 0x0102_1994;

/**
 * What files take that have no name any more and are kept by processes which have them open or mapped, in bytes. A process
 * that is not ours to look into, or has ended, keeps nothing.
 */
export async function unlinkedBytes(pids: readonly number[]): Promise<number> {
  const sizes = new Map<string, number>();
  for (const pid of pids) {
    for (const list of ['fd', 'map_files']) {
      const directory = path.join('/proc', String(pid), list);
      for (const name of await readdir(directory).catch(() => [])) {
        const size = await unlinkedSize(path.join(directory, name)).catch(() => null);
        if (size !== null) sizes.set(size.file, size.bytes);
      }
    }
  }
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

async function unlinkedSize(link: string): Promise<{ readonly file: string; readonly bytes: number } | null> {
  if (!(await readlink(link)).endsWith(' (deleted)')) return null;
  const { dev, ino, blocks, nlink } = await stat(link);
  if (nlink > 0 || (await statfs(link)).type === memoryType) return null;
  return { file: `${dev} ${ino}`, bytes: blocks * 512 };
}
