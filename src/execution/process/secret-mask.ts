/** Shorter secrets are not masked: they would blot out ordinary words. */
export const shortestSecret = 8;

const masked = '***';

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

/** A secret of several lines (a key) is printed line by line. */
function formsOf(secret: string): string[] {
  const lines = secret.split(/[\r\n]+/).filter((line) => line.length >= shortestSecret);
  const texts = lines.flatMap((line) => [line, JSON.stringify(line).slice(1, -1), ...percentForms(line)]);
  return secret.length < shortestSecret ? [] : [...texts, ...base64Forms(secret), ...lines.flatMap(base64Forms)];
}

/**
 * Replaces secrets by `***`: as they are, as they stand inside JSON strings, percent-encoded, and in base64 (standard
 * and URL alphabet) wherever they stand in the encoded bytes. Overlapping ones become one `***`.
 *
 * It finds what is printed in one piece within one line. A secret with colour codes or a line break in its midst, or
 * encoded in any other way, is not found: who runs a build can always disguise what he knows, so builds are not given
 * secrets of ours.
 */
export class SecretMask {
  private readonly forms: readonly string[];
  private readonly pattern: RegExp | null;
  private readonly longest: number;

  /** Secrets of less than eight characters are ignored. */
  public constructor(secrets: readonly string[]) {
    const forms = new Set(secrets.flatMap(formsOf).filter((form) => form.length >= shortestSecret));
    this.forms = [...forms].sort((a, b) => b.length - a.length);
    this.longest = this.forms[0]?.length ?? 0;
    const escaped = this.forms.map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    this.pattern = escaped.length === 0 ? null : new RegExp(escaped.join('|'), 'g');
  }

  /** Masks a whole text. */
  public apply(text: string): string {
    return this.pattern === null ? text : new MaskedStream(this).write(text, true);
  }

  /** Masks lines that arrive in pieces; null when there is nothing to mask. */
  public stream(): MaskedStream | null {
    return this.pattern === null ? null : new MaskedStream(this);
  }

  /** Where secrets stand, in order; overlapping ones as one. */
  public find(text: string): Span[] {
    const { pattern } = this;
    const spans: Span[] = [];
    if (pattern === null) return spans;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const last = spans.at(-1);
      const end = match.index + match[0].length;
      if (last !== undefined && match.index < last[1]) last[1] = Math.max(last[1], end);
      else spans.push([match.index, end]);
      // Another secret may begin inside this one.
      pattern.lastIndex = match.index + 1;
    }
    return spans;
  }

  /**
   * Where the longest end of the text begins that may be the beginning of a secret; the text's length when there is
   * none.
   */
  public possibleStart(text: string): number {
    for (let start = Math.max(0, text.length - this.longest + 1); start < text.length; start += 1) {
      const tail = text.slice(start);
      if (this.forms.some((form) => form.length > tail.length && form.startsWith(tail))) return start;
    }
    return text.length;
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
