import fc from 'fast-check';
import { LineSplitter, longestLine } from './line-splitter';
import { SecretMask } from './secret-mask';

function split(chunks: readonly (string | Uint8Array)[], mask: SecretMask | null = null): string[] {
  const splitter = new LineSplitter(mask?.stream() ?? null);
  return [...chunks.flatMap((chunk) => splitter.write(Buffer.from(chunk))), ...splitter.end()];
}

/** The chunks between these positions, which may be any numbers. */
function cut(bytes: Buffer, positions: readonly number[]): Buffer[] {
  const ends = [...positions.map((position) => position % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(index === 0 ? 0 : ends[index - 1], end));
}

const esc = '\u001b';
const nasty = fc.constantFrom(
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\r\n',
    '\u0000',
    '\t',
    'é',
    '漢',
    '🎉',
    `${esc}[31m`,
    `${esc}[2K`,
    `${esc}[1;2`,
    esc,
    '\\',
  ],
  ...[`${esc}]8;;http://x\u0007`, `${esc}]52;c;aGk=${esc}\\`, `${esc}]0;`, '\u009b1m', '\u009d', `${esc}(B`, `${esc}P`],
  ...['\ufeff', '\u2028', 'hunter2hunter2', 'hunter2', 'word '],
);
const stream = fc
  .array(
    fc.oneof(
      nasty.map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
      fc.integer({ min: 0, max: 20_000 }).map((length) => Buffer.alloc(length, 'x')),
    ),
    { maxLength: 30 },
  )
  .map((parts) => Buffer.concat(parts));

