import { type BuildRepository, shell } from '../support/build-repository';

/** A kind of build, by what its one interesting step prints and does. */
export interface Recipe {
  /** The branch that holds its Dockerfile. */
  readonly name: string;
  /** How many numbered lines it prints. */
  readonly lines: number;
  readonly pauseSeconds: number;
  /** Printed behind each number. */
  readonly padding?: string;
  /** What the step does before its first line. */
  readonly before?: string;
  /** What it ends with; 0 is success. */
  readonly exitCode: number;
  /** How often a client chooses it. */
  readonly weight: number;
}

export const recipes: readonly Recipe[] = [
  { name: 'quick', lines: 20, pauseSeconds: 0.025, exitCode: 0, weight: 5 },
  { name: 'slow', lines: 80, pauseSeconds: 0.05, exitCode: 0, weight: 4 },
  { name: 'failing', lines: 15, pauseSeconds: 0.05, exitCode: 7, weight: 3 },
  { name: 'big', lines: 4_000, pauseSeconds: 0, padding: ' x'.repeat(100), exitCode: 0, weight: 1 },
  { name: 'stubborn', lines: 100, pauseSeconds: 0.05, before: "trap '' TERM; ", exitCode: 0, weight: 2 },
];

/** The build argument that tells one build from all others; it also keeps its step out of the cache. */
export const markArg = 'CHAOS';

/** What a step says first: its mark, and a number that no other execution of it has. */
const begin = /^(chaos-[\w-]+) begins ([0-9a-f-]{36})$/;
const numbered = /^(chaos-[\w-]+) (\d+)(?: x)*$/;

/** What a line of a log tells of the step that printed it; null for a line of somebody else. */
export type Printed =
  { readonly mark: string; readonly execution: string } | { readonly mark: string; readonly number: number };

export function readPrinted(message: string): Printed | null {
  const [, beginner, execution] = begin.exec(message) ?? [];
  if (beginner !== undefined && execution !== undefined) return { mark: beginner, execution };
  const [, mark, number] = numbered.exec(message) ?? [];
  return mark === undefined ? null : { mark, number: Number(number) };
}

/** Makes a branch for each recipe. */
export function writeRecipes(repository: BuildRepository): void {
  for (const recipe of recipes) {
    repository.branch(recipe.name, { Dockerfile: `${shell}ARG ${markArg}\nRUN ${commandOf(recipe)}\n` });
  }
}

function commandOf({ lines, pauseSeconds, padding = '', before = '', exitCode }: Recipe): string {
  const pause = pauseSeconds === 0 ? '' : `sleep ${pauseSeconds}; `;
  return [
    `${before}echo "$${markArg} begins $(cat /proc/sys/kernel/random/uuid)"; n=0;`,
    `while [ $n -lt ${lines} ]; do n=$((n+1)); echo "$${markArg} $n${padding}"; ${pause}done; exit ${exitCode}`,
  ].join(' ');
}
