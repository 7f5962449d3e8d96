import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import type { BuildLogAppended } from '../events/build-events';
import type { LogFlush } from './build-logs.repository';
import { ChunkBuffer, chunksOf, type LogChunk } from './log-chunk';
import type { LogEntry } from './log-entry';

/** What a writer needs of the store. */
export interface LogWriterStore {
  /** @throws LeaseLost */
  flush(flush: LogFlush): Promise<BuildLogAppended>;
  closeWith(
    manager: EntityManager,
    buildId: string,
    outcome: string,
    chunks: readonly LogChunk[],
    token: string,
  ): Promise<BuildLogAppended | null>;
}

export interface LogWriterOptions {
  readonly buildId: string;
  /** The lease under which this writer writes. */
  readonly token: string;
  readonly store: LogWriterStore;
  /** Told after each commit. */
  readonly onStored: (event: BuildLogAppended) => void;
  /** True for an error after which the same flush may well succeed. */
  readonly isTrouble: (error: unknown) => boolean;
  /** Bytes of text that may wait before writers must. */
  readonly bufferBytes?: number;
}

/** How long a writer under load gathers lines before it stores them. */
const gatherMs = 20;
/** With more, lines wait so long that V8 takes them for old ones, and keeps what was stored long since. */
const usualBufferBytes = 1_024 * 1_024;
const firstRetryMs = 50;
const lastRetryMs = 2_000;

/**
 * Writes the log of one running build. An idle writer stores a line at once; while a flush is under way the next lines
 * gather, so that a busy one stores batches. Nothing is ever dropped: when the store is behind, `write` makes its caller
 * wait, and a flush that failed by trouble with the database is repeated until it is known to be stored.
 */
export class LogWriter {
  /** Resolves with the reason once this writer may write no more, LeaseLost as a rule; never rejects. */
  public readonly lost: Promise<Error>;
  private reportLost: (reason: Error) => void = () => undefined;
  private readonly buffer = new ChunkBuffer();
  private readonly stopping = new AbortController();
  private pumping: Promise<void> | undefined;
  private flushing: LogChunk | undefined;
  private lastFlushAt = Number.NEGATIVE_INFINITY;
  private seq = 0;
  private wakePump: (() => void) | undefined;
  private room: PromiseWithResolvers | undefined;

  public constructor(private readonly options: LogWriterOptions) {
    this.lost = new Promise((resolve) => {
      this.reportLost = resolve;
    });
  }

  /** Takes a line. A promise means that too many wait: write the next when it resolves. */
  public write(entry: LogEntry): void | Promise<void> {
    if (this.stopped) return;
    this.buffer.add(entry);
    if (this.buffer.hasFullChunk) this.wakePump?.();
    this.startPump();
    if (!this.isFull) return;
    this.room ??= withResolvers();
    return this.room.promise;
  }

  /** Resolves when every line written so far is stored, or never will be. */
  public async drain(): Promise<void> {
    while (this.pumping !== undefined) {
      this.wakePump?.();
      await this.pumping;
    }
  }

  /**
   * The writer's part in the transaction that ends the build: stores what still waits and the last lines, and closes
   * the log. Call `drain` before the transaction begins. When the transaction failed it may be called again. Publish
   * what it returns after the commit; null: the log is not this writer's any more, and took nothing.
   */
  public async finish(
    manager: EntityManager,
    outcome: string,
    lastEntries: readonly LogEntry[],
  ): Promise<BuildLogAppended | null> {
    if (this.flushing !== undefined) throw new Error('The writer must be drained before the log is closed');
    if (this.stopped) return null;
    const { store, buildId, token } = this.options;
    return store.closeWith(manager, buildId, outcome, [...this.buffer.peek(), ...chunksOf(lastEntries)], token);
  }

  /** Gives up what is not stored yet. Later lines are discarded. */
  public stop(): void {
    this.stopping.abort();
    this.buffer.clear();
    this.wakePump?.();
    this.makeRoom();
  }

  private get stopped(): boolean {
    return this.stopping.signal.aborted;
  }

  private get isFull(): boolean {
    const inFlight = this.flushing?.lines.length ?? 0;
    return this.buffer.bytes + inFlight >= (this.options.bufferBytes ?? usualBufferBytes);
  }

  private startPump(): void {
    this.pumping ??= this.pump().finally(() => {
      this.pumping = undefined;
      if (!this.buffer.isEmpty) this.startPump();
    });
  }

  private async pump(): Promise<void> {
    // Lines that are written one after another without waiting go together.
    await Promise.resolve();
    while (!this.buffer.isEmpty) {
      await this.gather();
      this.flushing = this.buffer.take();
      if (this.flushing === undefined) return;
      this.lastFlushAt = performance.now();
      await this.store(this.flushing);
      this.flushing = undefined;
      if (!this.isFull) this.makeRoom();
    }
  }

  /** Waits until the last flush began 20 ms ago or a chunk is full; not at all when the writer was idle. */
  private async gather(): Promise<void> {
    const wait = gatherMs - (performance.now() - this.lastFlushAt);
    if (wait <= 0 || this.buffer.hasFullChunk || this.stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, wait);
      this.wakePump = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.wakePump = undefined;
  }

  private async store(chunk: LogChunk): Promise<void> {
    const { buildId, token, store, onStored, isTrouble } = this.options;
    const seq = this.seq + 1;
    for (let delay = firstRetryMs; !this.stopped; delay = Math.min(delay * 2, lastRetryMs)) {
      try {
        const event = await store.flush({ buildId, token, seq, chunk });
        this.seq = seq;
        onStored(event);
        return;
      } catch (error) {
        if (!isTrouble(error)) {
          this.lose(error);
          return;
        }
        // The same lines under the same number: what had been stored after all is not stored twice.
        await sleep(delay, undefined, { signal: this.stopping.signal }).catch(() => undefined);
      }
    }
  }

  private lose(reason: unknown): void {
    this.stop();
    this.reportLost(reason instanceof Error ? reason : new Error('The log could not be written', { cause: reason }));
  }

  private makeRoom(): void {
    this.room?.resolve();
    this.room = undefined;
  }
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

function withResolvers(): PromiseWithResolvers {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
