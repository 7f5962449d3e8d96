import type { FindingKind } from './findings';
import { readPrinted, type Recipe } from './recipes';

/** What a log shows of the one step that prints numbers. */
export interface PrintedLines {
  /** How often the step began: each time has a number of its own. */
  readonly executions: ReadonlySet<string>;
  /** The last number, when all before it are there. */
  readonly count: number;
  readonly fault: { readonly kind: FindingKind; readonly text: string } | null;
}

/** Compares the lines of a log, or the beginning of it, with what the step prints: 1, 2, 3 and so on. */
export function checkPrinted(mark: string, messages: readonly string[]): PrintedLines {
  const executions = new Set<string>();
  const seen = new Set<number>();
  let count = 0;
  const result = (fault: PrintedLines['fault']): PrintedLines => ({ executions, count, fault });
  for (const message of messages) {
    const printed = readPrinted(message);
    if (printed === null) continue;
    if (printed.mark !== mark) return result({ kind: 'wrong', text: `it has a line of ${printed.mark}: ${message}` });
    if ('execution' in printed) {
      if (executions.has(printed.execution)) return result({ kind: 'doubled', text: `it has twice: ${message}` });
      executions.add(printed.execution);
      continue;
    }
    if (seen.has(printed.number)) return result({ kind: 'doubled', text: `number ${printed.number} is there twice` });
    seen.add(printed.number);
    while (count + 1 < printed.number && isBroken(messages, mark, count + 1)) count += 1;
    if (printed.number !== count + 1) {
      const isLater = messages.some((each) => isNumber(each, count + 1));
      const text = `number ${printed.number} follows ${count}`;
      return result({ kind: isLater ? 'reordered' : 'lost', text });
    }
    count = printed.number;
  }
  return result(executions.size > 1 ? { kind: 'doubled', text: 'its step began more than once' } : null);
}

/** Whether every line of the step is there; a retry may take the whole step from the cache of the build before. */
export function isComplete(
  { executions, count }: PrintedLines,
  { lines }: Recipe,
  messages: readonly string[],
): boolean {
  if (count === lines && executions.size === 1) return true;
  return count === 0 && executions.size === 0 && messages.some((message) => message.includes('Using cache'));
}

/**
 * Whether the engine said something in the midst of this line: it reads the output of a step in pieces, and its own words, when
 * it is told to end, may come between two.
 */
function isBroken(messages: readonly string[], mark: string, number: number): boolean {
  const line = `${mark} ${number}`;
  return messages.some((message) => {
    const [, before = ''] = /^(.+?)time="[^"]+" level=\w+ msg=/.exec(message) ?? [];
    return before !== '' && (line.startsWith(before) || /^(?: x)* ?$/.test(before.replace(line, '')));
  });
}

function isNumber(message: string, number: number): boolean {
  const printed = readPrinted(message);
  return printed !== null && 'number' in printed && printed.number === number;
}
