import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** The least program that does what the product does, as a process of its own. */
export class Floor {
  private constructor(
    private readonly child: ChildProcess,
    /** Where it listens. */
    public readonly url: string,
  ) {}

  /** @param name of a file of `bench/floors`, which sends its address when it is ready */
  public static async start(name: string, ...args: readonly string[]): Promise<Floor> {
    const child = fork(path.join(__dirname, '..', 'floors', name), args, { execArgv: process.execArgv });
    const [url] = (await once(child, 'message')) as [string];
    return new Floor(child, url);
  }

  public get pid(): number {
    return this.child.pid ?? 0;
  }

  public async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }
}
