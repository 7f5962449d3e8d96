import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

/** Workers of the product whose engine sleeps, as processes of their own. */
export class SleepingWorkers {
  private constructor(
    private readonly children: readonly ChildProcess[],
    private readonly directory: string,
  ) {}

  /** Resolves when all of them take builds. */
  public static async start(
    databaseUrl: string,
    artifactDir: string,
    count: number,
    slots: number,
  ): Promise<SleepingWorkers> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-bench-'));
    const program = path.join(__dirname, '..', 'programs', 'sleeping-worker');
    const children = Array.from({ length: count }, (_, number) =>
      fork(program, [], {
        execArgv: process.execArgv,
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: databaseUrl,
          DATA_DIR: path.join(directory, String(number)),
          ARTIFACT_DIR: artifactDir,
          JWT_SECRET: 'a secret of the bench that is long enough',
          ROLES: 'worker',
          WORKER_SLOTS: String(slots),
          MIN_FREE_DISK_MB: '0',
        },
      }),
    );
    await Promise.all(children.map((child) => once(child, 'message')));
    return new SleepingWorkers(children, directory);
  }

  public async stop(): Promise<void> {
    const ended = this.children.map((child) => once(child, 'exit'));
    for (const child of this.children) child.kill('SIGTERM');
    await Promise.all(ended);
    await rm(this.directory, { recursive: true });
  }
}
