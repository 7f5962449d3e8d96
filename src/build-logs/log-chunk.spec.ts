import { ChunkBuffer, chunksOf } from './log-chunk';
import { logEntry } from './log-entry';

describe('ChunkBuffer', () => {
  it('cuts chunks of at most 1000 lines', () => {
    const chunks = chunksOf(Array.from({ length: 2_001 }, (_, line) => logEntry('INFO', String(line))));
    expect(chunks.map(({ lineCount }) => lineCount)).toEqual([1_000, 1_000, 1]);
  });

  it('cuts chunks of at most 112 KiB, in bytes', () => {
    const chunks = chunksOf(Array.from({ length: 30 }, () => logEntry('INFO', 'ü'.repeat(20_000))));
    expect(chunks.length).toBeGreaterThan(4);
    for (const { lines } of chunks) expect(Buffer.byteLength(lines)).toBeLessThanOrEqual(112 * 1_024);
    expect(chunks.reduce((sum, { lineCount }) => sum + lineCount, 0)).toBe(30);
  });

  it('takes a line that is longer than a chunk as a chunk of its own', () => {
    const chunks = chunksOf([logEntry('INFO', 'a'), logEntry('INFO', 'x'.repeat(300_000)), logEntry('INFO', 'b')]);
    expect(chunks.map(({ lineCount }) => lineCount)).toEqual([1, 1, 1]);
  });

  it('counts levels, and keeps a line with a newline on one line', () => {
    const entries = [logEntry('ERROR', 'a\nb\u2028c'), logEntry('WARN', ''), logEntry('ERROR', '')];
    const [chunk] = chunksOf(entries);
    expect(chunk?.levels).toEqual({ DEBUG: 0, INFO: 0, WARN: 1, ERROR: 2 });
    expect(chunk?.lines.split('\n').map((line) => JSON.parse(line) as unknown)).toEqual(entries);
  });

  it('gives out the oldest first, and counts what it holds', () => {
    const buffer = new ChunkBuffer();
    for (let line = 0; line < 1_001; line += 1) buffer.add(logEntry('INFO', String(line)));
    expect(buffer.hasFullChunk).toBe(true);
    expect(buffer.take()?.lineCount).toBe(1_000);
    expect(buffer.hasFullChunk).toBe(false);
    const bytes = buffer.bytes;
    expect(buffer.peek()).toHaveLength(1);
    expect(buffer.bytes).toBe(bytes);
    expect(buffer.take()?.lines).toContain('"message":"1000"');
    expect(buffer.bytes).toBe(0);
    expect(buffer.take()).toBeUndefined();
  });
});
