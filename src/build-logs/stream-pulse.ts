import type { LogSink } from './log-sink';
import type { LogStreamOptions } from './log-stream-options';

/** So much may have been written since the last answered ping without counting as a backlog in the client's hands. */
const smallBacklog = 64 * 1_024;
/** A long replay is sprinkled with pings, so that a slow reader's pongs show that it reads. */
const pingEveryBytes = 256 * 1_024;
const longestTimer = 2_147_483_647;

/**
 * Watches over one client: pings it, and says when it is gone or stuck. A client that has nothing left to read must
 * answer each ping before the next one. One with a backlog cannot, as the ping waits behind the backlog: it is judged
 * by whether it takes anything at all.
 */
export class StreamPulse {
  private readonly interval: NodeJS.Timeout;
  private readonly beatMs: number;
  private nextPingAt: number;
  private expiry: NodeJS.Timeout | undefined;
  private written = 0;
  private pinged = 0;
  /** Bytes that the client has read for certain: each ping carries the count, and comes back. */
  private confirmed = 0;
  private awaitsPong = false;
  private progressAt = performance.now();
  private lastBuffered = 0;
  private lastPending = 0;

  public constructor(
    private readonly sink: LogSink,
    private readonly options: Pick<LogStreamOptions, 'pingMs' | 'stallMs'>,
    /** When the client's token ends, in milliseconds since the epoch. */
    private readonly expiresAt: number,
  ) {
    this.beatMs = Math.min(options.pingMs, options.stallMs / 4);
    this.nextPingAt = performance.now() + options.pingMs - this.beatMs / 2;
    this.interval = setInterval(() => {
      this.beat(performance.now());
    }, this.beatMs).unref();
    this.awaitExpiry();
  }

  /** Counts what was written to the sink. */
  public wrote(bytes: number): void {
    this.written += bytes;
    if (this.written - this.pinged >= pingEveryBytes) this.ping();
  }

  public ponged(payload: string): void {
    this.awaitsPong = false;
    this.progressAt = performance.now();
    const count = Number(payload);
    if (count > this.confirmed && count <= this.written) this.confirmed = count;
  }

  public stop(): void {
    clearInterval(this.interval);
    clearTimeout(this.expiry);
  }

  private beat(now: number): void {
    this.noteProgress(now);
    if (this.hasBacklog) {
      if (this.sink.buffered === 0 && this.pinged < this.written) this.ping();
      if (now - this.progressAt < this.options.stallMs) return;
      this.stop();
      this.sink.close(1013, 'The client reads too slowly; resume by offset');
      return;
    }
    this.progressAt = now;
    if (now < this.nextPingAt) return;
    this.nextPingAt = now + this.options.pingMs - this.beatMs / 2;
    if (this.awaitsPong) {
      this.sink.terminate();
      return;
    }
    this.awaitsPong = true;
    this.ping();
  }

  private get hasBacklog(): boolean {
    return this.sink.buffered > 0 || this.written - this.confirmed > smallBacklog;
  }

  private noteProgress(now: number): void {
    const { buffered, pending } = this.sink;
    if (buffered < this.lastBuffered || pending !== this.lastPending) this.progressAt = now;
    this.lastBuffered = buffered;
    this.lastPending = pending;
  }

  private ping(): void {
    this.pinged = this.written;
    this.sink.ping(String(this.written));
  }

  private awaitExpiry(): void {
    const left = this.expiresAt - Date.now();
    if (left > longestTimer) {
      this.expiry = setTimeout(() => {
        this.awaitExpiry();
      }, longestTimer).unref();
      return;
    }
    this.expiry = setTimeout(
      () => {
        this.stop();
        this.sink.close(4401, 'The access token has expired');
      },
      Math.max(0, left),
    ).unref();
  }
}
