/** A flag of an instruction, as the engine reads it. */
export interface Flag {
  /** Of the instruction, from 1. */
  readonly line: number;
  /** Behind the name and its `=`. Cut off at `longestFlag`. */
  readonly value: string;
}

/** How many characters of a flag are read: a text of flags alone would take quadratic time otherwise. */
export const longestFlag = 1_024;

interface LogicalLine {
  /** Its first one, from 1. */
  readonly line: number;
  readonly joined: string;
}

/** Where lines were joined. The engine may or may not drop the blanks with which a continued line begins. */
const joint = '\0';

/**
 * Every word of a text that an engine could take for the flag `--name`, wherever it stands: its quotes and escapes resolved,
 * its lines joined. A parser that differs from the engine's in the least would be a way past whoever relies on it, so no
 * instruction is looked for, and what only a shell or a here-document is given is found as well.
 */
export function* findFlags(text: string, name: string): Generator<Flag> {
  for (const { line, joined } of readings(text)) {
    for (const { index } of joined.matchAll(/--/g)) {
      const value = readFlag(joined, index, `--${name}=`);
      if (value !== null) yield { line, value };
    }
  }
}

const takingFlags = /^(?:run|copy|add|from|healthcheck)$/i;

/**
 * Flags whose names are not written plainly: the engine expands variables in them and takes quotes away a second time, so they
 * may become any other.
 */
export function* disguisedFlags(text: string): Generator<Flag> {
  for (const { line, joined } of readings(text)) {
    for (const word of flagWords(joined)) {
      const [name = ''] = word.split('=', 1);
      if (/[$"'\\`]/.test(name)) yield { line, value: word.slice(0, longestFlag) };
    }
  }
}

/** The words of an instruction that stand where its flags do, as they are written. */
function* flagWords(text: string): Generator<string> {
  const words = text.match(/(?:\\.|"(?:\\.|[^"\\])*(?:"|$)|'(?:\\.|[^'\\])*(?:'|$)|[^ \t\v\f"'\\]|\\$)+/g) ?? [];
  let at = 0;
  while (/^onbuild$/i.test(words[at] ?? '')) at += 1;
  if (!takingFlags.test(words[at] ?? '')) return;
  for (const word of words.slice(at + 1)) {
    if (!word.replace(/["'\\`]/g, '').startsWith('--')) return;
    yield word;
  }
}

/** Each logical line in every way in which an engine may join its parts. */
function* readings(text: string): Generator<LogicalLine> {
  for (const { line, joined } of logicalLines(text.replaceAll('\r', ''))) {
    const variants = new Set([joined.replaceAll(joint, ''), joined.replace(/\0[ \t]*/g, '')]);
    for (const variant of variants) yield { line, joined: variant };
  }
}

/** Both characters may be declared to continue a line, and the engine skips empty lines and comments behind them. */
function logicalLines(text: string): LogicalLine[] {
  const lines: { line: number; joined: string }[] = [];
  let isContinued = false;
  for (const [index, physical] of text.split('\n').entries()) {
    if (isContinued && /^[ \t]*(?:#.*)?$/.test(physical)) continue;
    const [, before] = /^(.*)[\\`][ \t]*$/.exec(physical) ?? [];
    const part = before === undefined ? physical : before + joint;
    const current = isContinued ? lines.at(-1) : undefined;
    if (current === undefined) lines.push({ line: index + 1, joined: part });
    else current.joined += part;
    isContinued = before !== undefined;
  }
  return lines;
}

/** The word that begins at `start` without its beginning; null when it begins otherwise. It ends at a free blank. */
function readFlag(text: string, start: number, beginning: string): string | null {
  let word = '';
  let quote = '';
  for (let at = start; at < text.length && word.length < beginning.length + longestFlag; at += 1) {
    const character = text.charAt(at);
    if (quote === '' && /[ \t\v\f]/.test(character)) break;
    if (character === quote) {
      quote = '';
    } else if (quote === '' && /["']/.test(character)) {
      quote = character;
    } else {
      if (character === '\\') at += 1;
      word += text.charAt(at);
      if (word.length <= beginning.length && !beginning.startsWith(word.toLowerCase())) return null;
    }
  }
  return word.length < beginning.length ? null : word.slice(beginning.length);
}
