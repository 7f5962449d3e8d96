import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { mkdir, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

/** After this time a directory whose owner cannot be seen from here counts as left over. */
const unseenMs = 24 * 3_600_000;

/**
 * Directories of builds at work. Each name carries the process that owns it (its pid, its start time and its PID
 * namespace), so that what a killed worker left can be told from what another worker of this host uses.
 */
export class ScratchDirs {
  public constructor(private readonly root: string) {}

  /** A fresh path; the owner makes the directory. */
  public async next(buildId: string): Promise<string> {
    await mkdir(this.root, { recursive: true, mode: 0o711 });
    const owner = [String(process.pid), startTime('self') ?? '', pidNamespace() ?? ''].join('-');
    return path.join(this.root, `${buildId}.${owner}.${randomUUID().slice(0, 8)}`);
  }

  /** What nobody works in any more. */
  public async abandoned(): Promise<string[]> {
    const names = await readdir(this.root).catch(() => []);
    const left: string[] = [];
    for (const name of names) {
      const directory = path.join(this.root, name);
      const [pid = '', started, namespace] = name.split('.')[1]?.split('-') ?? [];
      if (namespace === pidNamespace()) {
        if (startTime(pid) !== started) left.push(directory);
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
