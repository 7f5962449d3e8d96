/** Variables by name; an `ARG` without a value is absent. */
export type Variables = ReadonlyMap<string, string>;

const variable = /\\(\$)|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g;

/** No word of a Dockerfile grows beyond this many characters: one that doubles another, and so on, would fill the memory. */
const longestWord = 128 * 1024;

/**
 * Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+alternative}`; an unknown variable is empty.
 * Null when the result would be too long.
 */
export function expand(text: string, variables: Variables): string | null {
  let length = text.length;
  const expanded = text.replace(variable, (whole: string, escaped, bare, braced, operator, word) => {
    const value =
      length > longestWord ? '' : replacement(escaped, variables.get(String(bare ?? braced)), operator, word);
    length += value.length - whole.length;
    return value;
  });
  return length > longestWord ? null : expanded;
}

function replacement(escaped: unknown, value: string | undefined, operator: unknown, word: unknown): string {
  if (escaped !== undefined) return '$';
  const given = value ?? '';
  if (operator === '-') return given === '' ? String(word) : given;
  if (operator === '+') return given === '' ? '' : String(word);
  return given;
}

const assignment = /([A-Za-z_]\w*)(?:=("(?:[^"\\]|\\.)*"|'[^']*'|\S*))?/g;

/** What an `ARG` instruction declares: names with their default values, or undefined where they have none. */
export function argDefaults(words: string): [name: string, value: string | undefined][] {
  return [...words.matchAll(assignment)].map(([, name = '', value]) => [name, value?.replace(/^(["'])(.*)\1$/s, '$2')]);
}
