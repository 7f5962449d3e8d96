import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { asOneself, type Runner } from './service-process';

/** An ordinary user of this machine, made for one test by root. */
export interface OtherUser extends Runner {
  readonly uid: number;
  readonly gid: number;
  /** A directory of mode 0700 that belongs to the user. */
  readonly home: string;
  /** How root runs Node from the place that everybody can reach. */
  readonly asRoot: Runner;
  /** Runs some JavaScript as the user. */
  run(source: string): SpawnSyncReturns<string>;
  remove(): void;
}

/**
 * Makes a user who can run Node and this repository even where both lie in root's private home: they are mounted at
 * a place that everybody can reach, in a mount namespace of that process alone.
 */
export function makeOtherUser(): OtherUser {
  const name = `test-${randomBytes(4).toString('hex')}`;
  demand(spawnSync('useradd', ['--no-create-home', '--shell', '/bin/sh', name], { encoding: 'utf8' }));
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(demand(spawnSync('id', [flag, name], { encoding: 'utf8' }))));
  if (uid === undefined || gid === undefined) throw new Error(`${name} has no ids`);

  const place = mkdtempSync(path.join(tmpdir(), 'other-user-'));
  const repository = path.join(place, 'repository');
  const node = path.join(place, 'node');
  const home = path.join(place, 'home');
  for (const directory of [repository, home]) mkdirSync(directory);
  writeFileSync(node, '');
  chmodSync(place, 0o755);
  chmodSync(home, 0o700);
  demand(spawnSync('chown', [`${uid}:${gid}`, home], { encoding: 'utf8' }));

  const mount = 'mount --bind "$1" "$2" && mount --bind "$3" "$4" && shift 4 && exec "$@"';
  const reachable = [
    ...['unshare', '--mount', '--', 'sh', '-c', mount, 'sh'],
    ...[asOneself.repository, repository, asOneself.node, node],
  ];
  const command = [...reachable, ...['setpriv', '--reuid', `${uid}`, '--regid', `${gid}`, '--clear-groups', '--']];
  const [program = '', ...args] = command;
  return {
    ...{ uid, gid, home, command, node, repository },
    asRoot: { command: reachable, node, repository },
    run: (source) => spawnSync(program, [...args, node, '-e', source], { cwd: '/', encoding: 'utf8' }),
    remove: () => {
      demand(spawnSync('userdel', [name], { encoding: 'utf8' }));
      rmSync(place, { recursive: true, force: true });
    },
  };
}

function demand({ status, stdout, stderr, error }: SpawnSyncReturns<string>): string {
  if (status !== 0) throw error ?? new Error(stderr);
  return stdout;
}
