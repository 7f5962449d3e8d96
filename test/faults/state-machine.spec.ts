import fc from 'fast-check';
import { Arena } from './driven/arena';
import { expectSound, installAudit } from './state-machine/audit';
import { type Play, plays } from './state-machine/command';
import { misfits } from './state-machine/linearize';
import { ModelClient } from './state-machine/model-client';
import { Session } from './state-machine/session';

/** How many plays of parallel clients are tried. */
const runs = Number(process.env.FC_RUNS ?? 45);

/** For a busy machine; on an idle one a play takes a fifth of a second. */
const limitMs = 60_000 + runs * 3_000;

let arena: Arena;

beforeAll(async () => {
  arena = await Arena.start();
  await installAudit(arena);
}, 60_000);

afterAll(() => arena.stop());

/** Plays, and finds nothing wrong: neither in any answer, nor in what became of the builds. */
async function expectLegal(play: Play): Promise<void> {
  const { tenants, worker } = arena;
  const project = await arena.project({ auto_start: play.autoStart });
  const session = new Session(
    tenants.map(({ caller }) => new ModelClient(caller, project.id)),
    worker,
  );
  await session.play(play);
  await session.drain();
  await expectSound(arena, project);
  const { operations } = session.history;
  const left = misfits(operations, play.autoStart);
  if (left !== null) throw new Error(`No order explains this history: ${show(operations)}\nleft: ${show(left)}`);
}

function show(operations: readonly object[]): string {
  return operations.map((operation) => `\n  ${JSON.stringify(operation)}`).join('');
}

describe('any sequence of requests, claims, lines, ends and lost leases', () => {
  it(
    'is answered as the state machine says',
    async () => {
      const property = fc.asyncProperty(plays({ min: 1, max: 1 }, 24), expectLegal);
      await fc.assert(property, { numRuns: Math.ceil(runs / 3) });
    },
    limitMs,
  );

  it(
    'of parallel clients of two replicas is answered as if they came one after another',
    async () => {
      // What a race did once need not happen again for fewer commands, so a fault is shown as it was found.
      const property = fc.asyncProperty(plays({ min: 2, max: 4 }, 8), expectLegal);
      await fc.assert(property, { numRuns: runs, endOnFailure: true });
    },
    limitMs,
  );
});
