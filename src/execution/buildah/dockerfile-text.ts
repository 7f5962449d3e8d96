/** Why a line of a Dockerfile, from 1, cannot be read. */
export interface TextProblem {
  readonly line: number;
  readonly problem: string;
}

/**
 * What engines read in different ways: where an instruction ends must be certain, as whoever checks a Dockerfile would
 * otherwise see other instructions than those that run.
 */
export function textProblem(text: string): TextProblem | null {
  const carriageReturn = /\r(?!\n|$)/.exec(text);
  if (carriageReturn !== null) {
    const line = text.slice(0, carriageReturn.index).split('\n').length;
    return { line, problem: 'a carriage return stands within it' };
  }
  for (const [index, line] of text.split('\n').entries()) {
    if (!/^\s*(?:#|\/\/|$)/.test(line)) break;
    if (!/^\s*(?:#|\/\/)\s*escape\s*=/i.test(line)) continue;
    const isFirst = index === 0 && /^\uFEFF?#[ \t]*escape[ \t]*=[ \t]*[\\`][ \t]*\r?$/i.test(line);
    if (isFirst || /=\s*\\\s*$/.test(line)) continue;
    return {
      line: index + 1,
      problem: '"# escape" counts in the first line alone, with nothing but one \\ or ` behind it',
    };
  }
  return null;
}
