import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { hasCode } from '../../config/error-code';

/** After this time a directory whose owner cannot be seen from here counts as left over. */
const unseenMs = 24 * 3_600_000;

/** The directories that this process works in: one that it has left, but could not remove, is free for a sweep. */
const inUse = new Set<string>();

/**
 * Directories of builds at work. Each name carries the process that owns it (its pid, its start time and its PID
 * namespace), so that what a killed worker left can be told from what another worker of this host uses.
 */
export class ScratchDirs {
  public constructor(private readonly root: string) {}

  /** A fresh path; the owner makes the directory. */
  public async next(label: string): Promise<string> {
    await mkdir(this.root, { recursive: true, mode: 0o711 });
    const owner = [String(process.pid), startTime('self') ?? '', pidNamespace() ?? ''].join('-');
    const directory = path.join(this.root, `${label}.${owner}.${randomUUID().slice(0, 8)}`);
    inUse.add(directory);
    return directory;
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
    const left: string[] = [];
    for (const name of names) {
      const directory = path.join(this.root, name);
      const [pid = '', started, namespace] = name.split('.')[1]?.split('-') ?? [];
      if (namespace === pidNamespace()) {
        const isOurs = pid === String(process.pid) && !inUse.has(directory);
        if (isOurs || startTime(pid) !== started) left.push(directory);
      } else {
        const seen = await stat(directory).catch(() => null);
        if (seen !== null && Date.now() - seen.mtimeMs > unseenMs) left.push(directory);
      }
    }
    return left;
  }
}

/** proc(5): field 22, counted from behind the name, which stands in parentheses. */
function startTime(pid: string): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

function pidNamespace(): string | undefined {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0];
  } catch {
    return undefined;
  }
}
