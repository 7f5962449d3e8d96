import fc from 'fast-check';
import { spliceLines, type StoredChunk } from './log-page';

/** Cuts the lines into chunks of these sizes. */
function cut(lines: readonly string[], sizes: readonly number[]): StoredChunk[] {
  const chunks: StoredChunk[] = [];
  let firstLine = 0;
  for (const size of sizes) {
    const part = lines.slice(firstLine, firstLine + size);
    chunks.push({ firstLine, lineCount: part.length, lines: part.join('\n') });
    firstLine += size;
  }
  return chunks;
}

describe('spliceLines', () => {
  it('equals a slice of the list, wherever the chunks were cut and the page begins', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 8 });
    fc.assert(
      fc.property(sizes, fc.nat(50), fc.integer({ min: 1, max: 50 }), (cuts, offset, limit) => {
        const lines = Array.from({ length: cuts.reduce((sum, size) => sum + size, 0) }, (_, index) => `{"n":${index}}`);
        const chunks = cut(lines, cuts).filter(
          ({ firstLine, lineCount }) => firstLine + lineCount > offset && firstLine < offset + limit,
        );
        const wanted = lines.slice(offset, offset + limit);
        expect(spliceLines(chunks, offset, limit)).toEqual({
          firstLine: offset,
          lineCount: wanted.length,
          lines: wanted.join('\n'),
        });
      }),
    );
  });

  it('ends before a line that is missing', () => {
    const [first, , third] = cut(['{}', '{}', '{}', '{}', '{}', '{}'], [2, 2, 2]);
    if (first === undefined || third === undefined) throw new Error('there are three chunks');
    expect(spliceLines([first, third], 0, 6).lineCount).toBe(2);
    expect(spliceLines([third], 1, 6)).toEqual({ firstLine: 1, lineCount: 0, lines: '' });
  });
});
