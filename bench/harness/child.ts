import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** A forked process that is waited for: its end while something is expected of it is an error, and not a silence. */
export class Child {
  private readonly ended: Promise<unknown>;

  public constructor(private readonly process: ChildProcess) {
    this.ended = once(process, 'exit');
  }

  public send(message: string): void {
    this.process.send(message);
  }

  /** What it sends next. @throws Error when it ends instead */
  public async message<Message>(): Promise<Message> {
    const ended = this.ended.then(() =>
      Promise.reject(new Error(`${this.process.spawnargs.join(' ')} ended too early`)),
    );
    const [message] = (await Promise.race([once(this.process, 'message'), ended])) as [Message];
    return message;
  }

  public async end(): Promise<void> {
    this.process.kill();
    await this.ended;
  }
}
