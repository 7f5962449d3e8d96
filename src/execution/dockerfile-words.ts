/** Variables by name; an `ARG` without a value is absent. */
export type Variables = ReadonlyMap<string, string>;

const variable = /\\(\$)|\$(?:(\w+)|\{(\w+)(?::([-+])([^}]*))?\})/g;

/** Replaces `$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+alternative}`; an unknown variable is empty. */
export function expand(text: string, variables: Variables): string {
  return text.replace(variable, (_, escaped, bare, braced, operator, word) => {
    if (escaped !== undefined) return '$';
    const value = variables.get(String(bare ?? braced)) ?? '';
    if (operator === '-') return value === '' ? String(word) : value;
    if (operator === '+') return value === '' ? '' : String(word);
    return value;
  });
}

const assignment = /([A-Za-z_]\w*)(?:=("(?:[^"\\]|\\.)*"|'[^']*'|\S*))?/g;

/** What an `ARG` instruction declares: names with their default values, or undefined where they have none. */
export function argDefaults(words: string): [name: string, value: string | undefined][] {
  return [...words.matchAll(assignment)].map(([, name = '', value]) => [name, value?.replace(/^(["'])(.*)\1$/s, '$2')]);
}
