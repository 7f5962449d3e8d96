/** Variables by name; an `ARG` without a value is absent. */
export type Variables = ReadonlyMap<string, string>;

/** Ends the reading of a word: the problem continues a sentence that begins with its line. */
export type Refuse = (problem: string) => never;

/** No word of a Dockerfile grows beyond this many characters: one that doubles another, and so on, would fill the memory. */
const longestWord = 128 * 1024;
const deepestNesting = 16;

// As Go has it: a byte order mark is none, but the next line of ISO 8859-1 is one.
const blank = /[\s\u0085]/;
const isBlank = (character: string): boolean => character !== '\uFEFF' && blank.test(character);
const name = /[\p{L}_][\p{L}\p{Nd}_]*|\p{Nd}+|[@*#?!$-]/uy;

/**
 * Reads a word as the engine does: without its quotes and escapes, and `$NAME`, `${NAME}`, `${NAME:-default}`,
 * `${NAME:+alternative}` replaced (also without the colon, as newer engines know it); an unknown variable is empty.
 */
export function expand(text: string, variables: Variables, refuse: Refuse): string {
  return new Word(text, variables, refuse).read();
}

class Word {
  private at = 0;
  private depth = 0;

  public constructor(
    private readonly text: string,
    private readonly variables: Variables,
    private readonly refuse: Refuse,
  ) {}

  public read(): string {
    return this.upTo('');
  }

  /** Leaves the position at the end of the text or at the character that stops it. */
  private upTo(stop: string): string {
    const parts = new Parts(this.refuse);
    while (this.at < this.text.length && this.text[this.at] !== stop) {
      const character = this.next();
      if (character === "'") parts.add(this.quoted());
      else if (character === '"') this.doubleQuoted(parts);
      else if (character === '$') parts.add(this.variable());
      else parts.add(character === '\\' ? this.next() : character);
    }
    return parts.text;
  }

  private quoted(): string {
    const end = this.text.indexOf("'", this.at);
    const inner = this.text.slice(this.at, end < 0 ? undefined : end);
    this.at += inner.length + 1;
    return inner;
  }

  private doubleQuoted(parts: Parts): void {
    while (this.at < this.text.length) {
      const character = this.next();
      if (character === '"') return;
      if (character === '$') parts.add(this.variable());
      else if (character === '\\' && /["$\\]/.test(this.text.charAt(this.at))) parts.add(this.next());
      else parts.add(character);
    }
  }

  /** Behind the `$`. */
  private variable(): string {
    if (this.text[this.at] !== '{') {
      const found = this.name();
      return found === '' ? '$' : (this.variables.get(found) ?? '');
    }
    this.at += 1;
    const value = this.variables.get(this.name());
    const [, colon = '', operator = ''] = /^(:?)([-+}]?)/.exec(this.text.slice(this.at, this.at + 2)) ?? [];
    if (operator === '' || (operator === '}' && colon !== '')) {
      this.refuse('it has a variable that cannot be read before the build');
    }
    this.at += colon.length + 1;
    if (operator === '}') return value ?? '';
    this.depth += 1;
    if (this.depth > deepestNesting) this.refuse('its variables are nested too deeply');
    const word = this.upTo('}');
    if (this.next() !== '}') this.refuse('it has a variable without an end');
    this.depth -= 1;
    const isGiven = value !== undefined && (colon === '' || value !== '');
    if (operator === '+') return isGiven ? word : '';
    return isGiven ? value : word;
  }

  private name(): string {
    name.lastIndex = this.at;
    const [found = ''] = name.exec(this.text) ?? [];
    this.at += found.length;
    return found;
  }

  private next(): string {
    const character = this.text.charAt(this.at);
    this.at += 1;
    return character;
  }
}

/** A text that must not grow too long. */
class Parts {
  private readonly parts: string[] = [];
  private length = 0;

  public constructor(private readonly refuse: Refuse) {}

  public get text(): string {
    return this.parts.join('');
  }

  public add(part: string): void {
    this.length += part.length;
    if (this.length > longestWord) this.refuse('its variables make too long a text');
    this.parts.push(part);
  }
}

/** The words of an instruction, with their quotes and escapes. */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  let word = '';
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charAt(at);
    if (quote === '' && isBlank(character)) {
      if (word !== '') words.push(word);
      word = '';
      continue;
    }
    if (character === quote) quote = '';
    else if (quote === '' && (character === '"' || character === "'")) quote = character;
    word += character;
    if (character === '\\' && quote !== "'") {
      at += 1;
      word += text.charAt(at);
    }
  }
  return word === '' ? words : [...words, word];
}
