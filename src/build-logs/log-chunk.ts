import type { LogEntry, LogLevel } from './log-entry';

/** One row of the log store: consecutive lines that are written, compressed and read together. */
export interface LogChunk {
  readonly lineCount: number;
  readonly levels: Readonly<Record<LogLevel, number>>;
  /** One JSON LogEntry a line, joined by newlines. JSON escapes control characters, so no entry contains one. */
  readonly lines: string;
}

/**
 * Where a chunk ends; a single line that is longer is a chunk of its own. V8 keeps a string of more than about 128 KiB among its
 * large objects, of which it frees few until the old ones are collected: the process grew by 100 MB again and again.
 */
const mostLines = 1_000;
const mostBytes = 112 * 1_024;

class OpenChunk {
  private readonly texts: string[] = [];
  private readonly levels: Record<LogLevel, number> = { DEBUG: 0, INFO: 0, WARN: 0, ERROR: 0 };
  public bytes = 0;

  public get isFull(): boolean {
    return this.texts.length >= mostLines;
  }

  public takes(bytes: number): boolean {
    return !this.isFull && (this.texts.length === 0 || this.bytes + bytes <= mostBytes);
  }

  public add(level: LogLevel, text: string, bytes: number): void {
    this.texts.push(text);
    this.levels[level] += 1;
    this.bytes += bytes;
  }

  public finished(): LogChunk {
    return { lineCount: this.texts.length, levels: this.levels, lines: this.texts.join('\n') };
  }
}

/** Lines that wait to be stored, already serialised and cut into chunks. */
export class ChunkBuffer {
  private readonly chunks: OpenChunk[] = [];
  private held = 0;

  /** Bytes of text that wait. */
  public get bytes(): number {
    return this.held;
  }

  public get isEmpty(): boolean {
    return this.chunks.length === 0;
  }

  /** True when waiting longer would not make the next chunk larger. */
  public get hasFullChunk(): boolean {
    return this.chunks.length > 1 || this.chunks[0]?.isFull === true;
  }

  public add(entry: LogEntry): void {
    const text = JSON.stringify(entry);
    const bytes = Buffer.byteLength(text) + 1;
    let last = this.chunks.at(-1);
    if (last?.takes(bytes) !== true) {
      last = new OpenChunk();
      this.chunks.push(last);
    }
    last.add(entry.level, text, bytes);
    this.held += bytes;
  }

  /** Takes the oldest chunk out. */
  public take(): LogChunk | undefined {
    const first = this.chunks.shift();
    this.held -= first?.bytes ?? 0;
    return first?.finished();
  }

  /** All that waits, left in place. */
  public peek(): LogChunk[] {
    return this.chunks.map((chunk) => chunk.finished());
  }

  public clear(): void {
    this.chunks.length = 0;
    this.held = 0;
  }
}

export function chunksOf(entries: readonly LogEntry[]): LogChunk[] {
  const buffer = new ChunkBuffer();
  for (const entry of entries) buffer.add(entry);
  return buffer.peek();
}
