import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rename } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from '../../config/error-code';
import { Owners } from './owners';

/** The directories that this process works in: one that it has left, but could not remove, is free for a sweep. */
const inUse = new Set<string>();

/**
 * Directories of builds at work. Each name carries that of its owner, so that what a killed worker left can be told from
 * what another worker of this host uses.
 */
export class ScratchDirs {
  private readonly root: string;
  private readonly owners: Owners;

  public constructor(dataDir: string, name: string) {
    this.root = path.join(dataDir, name);
    this.owners = new Owners(path.join(dataDir, 'owners'));
  }

  /** A fresh path; the owner makes the directory. */
  public async next(label: string): Promise<string> {
    await mkdir(this.root, { recursive: true, mode: 0o711 });
    const directory = path.join(this.root, `${label}.${this.owners.own()}.${randomUUID().slice(0, 8)}`);
    inUse.add(directory);
    return directory;
  }

  /** Those of a label, whoever's they are. */
  public async of(label: string): Promise<string[]> {
    const names = await readdir(this.root).catch(() => []);
    return names.filter((name) => name.startsWith(`${label}.`)).map((name) => path.join(this.root, name));
  }

  /** Nobody works in it any more. */
  public release(directory: string): void {
    inUse.delete(directory);
  }

  /** Removes what nobody works in any more. Each directory is one process's to remove, and one's failure keeps no other. */
  public async sweep(remove: (directory: string) => Promise<void>): Promise<void> {
    const failures: unknown[] = [];
    for (const left of await this.abandoned()) {
      const taken = await this.take(left);
      if (taken === null) continue;
      await remove(taken).catch((error: unknown) => failures.push(error));
      this.release(taken);
    }
    if (failures.length > 0) throw failures[0];
  }

  /** Makes a left directory this process's by renaming it; null when another was quicker. */
  private async take(left: string): Promise<string | null> {
    const taken = await this.next(path.basename(left).split('.')[0] ?? '');
    try {
      await rename(left, taken);
      return taken;
    } catch (error) {
      this.release(taken);
      if (hasCode(error, 'ENOENT')) return null;
      throw error;
    }
  }

  private async abandoned(): Promise<string[]> {
    const names = await readdir(this.root).catch(() => []);
    const alive = new Map<string, boolean>();
    return names
      .map((name) => path.join(this.root, name))
      .filter((directory) => {
        const owner = path.basename(directory).split('.')[1] ?? '';
        if (owner === this.owners.own()) return !inUse.has(directory);
        if (!alive.has(owner)) alive.set(owner, this.owners.isAlive(owner));
        return alive.get(owner) === false;
      });
  }
}