describe('LineSplitter', () => {
  it('makes the same lines however the bytes are split into chunks', () => {
    const mask = new SecretMask(['hunter2hunter2', '2hunter2word']);
    fc.assert(
      fc.property(stream, fc.array(fc.nat(), { maxLength: 10 }), fc.boolean(), (bytes, positions, masked) => {
        const how = masked ? mask : null;
        expect(split(cut(bytes, positions), how)).toEqual(split([bytes], how));
      }),
      { numRuns: 1_000 },
    );
  });

  it('makes the same lines of single bytes', () => {
    fc.assert(
      fc.property(fc.array(nasty, { maxLength: 12 }), (parts) => {
        const bytes = Buffer.from(parts.join(''));
        expect(split([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(split([bytes]));
      }),
    );
  });

  it('lets no line pass that is too long or has a control character but tab and colour codes', () => {
    fc.assert(
      fc.property(stream, (bytes) => {
        for (const line of split([bytes])) {
          expect(Buffer.byteLength(line)).toBeLessThanOrEqual(longestLine);
          expect(line.replace(/\p{Cc}\[[\d;:]*m/gu, '').replaceAll('\t', '')).not.toMatch(/\p{Cc}/u);
          expect(Buffer.from(line).toString()).toBe(line);
        }
      }),
    );
  });

  it.each([
    ['LF and CR LF', 'one\ntwo\r\nthree', ['one', 'two', 'three']],
    ['blank lines', '\n\r\na\n\n', ['', '', 'a', '']],
    ['a progress bar', '10%\r50%\r100%\n', ['10%', '50%', '100%']],
    ['returns before anything was written', '\r\rdone\n', ['done']],
    ['a doubled return', 'a\r\r\nb\n', ['a', 'b']],
    ['no end', 'last', ['last']],
    ['nothing', '', []],
  ])('splits %s', (_, text, lines) => {
    expect(split([text])).toEqual(lines);
    expect(split(Array.from(text))).toEqual(lines);
  });

  it.each([
    [
      'tab and colours stay',
      `a\tb ${esc}[1;31mred${esc}[0m ${esc}[38:2:1:2:3mtrue`,
      `a\tb ${esc}[1;31mred${esc}[0m ${esc}[38:2:1:2:3mtrue`,
    ],
    ['cursor movements', `${esc}[2K${esc}[1Aup${esc}[?25l`, 'up'],
    ['what looks like a colour', `${esc}[>4mx${esc}[?1my${esc}[1 mz`, 'xyz'],
    ['NUL, BEL, backspace, DEL, C1', 'a\u0000b\u0007c\u0008d\u007fe\u0085f', 'abcdef'],
    ['a hyperlink by BEL', `${esc}]8;;https://evil.example\u0007link${esc}]8;;\u0007.`, 'link.'],
    ['a hyperlink by ST', `${esc}]8;;https://evil.example${esc}\\link${esc}]8;;${esc}\\.`, 'link.'],
    ['the clipboard', `a${esc}]52;c;cm0gLXJmIC8=\u0007b`, 'ab'],
    ['sequences of one character', `${esc}Ma${esc}(Bb${esc}=c${esc}[3Xd\u009b31me`, `abcd${esc}[31me`],
    ['DCS, APC, PM', `${esc}Pq#0${esc}\\a${esc}_G;x${esc}\\b${esc}^x\u009cc`, 'abc'],
    ['a sequence broken off by text', `${esc}[31é`, 'é'],
    ['ESC at the end', `a${esc}`, 'a'],
    ['overrides of the order of text, not its marks', '\u202ea\u2066b\u2069\u200f\u05d0\u061c', 'ab\u200f\u05d0\u061c'],
    ['separators that end a line for some', 'a\u2028{"level":"ERROR"}\u2029b', 'a{"level":"ERROR"}b'],
    ['bytes that are no UTF-8', Buffer.from('61ff62e6bc63c3', 'hex'), 'a\ufffdb\ufffdc\ufffd'],
  ])('sanitises: %s', (_, bytes, line) => {
    expect(split([bytes])).toEqual([line]);
    expect(split([...Buffer.from(bytes)].map((byte) => Uint8Array.of(byte)))).toEqual([line]);
  });

  it('ends an unterminated payload with its line', () => {
    expect(split([`a${esc}]52;c;xxx\nb\n`])).toEqual(['a', 'b']);
  });

  it('ends an unterminated payload that has no end of line', () => {
    const lines = split([`${esc}]0;`, 'x'.repeat(1_000_000)]);
    expect(lines.join('').length).toBeGreaterThan(800_000);
  });

  it('cuts between characters', () => {
    const text = '🎉é漢x'.repeat(5_000);
    const lines = split([text]);
    expect(lines.join('')).toBe(text);
    expect(lines.slice(0, -1).every((line) => Buffer.byteLength(line) > longestLine - 4)).toBe(true);
  });

  it('does not cut a line of just the longest length', () => {
    expect(split([`${'x'.repeat(longestLine)}\n`, 'y'])).toEqual(['x'.repeat(longestLine), 'y']);
  });

  it('does not cut a colour code', () => {
    const colour = `${esc}[38;2;100;100;100m`;
    const lines = split([`${'x'.repeat(longestLine - 5)}${colour}rest`]);
    expect(lines).toEqual(['x'.repeat(longestLine - 5), `${colour}rest`]);
  });

  it('delivers an unfinished line once, and not its end', () => {
    const splitter = new LineSplitter();
    expect(splitter.write(Buffer.from('Password: '))).toEqual([]);
    expect(splitter.flush()).toEqual(['Password: ']);
    expect(splitter.flush()).toEqual([]);
    expect(splitter.write(Buffer.from('\n.'))).toEqual([]);
    expect(splitter.flush()).toEqual(['.']);
    expect(splitter.write(Buffer.from('..\n\n'))).toEqual(['..', '']);
    expect(splitter.write(Buffer.from('10%\r'))).toEqual([]);
    expect(splitter.flush()).toEqual(['10%']);
    expect(splitter.write(Buffer.from('20%\r\nend'))).toEqual(['20%']);
    expect(splitter.end()).toEqual(['end']);
  });

  it('masks a secret at the cut of a long line', () => {
    const mask = new SecretMask(['hunter2hunter2']);
    for (let before = longestLine - 16; before <= longestLine + 1; before += 1) {
      const whole = split([`${'x'.repeat(before)}hunter2hunter2${'y'.repeat(100)}`], mask).join('');
      expect(whole).toBe(`${'x'.repeat(before)}***${'y'.repeat(100)}`);
    }
  });

  it('masks a secret that was only begun when the unfinished line was delivered', () => {
    const splitter = new LineSplitter(new SecretMask(['hunter2hunter2']).stream());
    splitter.write(Buffer.from('password is hunt'));
    expect(splitter.flush()).toEqual(['password is ']);
    expect(splitter.write(Buffer.from('er2hunter2 and hunt\n'))).toEqual(['*** and hunt']);
  });

  it('keeps back nothing of a finished line', () => {
    const splitter = new LineSplitter(new SecretMask(['hunter2hunter2']).stream());
    expect(splitter.write(Buffer.from('a hunt\nhunt'))).toEqual(['a hunt']);
    splitter.write(Buffer.from('\r'));
    expect(splitter.flush()).toEqual(['hunt']);
    splitter.write(Buffer.from('b hunt'));
    expect(splitter.flush()).toEqual(['b ']);
    expect(splitter.end()).toEqual(['hunt']);
  });

  it('takes time in proportion: 10 MB in one line, a million lines', () => {
    const started = performance.now();
    const chunk = Buffer.alloc(64 * 1024, 'x');
    expect(split(Array.from({ length: 160 }, () => chunk)).length).toBe(640);
    const lines = Buffer.from('line\n'.repeat(10_000));
    expect(split(Array.from({ length: 100 }, () => lines)).length).toBe(1_000_000);
    const coloured = Buffer.from(`${esc}[31mé${esc}[0m`.repeat(5_000));
    split(
      Array.from({ length: 100 }, () => coloured),
      new SecretMask(['hunter2hunter2', 'another secret']),
    );
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
