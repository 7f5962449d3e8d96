import { readdir } from 'node:fs/promises';
import path from 'node:path';
import type { Cage } from './cage/cage';
import { diskUse, type DiskUse } from './files/disk-use';
import { isWithin } from './files/is-within';
import type { EngineDirs } from './image-builder';

/** What a build has added to the disk since it began. */
export class DiskGrowth {
  private constructor(
    private readonly cage: Cage,
    private readonly dirs: () => Promise<EngineDirs>,
    private readonly layersBefore: ReadonlySet<string>,
    private before: DiskUse,
  ) {}

  /** @param dirs asked each time, as some are made only later */
  public static async begin(cage: Cage, dirs: () => Promise<EngineDirs>, signal: AbortSignal): Promise<DiskGrowth> {
    const { shared, layers } = await dirs();
    const known = new Set((await Promise.all(layers.map(entries))).flat());
    const growth = new DiskGrowth(cage, dirs, known, { bytes: 0, inodes: 0 });
    const rest = await growth.sharedTrees({ own: [], shared, layers });
    growth.before = await diskUse(cage, [shared], rest, signal);
    return growth;
  }

  /** What other builds of the same project add at the same time counts as well: nothing tells the two apart. */
  public async measure(signal: AbortSignal): Promise<DiskUse> {
    const dirs = await this.dirs();
    const trees = [...dirs.own, ...(await this.sharedTrees(dirs))];
    const now = await diskUse(this.cage, [...dirs.own, dirs.shared], trees, signal);
    const unlinked = await this.cage.unlinkedBytes(dirs.own, signal);
    return {
      bytes: Math.max(0, now.bytes - this.before.bytes) + unlinked,
      inodes: Math.max(0, now.inodes - this.before.inodes),
    };
  }

  private async sharedTrees({ shared, layers }: EngineDirs): Promise<string[]> {
    const fresh = (await Promise.all(layers.map(entries))).flat().filter((entry) => !this.layersBefore.has(entry));
    const rest = (await entries(shared)).filter((entry) => !layers.some((directory) => isWithin(entry, directory)));
    return [...rest, ...fresh];
  }
}

async function entries(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  return names.map((name) => path.join(directory, name));
}
