import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { waitUntil } from './wait-until';

/** How Node is run: the command that stands before it, and where it finds itself and the repository. */
export interface Runner {
  readonly command: readonly string[];
  readonly node: string;
  readonly repository: string;
}

export const asOneself: Runner = {
  command: [],
  node: process.execPath,
  repository: path.join(__dirname, '..', '..'),
};

const running = new Set<ServiceProcess>();

/** A process of its own that runs one of the scripts of this folder, and that a test may kill. */
export class ServiceProcess {
  /** What it printed, line by line. */
  public readonly output: string[] = [];
  /** Its exit code, or the signal that ended it. */
  public readonly ended: Promise<number | string>;

  private constructor(private readonly child: ChildProcess) {
    running.add(this);
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.output.push(line));
    }
    // An embedded server that outlives the process has none of these pipes, so "close" does come.
    this.ended = once(child, 'close').then(() => {
      running.delete(this);
      return child.signalCode ?? child.exitCode ?? 'unknown';
    });
  }

  public static spawn(script: string, env: NodeJS.ProcessEnv, runner = asOneself): ServiceProcess {
    const support = path.join(runner.repository, 'test', 'support');
    const args = ['-r', path.join(support, 'register.cjs'), path.join(support, script)];
    const [first, ...before] = runner.command;
    const child = spawn(first ?? runner.node, first === undefined ? args : [...before, runner.node, ...args], {
      cwd: '/',
      env: { PATH: process.env.PATH, NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new ServiceProcess(child);
  }

  /** The first line that contains `text`. @throws Error with the output when the process ends without one. */
  public async line(text: string): Promise<string> {
    const find = (): string | undefined => this.output.find((line) => line.includes(text));
    await waitUntil(() => find() !== undefined || !running.has(this));
    const found = find();
    if (found === undefined) throw new Error(`"${text}" was not printed, but: ${this.output.join('\n')}`);
    return found;
  }

  /** The address of the database, once the service is up. */
  public async url(): Promise<string> {
    const { url } = JSON.parse(await this.line('"url"')) as { url: string };
    return url;
  }

  public async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | string> {
    this.child.kill(signal);
    return await this.ended;
  }
}

/** For `afterEach`: ends what a failed test left, the embedded server below `dataDir` included. */
export async function endServices(dataDir: string): Promise<void> {
  await Promise.all([...running].map((service) => service.end('SIGKILL')));
  const pid = postmasterPid(dataDir);
  if (pid === undefined) return;
  process.kill(pid, 'SIGQUIT');
  await waitUntil(() => postmasterPid(dataDir) === undefined);
}

/** The process of the server below `dataDir`, if it runs. */
export function postmasterPid(dataDir: string): number | undefined {
  try {
    const pid = Number.parseInt(readFileSync(path.join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8'), 10);
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return command.includes(dataDir) ? pid : undefined;
  } catch {
    return undefined;
  }
}
