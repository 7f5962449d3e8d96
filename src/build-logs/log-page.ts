/** Consecutive lines of a log, as stored text. */
export interface LogPage {
  readonly firstLine: number;
  readonly lineCount: number;
  /** One JSON LogEntry a line, joined by newlines; empty when `lineCount` is 0. */
  readonly lines: string;
}

/** A chunk as it is read: where it begins, how many lines it has, and their text. */
export interface StoredChunk {
  readonly firstLine: number;
  readonly lineCount: number;
  readonly lines: string;
}

/** The index behind `count` newlines, counted from the start of the text. */
function afterLines(text: string, count: number): number {
  let index = 0;
  for (let seen = 0; seen < count; seen += 1) index = text.indexOf('\n', index) + 1;
  return index;
}

function slice(chunk: StoredChunk, skip: number, take: number): string {
  const start = afterLines(chunk.lines, skip);
  if (skip + take === chunk.lineCount) return chunk.lines.slice(start);
  const rest = chunk.lines.slice(start);
  return rest.slice(0, afterLines(rest, take) - 1);
}

/**
 * Cuts the lines `offset` to `offset + limit - 1` out of consecutive chunks, without parsing them. Ends before the
 * first line that the chunks do not have.
 */
export function spliceLines(chunks: readonly StoredChunk[], offset: number, limit: number): LogPage {
  const parts: string[] = [];
  let next = offset;
  for (const chunk of chunks) {
    const skip = next - chunk.firstLine;
    const take = Math.min(chunk.lineCount - skip, offset + limit - next);
    if (skip < 0 || take <= 0) break;
    parts.push(slice(chunk, skip, take));
    next += take;
  }
  return { firstLine: offset, lineCount: next - offset, lines: parts.join('\n') };
}
