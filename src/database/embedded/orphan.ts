import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../../config/start-error';

const fastShutdownMs = 30_000;

/**
 * Ends the server that a killed service left on these files, and removes a pid file that belongs to no server: its
 * number may have been given to another process, which PostgreSQL would take for a server. (Whether backends are
 * left is PostgreSQL's own question at start: it asks the shared memory.)
 */
export async function endOrphan(files: string): Promise<void> {
  const pidFile = path.join(files, 'postmaster.pid');
  const pid = readPid(pidFile);
  if (pid === undefined) return;
  if (isServerOf(pid, files)) {
    process.kill(pid, 'SIGINT');
    if (!(await hasEnded(pid, files, fastShutdownMs))) {
      process.kill(pid, 'SIGQUIT');
      if (!(await hasEnded(pid, files, fastShutdownMs))) {
        throw new StartError(`A PostgreSQL server (process ${pid}) runs on ${files} and does not stop.`);
      }
    }
  }
  rmSync(pidFile, { force: true });
}

function readPid(pidFile: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

async function hasEnded(pid: number, files: string, withinMs: number): Promise<boolean> {
  const deadline = Date.now() + withinMs;
  while (isServerOf(pid, files)) {
    if (Date.now() > deadline) return false;
    await sleep(20);
  }
  return true;
}

/** A zombie has no command line, so it does not count. */
function isServerOf(pid: number, files: string): boolean {
  const args = commandOf(pid);
  const [program = ''] = args;
  return path.basename(program) === 'postgres' && args[args.indexOf('-D') + 1] === files;
}

function commandOf(pid: number): readonly string[] {
  if (process.platform === 'linux') {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    } catch {
      return [];
    }
  }
  return spawnSync('ps', ['-o', 'command=', '-p', `${pid}`], { encoding: 'utf8' }).stdout.split(' ');
}
