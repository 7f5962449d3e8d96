import fc from 'fast-check';
import type { OwnEnd } from '../driven/driven-engine';

/** What a client or a worker is told to do; which build is meant is counted from the first one, round and round. */
export type Command = { readonly pauseMs: number } & (
  | { readonly do: 'create' | 'list' | 'claim' | 'delete project' }
  | {
      readonly do: 'start' | 'cancel' | 'retry' | 'delete' | 'get' | 'status' | 'logs' | 'write' | 'check' | 'lose';
      readonly build: number;
    }
  | { readonly do: 'finish'; readonly build: number; readonly how: OwnEnd }
);

/** How far a build is before the parallel clients begin. */
export const stages = ['queued', 'waiting', 'running', 'failed', 'success', 'stopping'] as const;

export type Stage = (typeof stages)[number];

/** A parallel run: what is there before, and what each client does after that, one thing after another. */
export interface Play {
  readonly autoStart: boolean;
  readonly stages: readonly Stage[];
  readonly clients: readonly (readonly Command[])[];
}

const build = fc.nat({ max: 3 });
const pauseMs = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat({ max: 6 }) });

function plain<Do extends 'create' | 'list' | 'claim' | 'delete project'>(weight: number, ...names: Do[]) {
  return { weight, arbitrary: fc.record({ do: fc.constantFrom(...names), pauseMs }) };
}

function ofBuild<Do extends Extract<Command, { readonly build: number }>['do']>(
  weight: number,
  ...names: Exclude<Do, 'finish'>[]
) {
  return { weight, arbitrary: fc.record({ do: fc.constantFrom(...names), build, pauseMs }) };
}

const finish = fc.record({
  do: fc.constant('finish' as const),
  build,
  how: fc.constantFrom<OwnEnd>('success', 'failed'),
  pauseMs,
});

const command: fc.Arbitrary<Command> = fc.oneof(
  plain(6, 'create', 'list'),
  plain(8, 'claim'),
  plain(1, 'delete project'),
  ofBuild(24, 'start', 'cancel', 'retry'),
  ofBuild(3, 'delete'),
  ofBuild(10, 'get', 'status', 'logs'),
  ofBuild(14, 'write', 'lose'),
  ofBuild(3, 'check'),
  { weight: 10, arbitrary: finish },
);

/** Plays for so many clients, with so many commands each at most. */
export function plays(clients: { readonly min: number; readonly max: number }, commands: number): fc.Arbitrary<Play> {
  const program = fc.array(command, { minLength: 1, maxLength: commands, size: 'max' });
  return fc.record({
    autoStart: fc.boolean(),
    stages: fc.array(fc.constantFrom(...stages), { minLength: 1, maxLength: 3 }),
    clients: fc.array(program, { minLength: clients.min, maxLength: clients.max }),
  });
}
