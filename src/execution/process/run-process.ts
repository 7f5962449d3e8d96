import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { OutputReader } from './output-reader';
import { ProcessTree } from './process-tree';
import type { SecretMask } from './secret-mask';

/** How long processes that the child left behind may go on writing after it ended. */
const lingerMs = 2_000;

export interface OutputLine {
  readonly stream: 'stdout' | 'stderr';
  /** Without its end and without what a terminal would obey but tab and colour codes; at most 16 KiB of UTF-8. */
  readonly text: string;
}

export interface RunOptions {
  /** The whole environment of the child; `PATH` in it decides where the command is found. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** What the child reads; without it, nothing. */
  readonly stdin?: string;
  /**
   * Gets each line, those of one stream in order and one at a time. A promise pauses the reading of that stream, and so
   * the child once its pipe is full. A throw or a rejection ends the child, and is what `runProcess` rejects with.
   */
  readonly onLine?: (line: OutputLine) => void | Promise<void>;
  /** Ends the child and all that descends from it: TERM, `killAfterMs` (the reason's own, if it has one), KILL. */
  readonly signal?: AbortSignal;
  /** 10,000 by default. */
  readonly killAfterMs?: number;
  /** Masks secrets in every line, also where a line arrives in pieces. */
  readonly mask?: SecretMask;
}

export interface RunResult {
  /** Null when a signal ended the child. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The way to run a command: `runProcess` itself, or a launcher that puts the command into a cage first. */
export type RunProcess = (command: readonly [string, ...string[]], options: RunOptions) => Promise<RunResult>;

/**
 * Runs a command, never by a shell, in a session and process group of its own, and delivers its output line by line. An
 * unfinished line is delivered after half a second of silence, what follows it as a line of its own.
 *
 * Settles when the child has ended, all its lines are delivered and no process of its tree is left. What a child leaves
 * running may write for two seconds more and is then ended like an aborted one; a pipe that is still held open after
 * that (by a process that hid from us) is given up.
 * @throws the signal's reason after an abort, once the whole tree is dead; lines that were read meanwhile are delivered
 * first.
 * @throws Error that names the command when it cannot be started.
 */
export async function runProcess(command: readonly [string, ...string[]], options: RunOptions): Promise<RunResult> {
  const { signal, mask, onLine, killAfterMs = 10_000 } = options;
  signal?.throwIfAborted();
  const { child, stdout, stderr, pid, exited } = await start(command, options);
  const tree = new ProcessTree(pid);
  const readers = [
    new OutputReader(stdout, (text) => onLine?.({ stream: 'stdout', text }), mask?.stream() ?? null),
    new OutputReader(stderr, (text) => onLine?.({ stream: 'stderr', text }), mask?.stream() ?? null),
  ];
  const reading = Promise.all(readers.map((reader) => reader.read()));
  const abort = new AbortWatch(signal);
  try {
    // A failed delivery ends the wait at once; the end of the output alone does not.
    const failedReading = reading.then(() => exited);
    const result = await Promise.race([exited, failedReading, abort.aborted]);
    await Promise.race([reading, sleep(lingerMs, undefined, { ref: false }), abort.aborted]);
    await tree.end(killAfterMs);
    readers.forEach((reader) => {
      reader.expectEnd();
    });
    await Promise.race([reading, abort.aborted]);
    signal?.throwIfAborted();
    return result;
  } catch (error) {
    await tree.end(patienceOf(error) ?? killAfterMs);
    await exited;
    readers.forEach((reader) => {
      reader.expectEnd();
      reader.hurry();
    });
    await Promise.allSettled([reading]);
    throw error;
  } finally {
    abort.forget();
    child.removeAllListeners();
  }
}

/** How long the reason of an abort leaves to the processes; undefined: it does not say. */
function patienceOf(reason: unknown): number | undefined {
  const patience: unknown = reason instanceof Error && 'killAfterMs' in reason ? reason.killAfterMs : undefined;
  return typeof patience === 'number' ? patience : undefined;
}

/** A promise that rejects with the reason of a signal, and can be forgotten. */
class AbortWatch {
  public readonly aborted: Promise<never>;
  private onAbort: () => void = () => undefined;

  public constructor(private readonly signal: AbortSignal | undefined) {
    const event = new Promise<void>((resolve) => {
      this.onAbort = resolve;
    });
    this.aborted = event.then(() => {
      signal?.throwIfAborted();
      throw new Error('Aborted.');
    });
    this.aborted.catch(() => undefined);
    signal?.addEventListener('abort', this.onAbort, { once: true });
    if (signal?.aborted === true) this.onAbort();
  }

  public forget(): void {
    this.signal?.removeEventListener('abort', this.onAbort);
  }
}

type Started = Required<Pick<ChildProcess, 'pid'>> & {
  readonly child: ChildProcess;
  readonly stdout: NonNullable<ChildProcess['stdout']>;
  readonly stderr: NonNullable<ChildProcess['stderr']>;
  readonly exited: Promise<RunResult>;
};

async function start([file, ...args]: readonly [string, ...string[]], options: RunOptions): Promise<Started> {
  const { cwd, env, stdin } = options;
  const child = spawn(file, args, {
    cwd,
    env,
    detached: true,
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const exited = new Promise<RunResult>((resolve) => {
    child.once('exit', (exitCode, signal) => {
      resolve({ exitCode, signal });
    });
  });
  // A child that ends without reading its input is no error of ours.
  child.stdin?.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => {
      reject(new Error(`Cannot start "${file}": ${explain(cause)}.`, { cause }));
    });
  });
  child.stdin?.end(stdin);
  const { stdout, stderr, pid } = child;
  if (pid === undefined || stdout === null || stderr === null) throw new Error(`Cannot start "${file}".`);
  return { child, stdout, stderr, pid, exited };
}

function explain(error: Error): string {
  if (!('code' in error)) return error.message;
  if (error.code === 'ENOENT') return 'it is not installed, or its working directory does not exist';
  if (error.code === 'EACCES') return 'permission denied';
  return error.message;
}
