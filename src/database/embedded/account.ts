import { spawnSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import { StartError } from '../../config/start-error';

/** As whom the server runs. PostgreSQL refuses to run as root. */
export interface Account {
  readonly description: string;
  /** The owner of its files, as the host sees it. */
  readonly uid: number;
  readonly gid: number;
  /** The program and arguments that must stand before the server's own. */
  readonly prefix: readonly string[];
  /** The options by which a spawned process becomes this account; empty for our own. */
  readonly spawnAs: { readonly uid?: number; readonly gid?: number };
}

/** An account that can run the server, and the major version that it found there. */
export interface ChosenAccount extends Account {
  readonly majorVersion: number;
}

export interface AccountNeeds {
  readonly postgres: string;
  /** Exists; the server's files will lie below it. */
  readonly directory: string;
  /** The owner of files that an earlier start left, if there are any. */
  readonly ownerOfFiles: number | undefined;
}

/** The program to spawn, and its arguments, so that `program` runs as the account. */
export function commandLine(account: Account, program: string, args: readonly string[]): [string, string[]] {
  const [first, ...prefixed] = account.prefix;
  return first === undefined ? [program, [...args]] : [first, [...prefixed, program, ...args]];
}

/**
 * Chooses as whom to run the server: as an ordinary user as oneself; as root the owner of the existing files,
 * else `postgres`, else `nobody`. Where these cannot reach the paths (a home of mode 0700) root runs it in a user
 * namespace, in which root has another number and no privileges; and where the paths belong to someone else's
 * private home, as that person, who owns the programs already.
 * @throws StartError with one line that says what was tried.
 */
export function chooseAccount(needs: AccountNeeds): ChosenAccount {
  const refused: string[] = [];
  for (const account of candidates(needs)) {
    const { status, stdout, stderr, error } = spawnAs(account, 'sh', [
      '-c',
      'test -x "$1" && exec "$2" --version',
      'sh',
      needs.directory,
      needs.postgres,
    ]);
    const version = /PostgreSQL\) (\d+)/.exec(stdout)?.[1];
    if (status === 0 && version !== undefined) return { ...account, majorVersion: Number(version) };
    const complaint = stderr.trim().split('\n')[0] ?? '';
    const reason = error?.message ?? (complaint === '' ? `no access to ${needs.directory}` : complaint);
    refused.push(`${account.description}: ${reason}`);
  }
  throw new StartError(
    `The embedded PostgreSQL cannot be run here (${refused.join('; ')}): set DATABASE_URL to a PostgreSQL server.`,
  );
}

function* candidates({ postgres, directory, ownerOfFiles }: AccountNeeds): Generator<Account> {
  const uid = process.getuid?.() ?? 0;
  const gid = process.getgid?.() ?? 0;
  const namespace: Account = {
    description: 'in a user namespace',
    uid,
    gid,
    prefix: ['unshare', '--user', '--map-user=65534', '--map-group=65534', '--'],
    spawnAs: {},
  };
  if (uid !== 0) {
    // initdb wants a name for its user; a container may run us under a number that has none.
    if (hasName()) yield { description: 'as oneself', uid, gid, prefix: [], spawnAs: {} };
    yield namespace;
    return;
  }
  const byFiles = accountOf((account) => account.uid === ownerOfFiles);
  if (byFiles !== undefined) yield byFiles;
  if (ownerOfFiles === 0) yield namespace;
  for (const name of ['postgres', 'nobody']) {
    const account = accountOf((entry) => entry.name === name);
    if (account !== undefined) yield account;
  }
  yield namespace;
  for (const place of [...ancestors(directory), postgres]) {
    const account = accountOf((entry) => entry.uid === statSync(place).uid);
    if (account !== undefined) yield account;
  }
}

function ancestors(directory: string): readonly string[] {
  const parent = path.dirname(directory);
  return parent === directory ? [directory] : [directory, ...ancestors(parent)];
}

function hasName(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}

function accountOf(wanted: (entry: { name: string; uid: number }) => boolean): Account | undefined {
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name = '', , uid = '', gid = ''] = line.split(':');
    const ids = { uid: Number(uid), gid: Number(gid) };
    if (ids.uid > 0 && wanted({ name, uid: ids.uid })) {
      return { description: `as ${name}`, ...ids, prefix: [], spawnAs: ids };
    }
  }
  return undefined;
}

function spawnAs(account: Account, program: string, args: readonly string[]) {
  const options = { ...account.spawnAs, cwd: '/', encoding: 'utf8', timeout: 10_000 } as const;
  return spawnSync(...commandLine(account, program, args), options);
}
