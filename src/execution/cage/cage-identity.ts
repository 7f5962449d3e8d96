import { runProcess } from '../process/run-process';

/** Who runs the commands of a cage. */
export interface CageIdentity {
  /** Null when the service itself is an ordinary user: then cages stand in a user namespace of that user. */
  readonly buildUser: { readonly uid: number; readonly gid: number } | null;
}

/** Where the tools of the host are found: a fixed list, because the first process of a cage is root. */
export const toolPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Runs a short command of the host and returns what it printed on stdout; null when it failed.
 * @throws Error when it cannot be started, or has not ended in time.
 */
export async function ask(command: readonly [string, ...string[]], timeoutMs = 60_000): Promise<string | null> {
  const lines: string[] = [];
  const { exitCode } = await runProcess(command, {
    env: { PATH: toolPath, LC_ALL: 'C' },
    signal: AbortSignal.timeout(timeoutMs),
    onLine: ({ stream, text }) => {
      if (stream === 'stdout') lines.push(text);
    },
  });
  return exitCode === 0 ? lines.join('\n') : null;
}

/**
 * Finds out who builds: `userName` when the service is root, else the service's own user.
 * @throws Error when that user does not exist.
 */
export async function findIdentity(userName: string): Promise<CageIdentity> {
  if (process.geteuid?.() !== 0) return { buildUser: null };
  const [uid, gid] = [await ask(['id', '-u', '--', userName]), await ask(['id', '-g', '--', userName])];
  if (uid === null || gid === null) {
    throw new Error(`The system user "${userName}" that runs the builds does not exist: run "npm run setup" as root.`);
  }
  if (Number(uid) === 0) throw new Error('BUILD_USER must not be root.');
  return { buildUser: { uid: Number(uid), gid: Number(gid) } };
}
