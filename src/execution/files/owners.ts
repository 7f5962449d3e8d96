import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { lockFile } from '../../config/file-lock';

const ownNames = new Map<string, string>();

/**
 * Names under which the processes of one host own files. Each has a locked file in one directory that says that its
 * process lives: the kernel drops the lock when it ends, however it ends. So it is known for dead also from another PID
 * namespace, as that of a container that replaces the one that was killed.
 */
export class Owners {
  public constructor(private readonly directory: string) {}

  /** The name of this process, whose lock is held from the first call to the end of the process. */
  public own(): string {
    const known = ownNames.get(this.directory);
    if (known !== undefined) return known;
    mkdirSync(this.directory, { recursive: true, mode: 0o700 });
    for (const each of readdirSync(this.directory)) if (!each.startsWith('.')) this.isAlive(each);
    const name = randomUUID();
    // It bears its name only when it is locked: nobody takes it for a dead one's.
    const unnamed = path.join(this.directory, `.${name}`);
    lockFile(unnamed);
    renameSync(unnamed, path.join(this.directory, name));
    ownNames.set(this.directory, name);
    return name;
  }

  /** Whether the process of this name lives. The file of one that is dead is removed. */
  public isAlive(name: string): boolean {
    const file = path.join(this.directory, name);
    if (!existsSync(file)) return false;
    const release = lockFile(file);
    if (release === undefined) return true;
    rmSync(file, { force: true });
    release();
    return false;
  }
}
