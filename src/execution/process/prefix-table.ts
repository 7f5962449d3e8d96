/** How many characters the shortest word of a table has. */
export const shortestWord = 8;

interface Entry {
  readonly word: string;
  /** The longest other word with which this one begins. */
  readonly parent: Entry | null;
}

/**
 * Finds words in a text. Neither many words nor such as begin alike make it slow: who gives the words may be the one who
 * prints the text, and all builds of a worker wait meanwhile.
 */
export class PrefixTable {
  /** By their first characters, in the order of UTF-16. */
  private readonly byStart = new Map<string, Entry[]>();
  /** Whether a word may begin with characters of this hash: nearly every place of a text is told from words by it. */
  private readonly starts = new Uint8Array(1 << 16);
  /** Beginnings of words that are shorter than the shortest. */
  private readonly beginnings = new Set<string>();
  private readonly longest: number;

  /** Words of less than `shortestWord` characters are ignored. */
  public constructor(words: Iterable<string>) {
    const sorted = [...new Set(words)].filter((word) => word.length >= shortestWord).sort(inOrder);
    let longest = 0;
    let last: Entry | null = null;
    for (const word of sorted) {
      while (last !== null && !word.startsWith(last.word)) last = last.parent;
      last = { word, parent: last };
      const start = word.slice(0, shortestWord);
      const alike = this.byStart.get(start);
      if (alike === undefined) this.byStart.set(start, [last]);
      else alike.push(last);
      this.starts[hashAt(word, 0)] = 1;
      for (let length = 1; length < shortestWord; length += 1) this.beginnings.add(word.slice(0, length));
      longest = Math.max(longest, word.length);
    }
    this.longest = longest;
  }

  public get isEmpty(): boolean {
    return this.longest === 0;
  }

  /** The length of the longest word that stands at this place of the text; 0: none does. */
  public lengthAt(text: string, start: number): number {
    const alike = this.alike(text, start);
    if (alike === undefined) return 0;
    const there = text.slice(start, start + this.longest);
    const at = countUpTo(alike, ({ word }) => word <= there);
    let entry = alike[at - 1] ?? null;
    if (entry === null) return 0;
    const common = commonLength(entry.word, there);
    while (entry !== null && entry.word.length > common) entry = entry.parent;
    return entry?.word.length ?? 0;
  }

  /** Where the longest end of the text begins with which a longer word begins; the text's length when there is none. */
  public unfinishedStart(text: string): number {
    for (let start = Math.max(0, text.length - this.longest + 1); start < text.length; start += 1) {
      if (this.mayGoOn(text, start)) return start;
    }
    return text.length;
  }

  private mayGoOn(text: string, start: number): boolean {
    if (text.length - start < shortestWord) return this.beginnings.has(text.slice(start));
    const alike = this.alike(text, start);
    if (alike === undefined) return false;
    const tail = text.slice(start);
    const next = alike[countUpTo(alike, ({ word }) => word <= tail)];
    return next?.word.startsWith(tail) ?? false;
  }

  private alike(text: string, start: number): readonly Entry[] | undefined {
    if (this.starts[hashAt(text, start)] === 0) return undefined;
    return this.byStart.get(text.slice(start, start + shortestWord));
  }
}

function inOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** How many entries come before the first for which it does not hold. */
function countUpTo(entries: readonly Entry[], holds: (entry: Entry) => boolean): number {
  let [low, high] = [0, entries.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = entries[middle];
    if (entry !== undefined && holds(entry)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function commonLength(a: string, b: string): number {
  const most = Math.min(a.length, b.length);
  let length = 0;
  while (length < most && a.charCodeAt(length) === b.charCodeAt(length)) length += 1;
  return length;
}

/** Of three of the characters by which words are told apart. */
function hashAt(text: string, start: number): number {
  const [first, middle, last] = [text.charCodeAt(start), text.charCodeAt(start + 3), text.charCodeAt(start + 7)];
  return (first ^ (middle << 5) ^ (last << 9)) & 0xffff;
}
