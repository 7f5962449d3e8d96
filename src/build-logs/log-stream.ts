import type { LogHead } from './build-logs.repository';
import { FramedLines } from './framed-lines';
import type { LogPage } from './log-page';
import type { LogSink } from './log-sink';
import type { LogStreamOptions } from './log-stream-options';
import { StreamPulse } from './stream-pulse';

/** What a stream reads. Both answer for a build whose reader was let in before. */
export interface LogStreamStore {
  heads(buildIds: readonly string[]): Promise<ReadonlyMap<string, LogHead>>;
  page(buildId: string, offset: number, limit: number, bytes: number): Promise<LogPage>;
}

export interface LogStreamStart {
  readonly buildId: string;
  /** The first line that the client wants. */
  readonly offset: number;
  /** When the client's token ends, in milliseconds since the epoch. */
  readonly expiresAt: number;
}

/** The most lines of one page: of chunks that are nearly empty, so that a page is bounded in rows as well. */
export const pageLines = 2_000;

/**
 * One subscriber: a cursor over the stored log. While it has sent every line that it knows of it is *live*, and takes
 * new lines from the hub as they are stored, already framed. When it misses some, or its client is slow, it is
 * *behind*, and reads the store in pages, each when the client has taken most of the last. Memory never holds a queue.
 *
 * It reads "is the log closed?" before the last lines and closes after them, so it cannot miss the tail.
 */
export class LogStream {
  public readonly buildId: string;
  private next: number;
  private readonly pulse: StreamPulse;
  /** There may be something in the store that was not looked at. */
  private dirty = false;
  private busy = false;
  private ended = false;
  private retry: NodeJS.Timeout | undefined;

  public constructor(
    { buildId, offset, expiresAt }: LogStreamStart,
    private readonly sink: LogSink,
    private readonly store: LogStreamStore,
    private readonly options: LogStreamOptions,
  ) {
    this.buildId = buildId;
    this.next = offset;
    this.pulse = new StreamPulse(sink, options, expiresAt);
  }

  /** The number of the next line to send. */
  public get position(): number {
    return this.next;
  }

  public get isLive(): boolean {
    return this.isOpen && !this.busy && !this.dirty;
  }

  /** It is behind, or sends the last lines of a log that has ended. */
  public get isCatchingUp(): boolean {
    return this.isOpen && !this.isLive;
  }

  /** Looks into the store. */
  public wake(): void {
    this.dirty = true;
    if (this.busy || !this.isOpen) return;
    clearTimeout(this.retry);
    this.busy = true;
    void this.catchUp()
      .catch(() => {
        // The store does not answer. What was sent stays sent, and the rest is asked for again.
        this.dirty = true;
        this.retry = setTimeout(() => {
          this.wake();
        }, this.options.retryMs).unref();
      })
      .finally(() => {
        this.busy = false;
        if (this.dirty && this.retry === undefined) this.wake();
      });
  }

  /** Takes lines that were stored just now. */
  public offer(lines: FramedLines): void {
    if (!this.isOpen || lines.end <= this.next) return;
    const frames = lines.since(this.next);
    const fits = this.sink.buffered + frames.length <= this.options.bufferBytes;
    if (this.isLive && frames.length > 0 && fits) this.write(frames, lines.end);
    else this.wake();
  }

  /** Takes what the store said of the log, after all its lines were offered. */
  public settle(head: LogHead | undefined): void {
    if (!this.isOpen) return;
    if (head === undefined || head.deleted) {
      this.end(4404, 'The build was deleted');
    } else if (this.isLive && head.closedAt !== null && this.next >= head.totalLines) {
      void this.endAfterDrain(head);
    }
  }

  public ponged(payload: string): void {
    this.pulse.ponged(payload);
  }

  /** The connection is gone. */
  public stop(): void {
    this.ended = true;
    this.pulse.stop();
    clearTimeout(this.retry);
  }

  private get isOpen(): boolean {
    return !this.ended && this.sink.isOpen;
  }

  private async catchUp(): Promise<void> {
    this.retry = undefined;
    while (this.dirty && this.isOpen) {
      this.dirty = false;
      const head = (await this.store.heads([this.buildId])).get(this.buildId);
      if (head === undefined || head.deleted) {
        this.end(4404, 'The build was deleted');
        return;
      }
      await this.sendUpTo(head.totalLines);
      if (head.closedAt !== null && this.next >= head.totalLines) await this.endAfterDrain(head);
    }
  }

  private async sendUpTo(totalLines: number): Promise<void> {
    const { bufferBytes, pageBytes } = this.options;
    while (this.next < totalLines && this.isOpen) {
      if (this.sink.buffered > bufferBytes / 4) await this.sink.flushed();
      const page = await this.store.page(this.buildId, this.next, pageLines, pageBytes);
      // Only a log that is being purged has fewer lines than its head says.
      if (page.lineCount === 0) {
        this.dirty = true;
        throw new Error(`Build ${this.buildId} has no line ${this.next}`);
      }
      this.write(FramedLines.of(this.buildId, this.next, page.lines).since(this.next), this.next + page.lineCount);
    }
  }

  private write(frames: Buffer, end: number): void {
    if (!this.isOpen) return;
    this.sink.write(frames);
    this.next = end;
    this.pulse.wrote(frames.length);
  }

  /** Closes when the client has taken the last line, so that the time for closing does not cut off a slow one. */
  private async endAfterDrain({ outcome }: LogHead): Promise<void> {
    this.busy = true;
    while (this.isOpen && this.sink.buffered > 0) await this.sink.flushed();
    this.end(1000, outcome ?? '');
  }

  private end(code: number, reason: string): void {
    if (!this.isOpen) return;
    this.pulse.stop();
    this.sink.close(code, reason);
    this.ended = true;
  }
}
