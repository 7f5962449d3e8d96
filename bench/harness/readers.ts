import { fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Child } from './child';

/** What clients have read in a round. */
export interface Reading {
  /** Lines, of all clients together. */
  readonly count: number;
  /** Of the time from the printing of a line to its frame at a client; ms. */
  readonly median: number;
  readonly p99: number;
  /** Lines that a client was not sent, or in another order, since it was connected. */
  readonly gaps: number;
}

export interface ReadersOptions {
  /** Where the stream of one build is served, by each replica: they take turns. */
  readonly urls: readonly string[];
  readonly clients: number;
  readonly token: string;
}

/** Clients of a ticking build, in a process of their own. */
export class Readers {
  private constructor(private readonly child: Child) {}

  /** Resolves when each has read a line. */
  public static async open({ urls, clients, token }: ReadersOptions): Promise<Readers> {
    const args = [token, String(clients), ...urls];
    const child = new Child(fork(require.resolve('./reader-process'), args, { execArgv: process.execArgv }));
    await child.message();
    return new Readers(child);
  }

  /** What they read within this time. */
  public async read(seconds: number): Promise<Reading> {
    this.child.send('begin');
    await sleep(seconds * 1_000);
    this.child.send('end');
    return this.child.message<Reading>();
  }

  public close(): Promise<void> {
    return this.child.end();
  }
}
