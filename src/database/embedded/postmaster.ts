import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { type Account, commandLine } from './account';
import type { LogFile } from './log-file';
import { endOrphan } from './orphan';
import { StartError } from '../../config/start-error';

export interface PostmasterOptions {
  readonly program: string;
  readonly account: Account;
  /** The data directory of the server. */
  readonly files: string;
  readonly socketDirectory: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly log: LogFile;
}

/** The database's own administrator, which only this supervisor uses. */
export const administrator = 'postgres';

const startTriesMs = 30_000;
/** Complaints about what a crashed server's last processes still hold. */
const passing = /shared memory|lock file|semaphore/;
const stopMs = 30_000;

/** One run of the server, from its start to its exit. */
export class Postmaster {
  /** Fulfilled at its exit, with how it ended. */
  public readonly exited: Promise<string>;
  private ended: string | undefined;

  private constructor(private readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => {
      const end = (how: string): void => {
        this.ended ??= how;
        resolve(this.ended);
      };
      child.once('exit', (code, signal) => {
        end(signal ?? `exit code ${code ?? 'unknown'}`);
      });
      child.once('error', (error) => {
        end(error.message);
      });
    });
    child.unref();
  }

  /**
   * Starts the server and waits until it answers. After a crash the memory that its processes share may take a
   * moment to clear, so a start that fails for that is tried again for a while.
   * @throws StartError with one line, the server's own complaint, when it does not start.
   */
  public static async start(options: PostmasterOptions, signal: AbortSignal): Promise<Postmaster> {
    const deadline = Date.now() + startTriesMs;
    for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, 1_000)) {
      await endOrphan(options.files);
      const logged = options.log.size();
      const server = new Postmaster(launch(options));
      if (await server.answers(options.socketDirectory, signal)) return server;
      await server.stop();
      signal.throwIfAborted();
      const complaint = options.log.lastComplaint(logged);
      if (Date.now() > deadline || (complaint !== undefined && !passing.test(complaint))) {
        throw new StartError(
          `The embedded PostgreSQL did not start: ${complaint ?? `it ended by ${await server.exited}`}`,
        );
      }
      await sleep(pauseMs, undefined, { signal });
    }
  }

  /** Stops the server: fast, so that open transactions are rolled back and everything committed is on disk. */
  public async stop(): Promise<void> {
    for (const signal of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
      if (this.ended !== undefined) return;
      this.signal(signal);
      const patience = new AbortController();
      await Promise.race([this.exited, sleep(stopMs, undefined, { signal: patience.signal }).catch(() => undefined)]);
      patience.abort();
    }
  }

  /** Tells the server to stop without waiting, for the moment in which our own process exits. */
  public abandon(): void {
    if (this.ended === undefined) this.signal('SIGINT');
  }

  private signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** False when the server exited. Crash recovery may take as long as it needs. */
  private async answers(socketDirectory: string, signal: AbortSignal): Promise<boolean> {
    for (let pauseMs = 10; this.ended === undefined && !signal.aborted; pauseMs = Math.min(pauseMs * 2, 200)) {
      const client = new Client({
        host: socketDirectory,
        user: administrator,
        database: 'postgres',
        query_timeout: 5_000,
      });
      client.on('error', () => undefined);
      try {
        await client.connect();
        return true;
      } catch {
        await Promise.race([this.exited, sleep(pauseMs)]);
      } finally {
        await client.end();
      }
    }
    return false;
  }
}

function launch({ program, account, files, socketDirectory, settings, log }: PostmasterOptions): ChildProcess {
  const all = { ...settings, unix_socket_directories: `"${socketDirectory.replaceAll('"', '""')}"` };
  const args = ['-D', files, ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  // Detached, so that a Ctrl-C at the terminal reaches us alone: the server is needed until we have shut down.
  return spawn(...commandLine(account, program, args), {
    ...account.spawnAs,
    cwd: '/',
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
    detached: true,
    stdio: ['ignore', log.descriptor, log.descriptor],
  });
}
