import { longestLine } from './line-splitter';
import { plainLine } from './plain-line';
import { SecretMask } from './secret-mask';

const mask = new SecretMask(['hunter2hunter2']);

it.each([
  [
    'what a terminal obeys',
    'unknown instruction "\u001b]52;c;ZXZpbA==\u0007\u0000\u009b2JX"',
    'unknown instruction "X"',
  ],
  ['an escape that never ends', 'a \u001b]8;;http://x', 'a '],
  ['line ends, which would make another line', 'one\r\ntwo\nthree', 'one two three'],
  ['half of a character', 'a\ud800b', 'a\uFFFDb'],
  ['a secret, also one that control characters divide', 'x hunter2hunter2 hunter2\u0007hunter2', 'x *** ***'],
])('takes out %s', (_, text, line) => {
  expect(plainLine(text, mask)).toBe(line);
});

it('leaves tabs, colours and all other text alone', () => {
  const text = 'a\t\u001b[1;31mé漢🎉\u001b[0m {"level":"ERROR"} \\u0000';
  expect(plainLine(text, mask)).toBe(text);
});

it('is not longer than a line, and shows no part of a secret at its end', () => {
  expect(plainLine('é'.repeat(longestLine), mask)).toBe('é'.repeat(longestLine / 2));
  for (let before = 80; before <= 100; before += 1) {
    expect(plainLine(`${'x'.repeat(before)}hunter2hunter2`, mask, 100)).toBe(`${'x'.repeat(before)}***`.slice(0, 100));
  }
});
