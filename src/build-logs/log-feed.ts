import type { BuildLogAppended } from '../events/build-events';
import type { LogHead } from './build-logs.repository';
import { FramedLines } from './framed-lines';
import { type LogStream, type LogStreamStore, pageLines } from './log-stream';
import type { LogStreamOptions } from './log-stream-options';

/** The subscribers of one build in this process. What they share is framed once, or read once. */
export class LogFeed {
  private readonly streams = new Set<LogStream>();
  private refreshing = false;
  private again = false;
  private retry: NodeJS.Timeout | undefined;

  public constructor(
    private readonly buildId: string,
    private readonly store: LogStreamStore,
    private readonly options: Pick<LogStreamOptions, 'pageBytes' | 'retryMs'>,
    private readonly onTrouble: (error: unknown) => void,
  ) {}

  public get isEmpty(): boolean {
    return this.streams.size === 0;
  }

  /** Whether a subscriber has yet to be sent what is stored. */
  public get isCatchingUp(): boolean {
    return [...this.streams].some((stream) => stream.isCatchingUp);
  }

  public add(stream: LogStream): void {
    this.streams.add(stream);
  }

  public remove(stream: LogStream): void {
    this.streams.delete(stream);
  }

  /** Passes on lines that this process has stored. */
  public appended({ firstLine, lines, ended }: BuildLogAppended): void {
    if (lines !== '') this.offer([...this.streams], FramedLines.of(this.buildId, firstLine, lines));
    if (ended || lines === '') this.refresh();
  }

  /** Brings the live streams up to what the store has. */
  public refresh(): void {
    if (this.refreshing) {
      this.again = true;
      return;
    }
    this.refreshing = true;
    void this.readOnce()
      .catch((error: unknown) => {
        this.onTrouble(error);
        // Who was woken and could not look is not woken again.
        clearTimeout(this.retry);
        this.retry = setTimeout(() => {
          this.refresh();
        }, this.options.retryMs).unref();
      })
      .finally(() => {
        this.refreshing = false;
        if (!this.again) return;
        this.again = false;
        this.refresh();
      });
  }

  /** Brings the live streams up to a head that was read; undefined: the log is gone. */
  public async advance(head: LogHead | undefined): Promise<void> {
    const totalLines = head === undefined || head.deleted ? 0 : head.totalLines;
    for (;;) {
      const waiting = [...this.streams].filter((stream) => stream.isLive && stream.position < totalLines);
      const from = waiting.reduce((least, { position }) => Math.min(least, position), totalLines);
      if (from === totalLines) break;
      const page = await this.store.page(this.buildId, from, pageLines, this.options.pageBytes);
      if (page.lineCount === 0) break;
      this.offer(waiting, FramedLines.of(this.buildId, from, page.lines));
    }
    for (const stream of this.streams) stream.settle(head);
  }

  private async readOnce(): Promise<void> {
    if (this.isEmpty) return;
    await this.advance((await this.store.heads([this.buildId])).get(this.buildId));
  }

  private offer(streams: readonly LogStream[], lines: FramedLines): void {
    for (const stream of streams) stream.offer(lines);
  }
}
