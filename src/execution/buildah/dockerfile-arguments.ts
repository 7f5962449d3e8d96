import os from 'node:os';
import { expand, wordsOf, type Refuse, type Variables } from './dockerfile-words';

const architecture = new Map([['x64', 'amd64']]).get(os.arch()) ?? os.arch();

/** This machine's own, such as `linux/amd64`. */
export const ownPlatform = `linux/${architecture}`;

const platformArgs = Object.entries({ OS: 'linux', ARCH: architecture, PLATFORM: ownPlatform }).flatMap(
  ([part, value]): [string, string][] => [
    [`BUILD${part}`, value],
    [`TARGET${part}`, value],
  ],
);
const proxy = /^(?:https?|ftp|no|all)_proxy$/i;

/**
 * What the arguments before the first `FROM` are. Engines differ in which names are known without a declaration: those of
 * the platform, those of proxies that the build was given, or more. Every such reading is kept.
 */
export class GlobalArguments {
  private readonly readings: readonly Map<string, string>[];

  public constructor(private readonly given: Readonly<Record<string, string>>) {
    const all = Object.entries(given);
    this.readings = [
      new Map(platformArgs),
      new Map(all.filter(([name]) => proxy.test(name))),
      new Map([...platformArgs, ...all]),
    ];
  }

  /** Takes an `ARG` instruction without its keyword. */
  public declare(text: string, refuse: Refuse): void {
    const words = wordsOf(text);
    for (const variables of this.readings) {
      const before = new Map(variables);
      for (const word of words) {
        const declared = expand(word, before, refuse);
        if (expand(word, variables, refuse) !== declared) {
          refuse('its arguments need one another; give each a line of its own');
        }
        this.set(variables, declared);
      }
    }
  }

  /** What a word may be, without doubles; the first is what a current engine reads. */
  public expand(text: string, refuse: Refuse): readonly [string, ...string[]] {
    const [first = '', ...others] = new Set(
      this.readings.map((variables: Variables) => expand(text, variables, refuse)),
    );
    return [first, ...others];
  }

  /** `NAME` or `NAME=default`. */
  private set(variables: Map<string, string>, declared: string): void {
    const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(declared) ?? [];
    const final = Object.hasOwn(this.given, name) ? this.given[name] : value;
    if (final !== undefined) variables.set(name, final);
  }
}
