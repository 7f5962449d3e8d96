import { PrefixTable, shortestWord } from './prefix-table';
import { TerminalFilter } from './terminal-filter';

/** Shorter secrets are not masked: they would blot out ordinary words. */
export const shortestSecret = shortestWord;

const masked = '***';

/** In characters; two bytes are what a character of base64 may share with its neighbours. */
const longestPart = 256;
const partOverlap = 2;

/** Of coreutils and BusyBox, and of OpenSSL. */
const base64Widths = [76, 64];

/** From inclusive, to exclusive. */
type Span = [from: number, to: number];

/**
 * What base64 shows of a secret that stands anywhere in the encoded bytes: one form for each of the three alignments,
 * without the characters at either end that depend on neighbours as well (they carry at most four bits of the secret
 * each).
 */
function base64Forms(secret: string): string[] {
  const bytes = Buffer.from(secret);
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString('base64');
    const core = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + bytes.length) * 8) / 6));
    return [core, core.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

function percentForms(secret: string): string[] {
  const encoded = encodeURIComponent(secret);
  const strict = encoded.replace(/[!'()*]/g, (mark) => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
  const upper = [encoded, strict, strict.replaceAll('%20', '+')];
  return [...upper, ...upper.map((form) => form.replace(/%../g, (code) => code.toLowerCase()))];
}

/**
 * Long texts are looked for in parts that overlap by so much that no character between two of them shows, nor any of
 * their base64: a line may be cut anywhere, and what is kept back of an unfinished one stays short.
 */
function partsOf(text: string): string[] {
  const characters = Array.from(text);
  if (characters.length <= longestPart) return [text];
  const count = Math.ceil((characters.length - partOverlap) / (longestPart - partOverlap));
  const first = Array.from({ length: count }, (_, index) => index * (longestPart - partOverlap));
  // The last one is as long as the others, so that it is not too short to be masked.
  return first.map((from) => {
    const start = Math.min(from, characters.length - longestPart);
    return characters.slice(start, start + longestPart).join('');
  });
}

/** As tools print base64 that is too long for a line. */
function wrappedForms(secret: string): string[] {
  const encoded = Buffer.from(secret).toString('base64');
  return base64Widths.flatMap((width) => encoded.match(new RegExp(`.{1,${width}}`, 'g')) ?? []);
}

/** Inside a JSON string: as JavaScript, Go, Python and PHP write it. */
function jsonForms(text: string): string[] {
  const plain = JSON.stringify(text).slice(1, -1);
  const ascii = plain.replace(/[\u0080-\uffff]/g, escaped);
  return [plain, plain.replace(/[<>&\u2028\u2029]/g, escaped), ascii, ascii.replaceAll('/', '\\/')];
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** As `set -x` shows an apostrophe within apostrophes. */
function shellForm(text: string): string {
  return text.replaceAll("'", `'\\''`);
}

/** A secret of several lines (a key) is printed line by line, and tools drop the blanks at the ends of a line. */
function linesOf(secret: string): string[] {
  const lines = secret
    .split(/[\r\n]+/)
    // What a terminal would obey in it is taken out before it is looked for.
    .flatMap((line) => [line, line.trim(), new TerminalFilter().write(line)])
    .filter((line) => line.length >= shortestSecret);
  return [...new Set(lines)];
}

/** What stands in a secret that is a JSON document, such as the key in the file of a cloud's service account. */
function leavesOf(secret: string): string[] {
  if (!/^\s*[{[]/.test(secret)) return [];
  const leaves: string[] = [];
  try {
    JSON.parse(secret, (_, value: unknown) => {
      if (typeof value === 'string' && value.length >= shortestSecret) leaves.push(value);
      return value;
    });
  } catch {
    return [];
  }
  return leaves;
}

function formsOf(secret: string): string[] {
  if (secret.length < shortestSecret) return [];
  const onOneLine = /[\r\n]/.test(secret) ? [secret.trim().replace(/[\r\n]+/g, ' ')] : [];
  const parts = [...linesOf(secret), ...onOneLine].flatMap(partsOf);
  const whole = partsOf(secret);
  return [
    ...parts.flatMap((part) => [part, shellForm(part), ...base64Forms(part)]),
    // Also with the ends of its lines.
    ...[...parts, ...whole].flatMap((part) => [...jsonForms(part), ...percentForms(part)]),
    ...wrappedForms(secret),
    ...whole.flatMap(base64Forms),
    ...leavesOf(secret).flatMap(formsOf),
  ];
}

/**
 * Replaces secrets by `***`: as they are, as they stand inside JSON strings, percent-encoded, quoted by a shell, and in
 * base64 (standard and URL alphabet) wherever they stand in the encoded bytes. Overlapping ones become one `***`. Of a JSON
 * document every string is a secret.
 *
 * It finds what is printed in one piece within one line. A secret with colour codes or a line break in its midst, or
 * encoded in any other way, is not found: who runs a build can always disguise what he knows, so builds are not given
 * secrets of ours.
 */
export class SecretMask {
  private readonly tables: readonly PrefixTable[];

  /**
   * Secrets of less than eight characters are ignored.
   * @param others masks whose secrets are masked as well
   */
  public constructor(secrets: readonly string[], others: readonly SecretMask[] = []) {
    const all = [new PrefixTable(secrets.flatMap(formsOf)), ...others.flatMap(({ tables }) => tables)];
    this.tables = all.filter(({ isEmpty }) => !isEmpty);
  }

  /** Masks a whole text. */
  public apply(text: string): string {
    return this.tables.length === 0 ? text : new MaskedStream(this).write(text, true);
  }

  /** Masks lines that arrive in pieces; null when there is nothing to mask. */
  public stream(): MaskedStream | null {
    return this.tables.length === 0 ? null : new MaskedStream(this);
  }

  /** Where secrets stand, in order; overlapping ones as one. */
  public find(text: string): Span[] {
    const spans: Span[] = [];
    for (let start = 0; start + shortestSecret <= text.length; start += 1) {
      const length = this.longestAt(text, start);
      if (length === 0) continue;
      const last = spans.at(-1);
      if (last !== undefined && start < last[1]) last[1] = Math.max(last[1], start + length);
      else spans.push([start, start + length]);
    }
    return spans;
  }

  /**
   * Where the longest end of the text begins that may be the beginning of a secret; the text's length when there is
   * none.
   */
  public possibleStart(text: string): number {
    return Math.min(text.length, ...this.tables.map((table) => table.unfinishedStart(text)));
  }

  private longestAt(text: string, start: number): number {
    let longest = 0;
    for (const table of this.tables) longest = Math.max(longest, table.lengthAt(text, start));
    return longest;
  }
}

/**
 * Masks lines that are written in pieces, so that a secret that spans pieces is masked as in one piece: an end that may
 * be the beginning of a secret is kept back until the next piece decides it, or the line ends.
 */
export class MaskedStream {
  private held = '';
  /** So many characters of `held` belong to a secret whose `***` was written. */
  private covered = 0;

  public constructor(private readonly mask: SecretMask) {}

  /** What can be shown of the line after this piece. `last`: the line ends with it, and nothing is kept back. */
  public write(piece: string, last: boolean): string {
    const text = this.held + piece;
    if (text === '') return '';
    const keep = last ? text.length : this.mask.possibleStart(text);
    let shown = '';
    let position = this.covered;
    for (const [from, to] of this.mask.find(text)) {
      if (from >= keep && from >= position) break;
      if (from >= position) shown += text.slice(position, from) + masked;
      position = Math.max(position, to);
    }
    shown += text.slice(position, Math.max(position, keep));
    this.held = text.slice(keep);
    this.covered = last ? 0 : Math.max(0, position - keep);
    return shown;
  }
}
