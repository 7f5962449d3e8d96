import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildLogAppended } from '../events/build-events';
import type { LogFlush } from './build-logs.repository';
import { LeaseLost } from './lease-lost';
import { logEntry } from './log-entry';
import { LogWriter, type LogWriterOptions } from './log-writer';

class Trouble extends Error {}

/** A store that is as slow, or as broken, as the test says. */
class Store {
  public readonly flushes: LogFlush[] = [];
  public answer: (flush: LogFlush) => Promise<void> = () => Promise.resolve();

  public async flush(flush: LogFlush): Promise<BuildLogAppended> {
    this.flushes.push(flush);
    await this.answer(flush);
    const { buildId, chunk } = flush;
    return { buildId, firstLine: 0, totalLines: chunk.lineCount, lines: chunk.lines, ended: false };
  }

  public closeWith(): Promise<null> {
    return Promise.resolve(null);
  }
}

function open(store: Store, options: Partial<LogWriterOptions> = {}): LogWriter {
  return new LogWriter({
    buildId: 'build',
    token: 'token',
    store,
    onStored: () => undefined,
    isTrouble: (error) => error instanceof Trouble,
    ...options,
  });
}

const line = (message: string): ReturnType<typeof logEntry> => logEntry('INFO', message);

describe('LogWriter', () => {
  it('stores a line at once when idle, and gathers the next ones meanwhile', async () => {
    const store = new Store();
    const writer = open(store);
    void writer.write(line('first'));
    await sleep(1);
    expect(store.flushes).toHaveLength(1);
    for (let index = 0; index < 50; index += 1) void writer.write(line(String(index)));
    await writer.drain();
    expect(store.flushes.map(({ seq, chunk }) => [seq, chunk.lineCount])).toEqual([
      [1, 1],
      [2, 50],
    ]);
  });

  it('gathers for 20 ms at most, and stores 1000 lines without waiting', async () => {
    const store = new Store();
    const writer = open(store);
    void writer.write(line('first'));
    await sleep(1);
    const startedAt = performance.now();
    void writer.write(line('second'));
    while (store.flushes.length < 2) await sleep(1);
    expect(performance.now() - startedAt).toBeLessThan(200);
    for (let index = 0; index < 1_001; index += 1) void writer.write(line(String(index)));
    await sleep(1);
    expect(store.flushes[2]?.chunk.lineCount).toBe(1_000);
    await writer.drain();
    expect(store.flushes[3]?.chunk.lineCount).toBe(1);
  });

  it('makes its caller wait while too much is held, and loses nothing', async () => {
    const store = new Store();
    let release: () => void = () => undefined;
    store.answer = () =>
      new Promise((resolve) => {
        release = resolve;
      });
    const writer = open(store, { bufferBytes: 1_000 });
    let written = 1;
    let waiting = writer.write(line('first'));
    for (; waiting === undefined; written += 1) waiting = writer.write(line('x'.repeat(50)));
    expect(written).toBeGreaterThan(3);
    let isFree = false;
    const freed = waiting.then(() => {
      isFree = true;
    });
    await sleep(30);
    expect(isFree).toBe(false);
    store.answer = () => Promise.resolve();
    release();
    await freed;
    await writer.drain();
    expect(store.flushes.reduce((sum, { chunk }) => sum + chunk.lineCount, 0)).toBe(written);
  });

  it('repeats a flush that failed by trouble, with the same number and the same lines', async () => {
    const store = new Store();
    let troubles = 2;
    store.answer = () => (troubles-- > 0 ? Promise.reject(new Trouble()) : Promise.resolve());
    const writer = open(store);
    void writer.write(line('one'));
    await sleep(1);
    void writer.write(line('two'));
    await writer.drain();
    expect(store.flushes.map(({ seq }) => seq)).toEqual([1, 1, 1, 2]);
    expect(new Set(store.flushes.slice(0, 3).map(({ chunk }) => chunk.lines)).size).toBe(1);
  });

  it.each([new LeaseLost('build'), new Error('a mistake of ours')])(
    'reports "%s" once, and discards what comes later',
    async (reason) => {
      const store = new Store();
      store.answer = () => Promise.reject(reason);
      const writer = open(store, { bufferBytes: 1 });
      const waiting = writer.write(line('one'));
      await expect(writer.lost).resolves.toBe(reason);
      await waiting;
      expect(writer.write(line('two'))).toBeUndefined();
      await writer.drain();
      expect(store.flushes).toHaveLength(1);
    },
  );

  it('ends its repeats when it is stopped', async () => {
    const store = new Store();
    store.answer = () => Promise.reject(new Trouble());
    const writer = open(store);
    void writer.write(line('one'));
    await sleep(5);
    writer.stop();
    await writer.drain();
    expect(store.flushes.length).toBeLessThan(3);
  });
});
