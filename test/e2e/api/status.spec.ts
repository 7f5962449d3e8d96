import type { BuildStatusDto } from '../../../src/build-status/build-status.dto';
import { BuildFactory, type BuildWishes } from '../../factories/build.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start();
});

beforeEach(async () => {
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

async function statusOf(id: string): Promise<BuildStatusDto> {
  return (await world.caller.get<BuildStatusDto>(`/builds/${id}/status`)).expect(200);
}

const ago = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

/** A build that a worker took some seconds ago. */
const running = (seconds: number, more: BuildWishes = {}): BuildWishes => ({
  status: 'in_progress',
  started_at: ago(seconds),
  claimed_at: ago(seconds),
  ...more,
});

/** A history of successful builds that took so many seconds each, the oldest first. */
async function history(...durations: number[]): Promise<void> {
  for (const [index, seconds] of durations.entries()) {
    const end = ago(10_000 - index);
    const start = new Date(end.getTime() - seconds * 1000);
    await world.build({ status: 'success', started_at: start, claimed_at: start, completed_at: end });
  }
}

/** Seconds from now to the estimate; null without one. */
async function remaining(id: string): Promise<number | null> {
  const { estimated_completion: estimate } = await statusOf(id);
  return estimate === null ? null : (Date.parse(estimate) - Date.now()) / 1000;
}

describe('progress (15)', () => {
  it.each<[string, BuildWishes, object | null]>([
    ['null while queued', { status: 'queued' }, null],
    [
      '0 of 0 while it waits for a worker',
      { status: 'in_progress' },
      { current_step: 0, total_steps: 0, percentage: 0 },
    ],
    [
      'the steps done',
      running(5, { steps_done: 5, steps_total: 10 }),
      { current_step: 5, total_steps: 10, percentage: 50 },
    ],
    [
      'a whole percentage',
      running(5, { steps_done: 1, steps_total: 3 }),
      { current_step: 1, total_steps: 3, percentage: 33 },
    ],
    [
      'not 100 before success',
      running(5, { steps_done: 3, steps_total: 3 }),
      { current_step: 3, total_steps: 3, percentage: 99 },
    ],
    [
      '100 on success',
      { status: 'success', steps_done: 3, steps_total: 3 },
      { current_step: 3, total_steps: 3, percentage: 100 },
    ],
    [
      'where it failed',
      { status: 'failed', steps_done: 1, steps_total: 4 },
      { current_step: 1, total_steps: 4, percentage: 25 },
    ],
    [
      'not 100 of a failure at the end',
      { status: 'failed', steps_done: 4, steps_total: 4 },
      { current_step: 4, total_steps: 4, percentage: 99 },
    ],
    [
      'where it was cancelled',
      { status: 'cancelled', steps_done: 2, steps_total: 4 },
      { current_step: 2, total_steps: 4, percentage: 50 },
    ],
  ])('is %s', async (_, wishes, progress) => {
    const build = await world.build(wishes);
    expect((await statusOf(build.id)).progress).toEqual(progress);
  });
});

describe('status', () => {
  it('has every field, null where there is none', async () => {
    const build = await world.build();
    expect(await statusOf(build.id)).toEqual({
      build_id: build.id,
      status: 'queued',
      progress: null,
      queue_position: null,
      started_at: null,
      estimated_completion: null,
      error: null,
    });
  });

  it('tells the error of a failed build and when it began', async () => {
    const started = ago(60);
    const build = await world.build({ status: 'failed', started_at: started, error_message: 'Step 2 failed' });
    expect(await statusOf(build.id)).toMatchObject({ error: 'Step 2 failed', started_at: started.toISOString() });
  });
});

describe('the estimate of completion', () => {
  it('is null without a history', async () => {
    expect(await remaining((await world.build(running(5))).id)).toBeNull();
  });

  it('is the usual duration at the start, and while it waits for a worker', async () => {
    await history(60);
    const taken = await remaining((await world.build(running(0))).id);
    const waiting = await remaining((await world.build({ status: 'in_progress', started_at: ago(500) })).id);
    expect(taken).toBeCloseTo(60, -1);
    expect(waiting).toBeCloseTo(60, -1);
  });

  it('goes by the median of the last ten successful builds', async () => {
    // The two oldest are too old; of the ten others the median is 55.
    await history(9_000, 9_000, 10, 20, 30, 40, 50, 60, 70, 80, 90, 5_000);
    expect(await remaining((await world.build(running(0))).id)).toBeCloseTo(55, -1);
  });

  it('goes by successful, undeleted builds of the same project alone', async () => {
    await history(60);
    const other = await world.otherProject();
    const long = { started_at: ago(5_000), claimed_at: ago(5_000), completed_at: new Date() };
    await BuildFactory.from(api, other, { status: 'success', ...long }).build();
    await world.build({ status: 'failed', ...long });
    await world.build({ status: 'cancelled', ...long });
    const deleted = await world.build({ status: 'success', ...long });
    (await world.caller.delete(`/builds/${deleted.id}`)).expect(204);
    expect(await remaining((await world.build(running(0))).id)).toBeCloseTo(60, -1);
  });

  it('is corrected by the steps done', async () => {
    await history(100);
    const slow = await world.build(running(90, { steps_done: 5, steps_total: 10 }));
    const quick = await world.build(running(10, { steps_done: 5, steps_total: 10 }));
    expect(await remaining(slow.id)).toBeGreaterThan(30);
    expect(await remaining(quick.id)).toBeLessThan(60);
    expect(await remaining(quick.id)).toBeGreaterThan(5);
  });

  it('stays sane when a build overruns', async () => {
    await history(60);
    for (const done of [0, 1, 9, 10]) {
      const build = await world.build(running(6_000, { steps_done: done, steps_total: 10 }));
      const left = (await remaining(build.id)) ?? -1;
      expect(left).toBeGreaterThan(-1);
      expect(left).toBeLessThan(7_000);
    }
  });

  it.each(['queued', 'success', 'failed', 'cancelled'] as const)('is null for a build that is %s', async (status) => {
    await history(60);
    expect(await remaining((await world.build({ status })).id)).toBeNull();
  });
});
