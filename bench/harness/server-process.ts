import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/**
 * A server of the bench, as a process of its own: a floor, which is the least program that does what the product does, or parts of
 * the product.
 */
export class ServerProcess {
  private constructor(
    private readonly child: ChildProcess,
    /** Where it listens. */
    public readonly url: string,
  ) {}

  /** @param name of a file of `bench/floors`, which sends its address when it is ready */
  public static async floor(name: string, ...args: readonly string[]): Promise<ServerProcess> {
    return ServerProcess.fork(path.join('floors', name), args);
  }

  /** The same of a file of `bench/programs`: a server of the product that only the bench composes. */
  public static async program(
    name: string,
    settings: Readonly<Record<string, string>>,
    ...args: readonly string[]
  ): Promise<ServerProcess> {
    return ServerProcess.fork(path.join('programs', name), args, settings);
  }

  private static async fork(
    file: string,
    args: readonly string[],
    settings: Readonly<Record<string, string>> = {},
  ): Promise<ServerProcess> {
    const env = { PATH: process.env.PATH, ...settings };
    const child = fork(path.join(__dirname, '..', file), args, { execArgv: process.execArgv, env });
    const [url] = (await once(child, 'message')) as [string];
    return new ServerProcess(child, url);
  }

  /** Tells it how much it shall do. */
  public ask(amount: number): void {
    this.child.send(amount);
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
