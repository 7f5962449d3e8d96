import { fork } from 'node:child_process';
import { Child } from './child';
import type { SinkOptions } from './sink';

/** Clients that stay connected, answer pings and wait, in a process of their own. */
export class IdleClients {
  private constructor(private readonly child: Child) {}

  /** Resolves when all are connected. */
  public static async open({ url, clients, token = '' }: SinkOptions): Promise<IdleClients> {
    const args = [url, String(clients), token];
    const child = new Child(fork(require.resolve('./idle-process'), args, { execArgv: process.execArgv }));
    await child.message();
    return new IdleClients(child);
  }

  public close(): Promise<void> {
    return this.child.end();
  }
}
