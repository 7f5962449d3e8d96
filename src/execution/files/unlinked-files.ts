import { open, readdir, readlink, stat, statfs } from 'node:fs/promises';
import path from 'node:path';

/** tmpfs (statfs(2)): what is in it is memory. */
const memoryType = 0x0102_1994;

/** A thousand processes of the usual kind have far less; more would take the worker's time. */
const most = { openFiles: 200_000, mapBytes: 256 * 1024 * 1024 };

/** What processes have open or mapped cannot be looked through, or not again and again; the message says why. */
export class Unmeasurable extends Error {
  public override readonly name = 'Unmeasurable';
}

/**
 * What files take that have no name any more and are kept by processes which have them open or mapped, in bytes. A process
 * that is not ours to look into, or has ended, keeps nothing. The threads of a process share what it has open.
 * @throws Unmeasurable; the signal's reason after an abort
 */
export async function unlinkedBytes(
  pids: readonly number[],
  signal: AbortSignal,
  limits: Readonly<typeof most> = most,
): Promise<number> {
  const sizes = new Map<string, number>();
  const left = { ...limits };
  for (const pid of pids) {
    signal.throwIfAborted();
    const own = path.join('/proc', String(pid));
    const directory = await living(own);
    const mappings = await deletedMappings(directory, left);
    // The kernel tells the sizes of mapped files by the first thread alone.
    if (mappings.length > 0 && directory !== own)
      throw new Unmeasurable('mapped files of threads that outlive their first');
    for (const link of [...(await openFiles(directory, left)), ...mappings]) {
      const size = await unlinkedSize(link).catch(() => null);
      if (size !== null) sizes.set(size.file, size.bytes);
    }
  }
  return [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
}

/** The directory of a process, or of a thread that goes on after its first one has ended. */
async function living(directory: string): Promise<string> {
  if ((await readdir(path.join(directory, 'fd')).catch(() => [])).length > 0) return directory;
  for (const thread of await readdir(path.join(directory, 'task')).catch(() => [])) {
    const ofThread = path.join(directory, 'task', thread);
    if ((await readdir(path.join(ofThread, 'fd')).catch(() => [])).length > 0) return ofThread;
  }
  return directory;
}

async function openFiles(directory: string, left: { openFiles: number }): Promise<string[]> {
  const names = await readdir(path.join(directory, 'fd')).catch(() => []);
  left.openFiles -= names.length;
  if (left.openFiles < 0) throw new Unmeasurable('too many open files');
  return names.map((name) => path.join(directory, 'fd', name));
}

/** By the list of all mappings: to ask for each one alone takes a hundred times as long. */
async function deletedMappings(directory: string, left: { mapBytes: number }): Promise<string[]> {
  const list = await open(path.join(directory, 'maps')).catch(() => null);
  if (list === null) return [];
  const links: string[] = [];
  let rest = '';
  try {
    for await (const piece of list.createReadStream({ encoding: 'latin1', autoClose: false })) {
      const text = String(piece);
      left.mapBytes -= text.length;
      if (left.mapBytes < 0) throw new Unmeasurable('too many mapped files');
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      const deleted = lines.filter((line) => line.endsWith(' (deleted)'));
      for (const line of deleted) links.push(path.join(directory, 'map_files', rangeOf(line)));
    }
  } catch (error) {
    if (error instanceof Unmeasurable) throw error;
  } finally {
    await list.close();
  }
  return links;
}

/** As `map_files` names it: without the zeros with which `maps` fills up. */
function rangeOf(line: string): string {
  const [range = ''] = line.split(' ', 1);
  return range.replace(/(^|-)0+(?=[0-9a-f])/g, '$1');
}

async function unlinkedSize(link: string): Promise<{ readonly file: string; readonly bytes: number } | null> {
  if (!(await readlink(link)).endsWith(' (deleted)')) return null;
  const { dev, ino, blocks, nlink } = await stat(link);
  if (nlink > 0 || (await statfs(link)).type === memoryType) return null;
  return { file: `${dev} ${ino}`, bytes: blocks * 512 };
}
