import type { MaskedStream } from './secret-mask';
import { TerminalFilter } from './terminal-filter';

/** The longest line in bytes of UTF-8; a longer one arrives in several pieces. */
export const longestLine = 16 * 1024;

// A colour code is never cut; none is longer than this many characters.
const longestColour = 80;

/** Where the text first exceeds so many bytes: between characters, never inside a colour code. */
export function cutAt(text: string, mostBytes = longestLine): number {
  let bytes = 0;
  let index = 0;
  while (index < text.length) {
    const code = text.codePointAt(index) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (bytes > mostBytes) break;
    index += code < 0x10000 ? 1 : 2;
  }
  const colour = text.lastIndexOf('\u001b', index - 1);
  return colour >= index - longestColour && colour > 0 && text.indexOf('m', colour) >= index ? colour : index;
}

/**
 * Makes lines of the bytes of a stream, the same ones however the bytes are split into chunks. Bytes that are not UTF-8
 * become U+FFFD; what a terminal would obey is taken out (`TerminalFilter`); secrets are masked before a line is cut.
 *
 * LF and CR LF end a line. A CR alone (a progress bar that overwrites itself) ends a line as well, unless that line is
 * empty.
 */
export class LineSplitter {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  private readonly filter = new TerminalFilter();
  private unfinished = '';
  private partlyDelivered = false;
  private returned = false;

  public constructor(private readonly mask: MaskedStream | null = null) {}

  /** The lines that this chunk finishes, without their ends. */
  public write(chunk: Uint8Array): string[] {
    return this.split(this.filter.write(this.decoder.decode(chunk, { stream: true })));
  }

  /**
   * The unfinished line so far, for when no more bytes came for a while: a prompt, a row of dots. What follows on the
   * same line makes a line of its own; its end alone does not. A possible beginning of a secret is kept back.
   */
  public flush(): string[] {
    if (this.unfinished === '') return [];
    const line = this.unfinished;
    this.unfinished = '';
    this.partlyDelivered = true;
    return [line];
  }

  /** The rest, when the stream is at its end. */
  public end(): string[] {
    const lines = this.split(this.filter.write(this.decoder.decode()));
    this.endLine(lines, false);
    return lines;
  }

  private split(text: string): string[] {
    const lines: string[] = [];
    const ends = /[\r\n]/g;
    let position = 0;
    while (position < text.length) {
      const end = ends.exec(text)?.index ?? text.length;
      if (end > position) {
        if (this.returned) this.endLine(lines, false);
        this.append(lines, text.slice(position, end), end < text.length);
      }
      if (text[end] === '\n') this.endLine(lines, true);
      else if (text[end] === '\r') this.returnCarriage(lines);
      position = end + 1;
    }
    return lines;
  }

  private append(lines: string[], text: string, last: boolean): void {
    this.unfinished += this.mask === null ? text : this.mask.write(text, last);
    this.cut(lines);
  }

  private cut(lines: string[]): void {
    while (this.unfinished.length * 3 > longestLine && Buffer.byteLength(this.unfinished) > longestLine) {
      const index = cutAt(this.unfinished);
      lines.push(this.unfinished.slice(0, index));
      this.unfinished = this.unfinished.slice(index);
      this.partlyDelivered = true;
    }
  }

  private returnCarriage(lines: string[]): void {
    this.append(lines, '', true);
    this.returned = true;
  }

  private endLine(lines: string[], byNewline: boolean): void {
    this.append(lines, '', true);
    if (this.unfinished !== '' || (byNewline && !this.partlyDelivered)) lines.push(this.unfinished);
    this.unfinished = '';
    this.partlyDelivered = false;
    this.returned = false;
  }
}
