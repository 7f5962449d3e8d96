import fc from 'fast-check';
import { FramedLines } from './framed-lines';
import { type LogEntry, logEntry } from './log-entry';

const buildId = '660e8400-e29b-41d4-a716-446655440001';

/** Reads unmasked, unfragmented text frames (RFC 6455, section 5.2). */
function messagesOf(frames: Buffer): string[] {
  const texts: string[] = [];
  for (let at = 0; at < frames.length;) {
    expect(frames[at]).toBe(0x81);
    const short = frames.readUInt8(at + 1);
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    const length = extended === 0 ? short : Number(BigInt(`0x${frames.toString('hex', at + 2, at + 2 + extended)}`));
    // The shortest form is the only valid one.
    expect(extended).toBe(length < 126 ? 0 : length < 65_536 ? 2 : 8);
    const start = at + 2 + extended;
    at = start + length;
    expect(at).toBeLessThanOrEqual(frames.length);
    texts.push(frames.toString('utf8', start, at));
  }
  return texts;
}

function stored(entries: readonly LogEntry[]): string {
  return entries.map((entry) => JSON.stringify(entry)).join('\n');
}

describe('FramedLines', () => {
  it('is one text frame a line: the stored entry with build_id in front', () => {
    const entries = [logEntry('INFO', 'one', { step: 'build 1/2' }), logEntry('ERROR', 'zwei ✓')];
    const frames = FramedLines.of(buildId, 0, stored(entries)).since(0);
    expect(messagesOf(frames).map((text) => JSON.parse(text) as unknown)).toEqual(
      entries.map((entry) => ({ build_id: buildId, ...entry })),
    );
    expect(messagesOf(frames)[0]).toMatch(/^\{"build_id":"[^"]+","timestamp":/);
  });

  it('has the right length field on both sides of each boundary', () => {
    const around = (length: number): number[] => [length - 1, length, length + 1];
    // A message of n characters makes a payload of n + overhead bytes.
    const empty = FramedLines.of(buildId, 0, stored([logEntry('INFO', '')])).since(0);
    const overhead = messagesOf(empty)[0]?.length ?? 0;
    const entries = [...around(126 - overhead), ...around(65_536 - overhead)]
      .filter((length) => length >= 0)
      .map((length) => logEntry('INFO', 'x'.repeat(length)));
    const texts = messagesOf(FramedLines.of(buildId, 0, stored(entries)).since(0));
    expect(texts).toEqual(entries.map((entry) => JSON.stringify({ build_id: buildId, ...entry })));
  });

  it('can be cut at any line', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }), { minLength: 1 }),
        fc.nat(40),
        fc.nat(45),
        (texts, first, from) => {
          const framed = FramedLines.of(buildId, first, stored(texts.map((text) => logEntry('INFO', text))));
          expect(framed.end).toBe(first + texts.length);
          const read = messagesOf(framed.since(from)).map((text) => (JSON.parse(text) as LogEntry).message);
          expect(read).toEqual(from < first ? [] : texts.slice(from - first));
        },
      ),
    );
  });
});
