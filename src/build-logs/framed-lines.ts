const newline = 0x0a;
/** FIN and the opcode of a text frame (RFC 6455, section 5.2); a server's frames are not masked. */
const finalText = 0x81;

function headerLength(payload: number): number {
  if (payload < 126) return 2;
  return payload < 65_536 ? 4 : 10;
}

function writeHeader(into: Buffer, at: number, payload: number): number {
  into[at] = finalText;
  if (payload < 126) {
    into[at + 1] = payload;
    return at + 2;
  }
  if (payload < 65_536) {
    into[at + 1] = 126;
    return into.writeUInt16BE(payload, at + 2);
  }
  into[at + 1] = 127;
  return into.writeBigUInt64BE(BigInt(payload), at + 2);
}

/** Stored lines as WebSocket frames, one text frame a line: made once, written to every subscriber. */
export class FramedLines {
  private constructor(
    public readonly firstLine: number,
    private readonly frames: Buffer,
    /** Where the frame of each line begins. */
    private readonly starts: readonly number[],
  ) {}

  /** The number of the line after the last. */
  public get end(): number {
    return this.firstLine + this.starts.length;
  }

  /** Frames lines of the store; each message is the stored entry with `build_id` put in front. */
  public static of(buildId: string, firstLine: number, lines: string): FramedLines {
    const text = Buffer.from(lines);
    const ends: number[] = [];
    for (let at = text.indexOf(newline); at !== -1; at = text.indexOf(newline, at + 1)) ends.push(at);
    ends.push(text.length);

    // Takes the place of the entry's opening brace.
    const prefix = Buffer.from(`{"build_id":${JSON.stringify(buildId)},`);
    const growth = prefix.length - 1;
    let size = 0;
    let lineStart = 0;
    for (const lineEnd of ends) {
      const payload = lineEnd - lineStart + growth;
      size += headerLength(payload) + payload;
      lineStart = lineEnd + 1;
    }

    const frames = Buffer.allocUnsafe(size);
    const starts: number[] = [];
    let at = 0;
    lineStart = 0;
    for (const lineEnd of ends) {
      starts.push(at);
      at = writeHeader(frames, at, lineEnd - lineStart + growth);
      at += prefix.copy(frames, at);
      at += text.copy(frames, at, lineStart + 1, lineEnd);
      lineStart = lineEnd + 1;
    }
    return new FramedLines(firstLine, frames, starts);
  }

  /** The frames from this line to the end; empty when the line is not among these. */
  public since(line: number): Buffer {
    const start = this.starts[line - this.firstLine];
    // Hundreds of subscribers ask for all of them: a view for each would cost as much as the rest of telling it.
    if (start === 0) return this.frames;
    return start === undefined ? Buffer.alloc(0) : this.frames.subarray(start);
  }
}
