import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { LineSplitter } from './line-splitter';
import { SecretMask } from './secret-mask';

const secret = 'hunter2:/+?hunter2';

/** Masks a text that is written in these pieces. */
function maskPieces(mask: SecretMask, pieces: readonly string[]): string {
  const stream = mask.stream();
  if (stream === null) return pieces.join('');
  return [...pieces, ''].map((piece, index) => stream.write(piece, index === pieces.length)).join('');
}

describe('SecretMask', () => {
  const mask = new SecretMask([secret, 'short']);

  it('replaces a secret wherever it stands', () => {
    expect(mask.apply(`a ${secret}, ${secret}${secret} b`)).toBe('a ***, ****** b');
  });

  it('leaves short secrets and everything else alone', () => {
    expect(mask.apply('a short text with hunter2')).toBe('a short text with hunter2');
    expect(new SecretMask(['', 'seven77']).stream()).toBeNull();
    expect(new SecretMask(['', 'seven77']).apply('seven77')).toBe('seven77');
  });

  it('masks base64 at every alignment, by both alphabets, with and without padding', () => {
    for (const before of ['', 'u', 'us', 'use', 'user:']) {
      for (const after of ['', '.', '..', '...']) {
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(before + secret + after).toString(encoding);
          const shown = mask.apply(`auth: ${encoded}`);
          expect(shown).toContain('***');
          // Left are the neighbours, and at each end at most one character that they share with the secret.
          const [front = '', back = ''] = shown.replace('auth: ', '').split('***');
          expect(front.length).toBe(Math.ceil((before.length * 8) / 6));
          expect(back.replaceAll('=', '').length).toBeLessThanOrEqual(Math.ceil((after.length * 8) / 6) + 1);
        }
      }
    }
  });

  it('masks the percent-encoded form, in both cases', () => {
    const strict = 'hunter2%3A%2F%2B%3Fhunter2';
    expect(mask.apply(`https://u:${strict}@host ${strict.toLowerCase()}`)).toBe('https://u:***@host ***');
    expect(
      new SecretMask(["pass (word)!'*"]).apply("pass%20(word)!'* pass%20%28word%29%21%27%2A pass+%28word%29%21%27%2a"),
    ).toBe('*** *** ***');
  });

  it('masks the form inside a JSON string', () => {
    expect(new SecretMask(['pass"word\\1']).apply(JSON.stringify({ p: 'pass"word\\1' }))).toBe('{"p":"***"}');
  });

  it.each([
    ['Go', 'pass<w>&rd', String.raw`pass\u003cw\u003e\u0026rd`],
    ['Python', 'pässwörd', String.raw`p\u00e4ssw\u00f6rd`],
    ['PHP', 'pa/ss/word', String.raw`pa\/ss\/word`],
    ['a shell that traces its commands', "it's-a-secret", String.raw`it'\''s-a-secret`],
  ])('masks it as %s writes it', (_, value, written) => {
    expect(new SecretMask([value]).apply(`p="${written}"`)).toBe('p="***"');
  });

  it.each(['  mypassword12\t\n', 'mypassword12   ', '\n\n mypassword12'])(
    'masks %j without the blanks at its ends',
    (value) => {
      expect(new SecretMask([value]).apply('is mypassword12.')).toMatch(/^is ?\*\*\*\.$/);
    },
  );

  it('masks each string of a JSON document, decoded and written anew', () => {
    const key = '-----BEGIN KEY-----\nMIIBVgIBADANBgkq\n-----END KEY-----\n';
    const document = JSON.stringify({ type: 'service', keys: [{ private_key: key, id: 'abcdefgh' }] });
    const mask = new SecretMask([document]);
    expect(key.split('\n').map((line) => mask.apply(line))).toEqual(['***', '***', '***', '']);
    const anew = mask.apply(JSON.stringify(JSON.parse(document), null, 2));
    expect(anew).toContain('"private_key": "***"');
    expect(anew).toContain('"id": "***"');
    expect(anew).toContain('"type": "service"');
    // What is no JSON after all is a text like others.
    expect(new SecretMask(['{"not json at all']).apply('{"not json at all')).toBe('***');
  });

  it('masks short lines as they stand together: in JSON, percent-encoded, and joined', () => {
    const codes = 'abc-12\nxyz-99\nqqq-55\n';
    const mask = new SecretMask([codes]);
    expect(mask.apply(`{"codes":${JSON.stringify(codes)}}`)).toBe('{"codes":"***"}');
    expect(mask.apply(`?codes=${encodeURIComponent(codes)}`)).toBe('?codes=***');
    expect(mask.apply('codes abc-12 xyz-99 qqq-55')).toBe('codes ***');
  });

  it('masks the lines of a secret of several lines', () => {
    const key = '-----BEGIN KEY-----\nMIIBVgIBADANBgkq\nAAAA\n-----END KEY-----\n';
    expect(key.split('\n').map((line) => new SecretMask([key]).apply(line))).toEqual(['***', '***', 'AAAA', '***', '']);
  });

  it('masks a secret as it is after control characters were taken out of it', () => {
    const odd = 'hunter\u0001\u202e2hunter\u001b[2K2';
    const lines = new LineSplitter(new SecretMask([odd]).stream());
    expect(lines.write(Buffer.from(`a ${odd} b\n`))).toEqual(['a *** b']);
    expect(new SecretMask([odd]).apply(odd)).toBe('***');
  });

  it('masks base64 that a tool has cut into lines', () => {
    const long = 'The quick brown fox jumps over the lazy dog. '.repeat(4);
    const wide = new SecretMask([long]);
    for (const width of [76, 64]) {
      const lines =
        Buffer.from(long)
          .toString('base64')
          .match(new RegExp(`.{1,${width}}`, 'g')) ?? [];
      expect(lines.map((line) => wide.apply(line))).toEqual(lines.map(() => '***'));
    }
  });

  it('masks the whole of a long secret, and its base64 at every alignment', () => {
    const long = Array.from({ length: 300 }, (_, index) => `part ${index} ä;`).join('');
    const wide = new SecretMask([long]);
    expect(wide.apply(`a ${long} b`)).toBe('a *** b');
    for (const before of ['', 'x', 'xy']) {
      const shown = wide.apply(Buffer.from(before + long).toString('base64'));
      expect(shown).toMatch(/^.{0,3}\*\*\*.?=*$/);
    }
    expect(wide.apply(JSON.stringify({ long }))).toBe('{"long":"***"}');
    expect(wide.apply(encodeURIComponent(long))).toBe('***');
  });

  it('masks what other masks do as well', () => {
    const both = new SecretMask(['abcdefgh'], [mask, new SecretMask([])]);
    expect(both.apply(`abcdefgh ${secret}`)).toBe('*** ***');
  });

  it('takes secrets literally', () => {
    const literal = '^.*[a-z]+(x|y){2}\\d$-/';
    expect(new SecretMask([literal]).apply(`abcdefgh ${literal}`)).toBe('abcdefgh ***');
  });

  it('shows no part of secrets that overlap or contain each other', () => {
    const both = new SecretMask(['abcdefgh', 'efghijkl', 'abcdefghijklmnop']);
    expect(both.apply('-abcdefghijkl-')).toBe('-***-');
    expect(both.apply('-abcdefghijklmnop-')).toBe('-***-');
  });

  it('masks a text in pieces like the whole text', () => {
    const secrets = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 8, maxLength: 12 }), {
      minLength: 1,
      maxLength: 3,
    });
    const part = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 6 });
    fc.assert(
      fc.property(
        secrets,
        fc.array(fc.oneof(part, fc.nat(2)), { maxLength: 8 }),
        fc.array(fc.nat(), { maxLength: 6 }),
        (known, parts, cuts) => {
          const text = parts.map((item) => (typeof item === 'string' ? item : (known[item] ?? ''))).join('');
          const ends = [...cuts.map((at) => at % (text.length + 1)), text.length].sort((a, b) => a - b);
          const pieces = ends.map((end, index) => text.slice(index === 0 ? 0 : ends[index - 1], end));
          const mask = new SecretMask(known);
          expect(maskPieces(mask, pieces)).toBe(mask.apply(text));
          for (const secret of known) expect(mask.apply(text)).not.toContain(secret);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('keeps no more of an unfinished line than a secret is long', () => {
    const repeated = new SecretMask(['aaaaaaaa']).stream();
    const shown = Array.from({ length: 1_000 }, () => repeated?.write('a'.repeat(100), false) ?? '').join('');
    expect(shown).toBe('***');
    expect(repeated?.write('b', false)).toBe('b');
  });

  it('takes no longer for many long secrets', () => {
    const many = new SecretMask(Array.from({ length: 100 }, () => randomBytes(2_600).toString('latin1')));
    const stream = many.stream();
    const started = performance.now();
    for (let count = 0; count < 20_000; count += 1) stream?.write(`line ${count} of an ordinary build, as usual`, true);
    expect(performance.now() - started).toBeLessThan(10_000);
  });

  it('takes no longer for secrets that begin alike', () => {
    const alike = Array.from({ length: 15_000 }, (_, index) => `aaaaaaaa${index}`);
    const many = new SecretMask([...alike, 'a'.repeat(200)]);
    const started = performance.now();
    for (let count = 0; count < 20; count += 1) many.apply('aaaaaaaaa-'.repeat(1_600));
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('takes time in proportion to the text', () => {
    const many = new SecretMask(
      Array.from({ length: 20 }, (_, index) => `secret number ${index}: ${'x'.repeat(index)}`),
    );
    const line = 'secret number x aGVsbG8gd29ybGQ '.repeat(8);
    const started = performance.now();
    for (let count = 0; count < 20_000; count += 1) many.apply(line);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});
