import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';

export interface SinkOptions {
  /** Of a WebSocket. */
  readonly url: string;
  readonly clients: number;
  readonly token?: string;
}

/** Clients in a process of its own, which take all that their WebSockets send and parse none of it. */
export class Sink {
  private constructor(private readonly child: ChildProcess) {}

  /** Resolves when all of them are connected. */
  public static async open({ url, clients, token = '' }: SinkOptions): Promise<Sink> {
    const child = fork(require.resolve('./sink-process'), [url, String(clients), token], {
      execArgv: process.execArgv,
    });
    await once(child, 'message');
    return new Sink(child);
  }

  /** Resolves when each client has been sent this much since it was connected, in bytes of frames. */
  public async received(bytes: number): Promise<void> {
    this.child.send(bytes);
    await once(this.child, 'message');
  }

  /** Ends the process and with it the connections. */
  public async close(): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill();
    await ended;
  }
}
