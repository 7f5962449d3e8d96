import { execFile, execFileSync } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { buildUser, type Files, writeCheckout } from '../../test/support/engine/engine-room';

const run = promisify(execFile);

/** The engine by itself, by the user who builds, with the options of the product: no cage, no filter, no limits, no log. */
export class BareBuildah {
  private constructor(
    private readonly directory: string,
    private readonly prefix: readonly string[],
  ) {}

  /** With a checkout of these files. */
  public static async open(files: Files): Promise<BareBuildah> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-bench-'));
    await chmod(directory, 0o755);
    await writeCheckout(path.join(directory, 'checkout'), files);
    const isRoot = process.geteuid?.() === 0;
    const idOf = (flag: string): number => Number(execFileSync('id', [flag, buildUser], { encoding: 'utf8' }));
    const [uid, gid] = isRoot ? [idOf('-u'), idOf('-g')] : [0, 0];
    for (const name of ['home', 'tmp', 'storage', 'run']) {
      await mkdir(path.join(directory, name), { mode: 0o700 });
      if (isRoot) await chown(path.join(directory, name), uid, gid);
    }
    const prefix = isRoot ? ['setpriv', '--reuid', String(uid), '--regid', String(gid), '--clear-groups', '--'] : [];
    return new BareBuildah(directory, prefix);
  }

  /** Builds the checkout, and writes the image to an archive. */
  public async build(buildArgs: Readonly<Record<string, string>>): Promise<void> {
    const inside = (name: string): string => path.join(this.directory, name);
    const [idFile, archive] = [inside('tmp/id'), inside('tmp/image.tar')];
    const given = Object.entries(buildArgs).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]);
    await this.buildah([
      ...['build', '--layers', '--force-rm', '--pull=never', '--format', 'oci', '--network', 'host'],
      ...['--isolation', 'rootless', '--runtime', 'runc', '--cap-drop', 'CAP_NET_RAW', ...given],
      ...['--iidfile', idFile, '--file', inside('checkout/Dockerfile'), inside('checkout')],
    ]);
    await this.buildah(['push', await readFile(idFile, 'utf8'), `oci-archive:${archive}`]);
    await rm(archive);
  }

  public async close(): Promise<void> {
    await this.buildah(['rmi', '--all', '--force']);
    await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
  }

  private async buildah(args: readonly string[]): Promise<void> {
    const inside = (name: string): string => path.join(this.directory, name);
    const roots = ['--root', inside('storage'), '--runroot', inside('run'), '--storage-driver', 'overlay'];
    const [command = '', ...words] = [...this.prefix, 'buildah', ...roots, ...args];
    await run(command, words, {
      cwd: this.directory,
      env: {
        PATH: process.env.PATH,
        HOME: inside('home'),
        TMPDIR: inside('tmp'),
        XDG_RUNTIME_DIR: inside('run'),
        LANG: 'C.UTF-8',
      },
    });
  }
}
