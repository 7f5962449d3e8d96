import type { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { LineSplitter } from './line-splitter';
import type { MaskedStream } from './secret-mask';

/** After so long without a byte an unfinished line is delivered as it is. */
const idleMs = 500;

/** What is looked at in one piece. */
const sliceBytes = 8_192;

/** How long a pipe that nobody is known to write to may stay silent without ending. */
const abandonMs = 1_000;

/**
 * Reads one output pipe of a process and delivers its lines, one after the other; while a delivery waits, nothing is
 * read.
 */
export class OutputReader {
  private readonly splitter: LineSplitter;
  private idleTimer: NodeJS.Timeout | undefined;
  private abandonTimer: NodeJS.Timeout | undefined;
  private flushing: Promise<void> = Promise.resolve();
  private waiting = true;
  private writersGone = false;
  private abandoned = false;
  private patient = true;
  private stopWaiting: () => void = () => undefined;

  public constructor(
    private readonly pipe: Readable,
    private readonly deliver: (text: string) => void | Promise<void>,
    mask: MaskedStream | null,
  ) {
    this.splitter = new LineSplitter(mask);
  }

  /** Returns after the last line was delivered. @throws what `deliver` throws. */
  public async read(): Promise<void> {
    try {
      for await (const chunk of this.pipe as AsyncIterable<Buffer>) {
        this.disarm();
        await this.flushing;
        for (let at = 0; at < chunk.length; at += sliceBytes) {
          await this.deliverAll(this.splitter.write(chunk.subarray(at, at + sliceBytes)));
          // Who prints may make it dear to look for secrets in it: all others have their turn meanwhile.
          await setImmediate();
        }
        this.arm();
      }
    } catch (error) {
      if (!this.abandoned) throw error;
    } finally {
      this.disarm();
    }
    await this.flushing;
    await this.deliverAll(this.splitter.end());
  }

  /** All known writers are dead: what the pipe still holds is read, but a silent pipe is no longer waited for. */
  public expectEnd(): void {
    this.writersGone = true;
    if (this.waiting) this.arm();
  }

  /** From now on lines are delivered without waiting for the receiver. */
  public hurry(): void {
    this.patient = false;
    this.stopWaiting();
  }

  private async deliverAll(lines: readonly string[]): Promise<void> {
    for (const line of lines) {
      const delivery = this.deliver(line);
      if (delivery === undefined) continue;
      const stopped = new Promise<void>((resolve) => {
        this.stopWaiting = resolve;
      });
      if (!this.patient) this.stopWaiting();
      await Promise.race([delivery, stopped]);
    }
  }

  private arm(): void {
    this.disarm();
    this.waiting = true;
    this.idleTimer = setTimeout(() => {
      this.flushing = this.deliverAll(this.splitter.flush());
      this.flushing.catch((error: unknown) => this.pipe.destroy(error instanceof Error ? error : undefined));
    }, idleMs);
    if (!this.writersGone) return;
    this.abandonTimer = setTimeout(() => {
      this.abandoned = true;
      this.pipe.destroy();
    }, abandonMs);
  }

  private disarm(): void {
    this.waiting = false;
    clearTimeout(this.idleTimer);
    clearTimeout(this.abandonTimer);
  }
}
