import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { type ChosenAccount, commandLine } from './account';
import { administrator } from './postmaster';
import { StartError } from '../../config/start-error';

const run = promisify(execFile);
const unfinished = 'unfinished-';

/**
 * Makes the server's files in `home/data` if there are none, and gives those that there are to its account.
 * @throws StartError with one line when they are another major version's.
 */
export async function prepareFiles(
  home: string,
  initdb: string,
  account: ChosenAccount,
  signal?: AbortSignal,
): Promise<string> {
  await sweep(home);
  const files = path.join(home, 'data');
  if (!existsSync(files)) {
    await create(home, files, initdb, account, signal);
    return files;
  }
  const version = readFileSync(path.join(files, 'PG_VERSION'), 'utf8').trim();
  if (version !== String(account.majorVersion)) {
    throw new StartError(
      `${files} was made by PostgreSQL ${version} and the embedded one is ${account.majorVersion}: move the data with pg_dump, or start the version that made it.`,
    );
  }
  if (statSync(files).uid !== account.uid) {
    // Made when the server ran as someone else. chown, unlike a walk of our own, cannot be led astray by links.
    await run('chown', ['-R', '-h', `${account.uid}:${account.gid}`, files]);
  }
  return files;
}

/** Removes what interrupted first starts left. What still belongs to a running initdb goes at a later start. */
async function sweep(home: string): Promise<void> {
  const drafts = readdirSync(home).filter((entry) => entry.startsWith(unfinished));
  for (const draft of drafts) await run('rm', ['-rf', '--', path.join(home, draft)]).catch(() => undefined);
}

async function create(
  home: string,
  files: string,
  initdb: string,
  account: ChosenAccount,
  signal: AbortSignal | undefined,
): Promise<void> {
  signal?.throwIfAborted();
  // Under another name until it is complete, so that an interrupted first start leaves nothing that looks ready.
  const draft = mkdtempSync(path.join(home, unfinished));
  chownSync(draft, account.uid, account.gid);
  const [program, args] = commandLine(account, initdb, [
    `--pgdata=${draft}`,
    `--username=${administrator}`,
    '--auth-local=trust',
    '--auth-host=reject',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
    '--data-checksums',
    '--no-instructions',
  ]);
  const options = { ...account.spawnAs, cwd: '/', env: { PATH: process.env.PATH, LC_ALL: 'C' } };
  const running = run(program, args, options);
  // It removes what it has made, and ends.
  const stop = (): boolean => running.child.kill('SIGTERM');
  signal?.addEventListener('abort', stop);
  try {
    await running;
  } catch (cause) {
    signal?.throwIfAborted();
    const complaint = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new StartError(`The embedded PostgreSQL could not make its files: ${complaint}`, {
      cause,
    });
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  renameSync(draft, files);
}
