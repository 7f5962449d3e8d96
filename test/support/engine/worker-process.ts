import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { asOneself, type Runner } from '../service-process';
import type { BuildOnce } from './build-once';

/** A worker in a process of its own, that runs one build. */
export class WorkerProcess {
  /** What it has printed so far. */
  public text = '';

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (this.text += chunk));
  }

  /** Starts it, as another user if that is said. */
  public static start(task: BuildOnce, { command, node, repository }: Runner = asOneself): WorkerProcess {
    const [hook, program] = ['register.cjs', 'engine/build-once.ts'].map((file) =>
      path.join(repository, 'test/support', file),
    );
    const [file, ...args] = [...command, node, '-r', String(hook), String(program), JSON.stringify(task)];
    const env = { PATH: process.env.PATH ?? '' };
    return new WorkerProcess(spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/', env }));
  }

  /** Waits for its end and returns the lines that it printed. */
  public async lines(): Promise<string[]> {
    await once(this.child, 'close');
    return this.text.split('\n').filter((line) => line !== '');
  }

  public async kill(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
