import fc from 'fast-check';
import type { LogHead } from './build-logs.repository';
import { FramedLines } from './framed-lines';
import { logEntry } from './log-entry';
import type { LogPage } from './log-page';
import type { LogSink } from './log-sink';
import { LogStream } from './log-stream';
import { logStreamOptions } from './log-stream-options';

const buildId = 'build';

/** A log in memory, with answers as late as the test wants. */
class Store {
  public readonly lines: string[] = [];
  public outcome: string | null = null;
  public deleted = false;
  public fails = 0;
  public reads = 0;
  public pause: () => Promise<void> = () => Promise.resolve();

  public async heads(): Promise<Map<string, LogHead>> {
    if (this.fails-- > 0) throw new Error('the database is away');
    const closedAt = this.outcome === null ? null : new Date();
    const head = { totalLines: this.lines.length, closedAt, outcome: this.outcome, deleted: this.deleted };
    await this.pause();
    return new Map([[buildId, head]]);
  }

  public async page(_: string, offset: number, limit: number): Promise<LogPage> {
    this.reads += 1;
    const part = this.lines.slice(offset, offset + Math.min(limit, 3));
    await this.pause();
    return { firstLine: offset, lineCount: part.length, lines: part.join('\n') };
  }

  /** Adds lines and returns them as the hub would pass them on. */
  public add(...messages: string[]): FramedLines {
    const texts = messages.map((message) => JSON.stringify(logEntry('INFO', message)));
    const firstLine = this.lines.length;
    this.lines.push(...texts);
    return FramedLines.of(buildId, firstLine, texts.join('\n'));
  }

  public get messages(): string[] {
    return this.lines.map((line) => (JSON.parse(line) as { message: string }).message);
  }
}

class Sink implements LogSink {
  public isOpen = true;
  public buffered = 0;
  public pending = 0;
  public end: [number, string] | null = null;
  public readonly frames: Buffer[] = [];
  private readonly flushing: (() => void)[] = [];

  public write(frames: Buffer): void {
    this.frames.push(frames);
  }

  public async flushed(): Promise<void> {
    await new Promise<void>((resolve) => this.flushing.push(resolve));
  }

  public drain(): void {
    this.buffered = 0;
    for (const resolve of this.flushing.splice(0)) resolve();
  }

  public ping(): void {
    return;
  }

  public close(code: number, reason: string): void {
    this.end = [code, reason];
    this.isOpen = false;
  }

  public terminate(): void {
    this.isOpen = false;
  }

  public get messages(): string[] {
    return Buffer.concat(this.frames)
      .toString()
      .split('{"build_id"')
      .slice(1)
      .map((text) => /"message":"([^"]*)"/.exec(text)?.[1] ?? '?');
  }
}

const streams: LogStream[] = [];

function follow(store: Store, sink: Sink, offset = 0): LogStream {
  const start = { buildId, offset, expiresAt: Date.now() + 60_000 };
  const stream = new LogStream(start, sink, store, { ...logStreamOptions, retryMs: 5 });
  streams.push(stream);
  stream.wake();
  return stream;
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

afterEach(() => {
  for (const stream of streams.splice(0)) stream.stop();
});

describe('LogStream', () => {
  it('takes new lines from the hub once it is live, without reading the store', async () => {
    const [store, sink] = [new Store(), new Sink()];
    store.add('a', 'b', 'c', 'd');
    const stream = follow(store, sink);
    await settled();
    expect(stream.isLive).toBe(true);
    const reads = store.reads;
    stream.offer(store.add('e'));
    expect(sink.messages).toEqual(['a', 'b', 'c', 'd', 'e']);
    await settled();
    expect(store.reads).toBe(reads);
  });

  it('reads the store over a gap, takes the new part of an overlap, and ignores what it has', async () => {
    const [store, sink] = [new Store(), new Sink()];
    const stream = follow(store, sink);
    await settled();
    store.add('a');
    stream.offer(store.add('b'));
    await settled();
    expect(sink.messages).toEqual(['a', 'b']);
    const overlap = FramedLines.of(buildId, 1, store.lines.slice(1).join('\n'));
    stream.offer(overlap);
    const more = store.add('c');
    stream.offer(FramedLines.of(buildId, 0, store.lines.join('\n')));
    stream.offer(more);
    expect(sink.messages).toEqual(['a', 'b', 'c']);
  });

  it('falls behind a client that is slow, and reads on when the client has drained', async () => {
    const [store, sink] = [new Store(), new Sink()];
    const stream = follow(store, sink);
    await settled();
    sink.buffered = logStreamOptions.bufferBytes;
    stream.offer(store.add('a'));
    await settled();
    expect(sink.messages).toEqual([]);
    expect(stream.isLive).toBe(false);
    sink.drain();
    await settled();
    expect(sink.messages).toEqual(['a']);
    expect(stream.isLive).toBe(true);
  });

  it('closes after the last line, when the client has taken it', async () => {
    const [store, sink] = [new Store(), new Sink()];
    store.add('a');
    store.outcome = 'success';
    sink.buffered = 10;
    follow(store, sink);
    await settled();
    expect(sink.end).toBeNull();
    sink.drain();
    await settled();
    expect(sink.end).toEqual([1000, 'success']);
    expect(sink.messages).toEqual(['a']);
  });

  it('closes 4404 when the log is deleted, also by what the hub has read', async () => {
    const [store, first, second] = [new Store(), new Sink(), new Sink()];
    const stream = follow(store, first);
    await settled();
    stream.settle(undefined);
    expect(first.end?.[0]).toBe(4404);
    store.deleted = true;
    follow(store, second);
    await settled();
    expect(second.end?.[0]).toBe(4404);
  });

  it('asks again when the store did not answer', async () => {
    const [store, sink] = [new Store(), new Sink()];
    store.add('a');
    store.fails = 2;
    follow(store, sink);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(sink.messages).toEqual(['a']);
  });

  it('writes nothing any more when its connection is gone', async () => {
    const [store, sink] = [new Store(), new Sink()];
    const stream = follow(store, sink);
    await settled();
    stream.stop();
    stream.offer(store.add('a'));
    stream.wake();
    await settled();
    expect(sink.frames).toEqual([]);
  });

  it('sends each line once and in order, however events, reads, drains and the end fall together', async () => {
    const step = fc.constantFrom('write', 'write unheard', 'wake', 'settle', 'clog', 'drain', 'turn', 'close');
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), fc.nat(5), async (steps, offset) => {
        const [store, sink] = [new Store(), new Sink()];
        store.pause = () => new Promise((resolve) => setImmediate(resolve));
        store.add('x', 'y');
        const stream = follow(store, sink, offset);
        let count = 0;
        for (const what of steps) {
          if (what.startsWith('write') && store.outcome === null) {
            const lines = store.add(`${count++}`, `${count++}`);
            if (what === 'write') stream.offer(lines);
          } else if (what === 'wake') stream.wake();
          else if (what === 'settle') stream.settle((await store.heads()).get(buildId));
          else if (what === 'clog') sink.buffered = logStreamOptions.bufferBytes;
          else if (what === 'drain') sink.drain();
          else if (what === 'turn') await new Promise((resolve) => setImmediate(resolve));
          else if (what === 'close') store.outcome = 'success';
        }
        store.outcome = 'success';
        stream.wake();
        for (let turn = 0; turn < 20 && sink.end === null; turn += 1) {
          sink.drain();
          await settled();
        }
        expect(sink.messages).toEqual(store.messages.slice(offset));
        expect(sink.end).toEqual([1000, 'success']);
        stream.stop();
      }),
      { numRuns: 60 },
    );
  });
});
