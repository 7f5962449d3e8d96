import { spawnSync } from 'node:child_process';
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { StartError } from './start-error';

// Node cannot lock files. A lock of flock(2) belongs to the open file, not to the process that asked for it: a helper
// that inherits our descriptor takes it for us, and the kernel drops it when our process ends, however it ends.
const helpers: readonly (readonly [string, ...string[]])[] = [
  ['flock', '-n', '3'],
  ['perl', '-MFcntl=:flock', '-e', 'open(my $f, "<&=", 3) or exit 2; exit(flock($f, LOCK_EX | LOCK_NB) ? 0 : 1)'],
];

/**
 * Takes the lock `file` for as long as this process lives or until the returned function is called.
 * @returns undefined when another process holds it.
 * @throws StartError with one line when locking is impossible.
 */
export function lockFile(file: string): (() => void) | undefined {
  const descriptor = openSync(file, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  for (const [program, ...args] of helpers) {
    const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'ignore', 'ignore', descriptor] });
    if (error !== undefined) continue;
    if (status === 0) {
      ftruncateSync(descriptor);
      writeSync(descriptor, `${process.pid}\n`);
      return () => {
        closeSync(descriptor);
      };
    }
    if (status === 1) {
      closeSync(descriptor);
      return undefined;
    }
  }
  closeSync(descriptor);
  throw new StartError(`${file} cannot be locked: neither "flock" (util-linux) nor "perl" did it.`);
}

/** The process that holds the lock, as it wrote itself down. */
export function lockHolder(file: string): string {
  return readFileSync(file, 'utf8').trim() || 'unknown';
}
