import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { hasCode } from '../../src/config/error-code';

/** A file system of its own with little room, which a test may fill. */
export class SmallDisk {
  private readonly ballast: string;

  private constructor(
    public readonly directory: string,
    private readonly unmount: () => void,
  ) {
    this.ballast = path.join(directory, 'ballast');
  }

  public static async make(megabytes: number): Promise<SmallDisk> {
    const mount = ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0755`, 'image-factory-test'];
    if (process.getuid?.() !== 0) return SmallDisk.inNamespace(mount);
    const directory = mkdtempSync(path.join(tmpdir(), 'image-factory-disk-'));
    execFileSync('mount', [...mount, directory]);
    return new SmallDisk(directory, () => {
      // What still ends there holds it for a moment; then it goes by itself.
      execFileSync('umount', ['--lazy', directory]);
      rmdirSync(directory);
    });
  }

  /** An ordinary user may mount in a namespace of his own, into which he sees through the process that keeps it. */
  private static async inNamespace(mount: readonly string[]): Promise<SmallDisk> {
    const script = 'mount "$@" /mnt && echo mounted && exec cat';
    const args = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sh', ...mount];
    const keeper: ChildProcess = spawn('unshare', args, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (keeper.stdout === null || keeper.pid === undefined) throw new Error('unshare does not run');
    await Promise.race([
      once(keeper.stdout, 'data'),
      once(keeper, 'exit').then(() => Promise.reject(new Error('No mount'))),
    ]);
    return new SmallDisk(`/proc/${keeper.pid}/root/mnt`, () => keeper.stdin?.end());
  }

  /** Takes all room that is left. */
  public fill(): void {
    const file = openSync(this.ballast, 'w');
    for (const block of [1_024 * 1_024, 4_096].map((bytes) => Buffer.alloc(bytes))) {
      try {
        while (writeSync(file, block) === block.length);
      } catch (error) {
        if (!hasCode(error, 'ENOSPC')) throw error;
      }
    }
    closeSync(file);
  }

  public free(): void {
    rmSync(this.ballast, { force: true });
  }

  public remove(): void {
    this.unmount();
  }
}
