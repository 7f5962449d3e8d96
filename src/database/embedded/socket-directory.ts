import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Account } from './account';

const socketName = '.s.PGSQL.5432';
/** The shorter of the limits of Linux (107) and macOS (103), in bytes. */
const longestSocketPath = 103;
const temporaryPrefix = 'image-factory-pg-';

/**
 * Makes the directory of the server's socket, which its account alone may enter. It is `run` in the server's own
 * directory; where that path is too long for a socket, `run` is a link to a short directory with a random name, so
 * that the next start finds and removes what a crash left.
 */
export function makeSocketDirectory(home: string, account: Account): string {
  const run = path.join(home, 'run');
  removeSocketDirectory(home);
  let directory = run;
  if (Buffer.byteLength(path.join(run, socketName)) > longestSocketPath) {
    directory = mkdtempSync(path.join(shortParent(account), temporaryPrefix));
    symlinkSync(directory, run);
  } else {
    mkdirSync(run);
  }
  chmodSync(directory, 0o700);
  chownSync(directory, account.uid, account.gid);
  return directory;
}

/** Removes the directory, and the short one that it stands for. No server may be running. */
export function removeSocketDirectory(home: string): void {
  const run = path.join(home, 'run');
  if (lstatSync(run, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    const target = readlinkSync(run);
    if (path.basename(target).startsWith(temporaryPrefix)) rmSync(target, { recursive: true, force: true });
  }
  rmSync(run, { recursive: true, force: true });
}

function shortParent(account: Account): string {
  // Another account may not be able to enter the directories that are private to us.
  if (account.uid !== process.getuid?.()) return '/tmp';
  const places = [process.env.XDG_RUNTIME_DIR, tmpdir()].filter((place) => place !== undefined);
  const short = places.find((place) => {
    const socket = path.join(place, `${temporaryPrefix}XXXXXX`, socketName);
    return Buffer.byteLength(socket) <= longestSocketPath && existsSync(place);
  });
  return short ?? '/tmp';
}
