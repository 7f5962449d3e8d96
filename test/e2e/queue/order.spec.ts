import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import type { BuildStatusDto } from '../../../src/build-status/build-status.dto';
import type { BuildRow } from '../../factories/build.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Claim } from '../../../src/execution/build-queue.repository';
import { Claimer } from './claimer';

/** A build that a test started, and its place as the first line of its log tells it. */
interface StartedBuild {
  readonly id: string;
  readonly world: World;
  readonly placeAtStart: number;
}

let api: Api;
let claimer: Claimer;

beforeEach(async () => {
  api = await Api.start();
  claimer = await Claimer.start(api);
});

afterEach(async () => {
  await claimer.stop();
  await api.stop();
});

async function placeOf(world: World, id: string): Promise<number | null> {
  return (await world.caller.get<BuildStatusDto>(`/builds/${id}/status`)).expect(200).queue_position;
}

async function start(world: World): Promise<StartedBuild> {
  const { id } = await world.build();
  (await world.caller.post(`/builds/${id}/start`)).expect(200);
  const { logs } = (await world.caller.get<BuildLogsDto>(`/builds/${id}/logs`)).expect(200);
  const place = /waiting for a worker, place (\d+) in the queue$/.exec(logs[0]?.message ?? '')?.[1];
  return { id, world, placeAtStart: Number(place) };
}

/** Starts one build after the other, of the tenants in this order. */
async function startAll(...worlds: readonly World[]): Promise<StartedBuild[]> {
  const builds: StartedBuild[] = [];
  for (const world of worlds) builds.push(await start(world));
  return builds;
}

/** The ids in the order of their places now; fails unless the places are 1, 2, 3 and so on. */
async function byPlace(builds: readonly StartedBuild[]): Promise<string[]> {
  const places = await Promise.all(builds.map(async ({ id, world }) => ({ id, place: await placeOf(world, id) })));
  const sorted = places.sort((a, b) => (a.place ?? 0) - (b.place ?? 0));
  expect(sorted.map(({ place }) => place)).toEqual(builds.map((_, index) => index + 1));
  return sorted.map(({ id }) => id);
}

/**
 * What claims must take while none ends: of the tenants with the fewest running builds the one whose last claim is longest
 * ago, and its oldest build.
 * @param claimed the tenants of the running builds, in the order of their claims
 */
function fairOrder(builds: readonly StartedBuild[], claimed: readonly World[]): string[] {
  const claims = [...claimed];
  const left = [...builds];
  const order: string[] = [];
  const runningOf = (world: World): number => claims.filter((each) => each === world).length;
  for (;;) {
    const fewest = Math.min(...left.map(({ world }) => runningOf(world)));
    const fair = left.filter(({ world }) => runningOf(world) === fewest);
    // Never claimed is -1. The sort is stable, so the older one of two of these comes first.
    const [next] = fair.sort((a, b) => claims.lastIndexOf(a.world) - claims.lastIndexOf(b.world));
    if (next === undefined) return order;
    left.splice(left.indexOf(next), 1);
    claims.push(next.world);
    order.push(next.id);
  }
}

describe('the order of claims', () => {
  it('gives each tenant its turn, however many builds another one has started before', async () => {
    const [big, small, late] = [await World.make(api), await World.make(api), await World.make(api)];
    const builds = await startAll(big, big, big, big, big, small, small, late);
    const [b1, b2, b3, b4, b5, s1, s2, l1] = builds.map(({ id }) => id);
    expect(await claimer.claimAll()).toEqual([b1, s1, l1, b2, s2, b3, b4, b5]);
  });

  it('is what places in the queue say, at the start, later, and between claims', async () => {
    const worlds = [await World.make(api), await World.make(api), await World.make(api), await World.make(api)];
    const [a, b, c, d] = worlds as [World, World, World, World];
    // Two of d run already, and one of c.
    await startAll(d, d, c);
    expect(await claimer.claimAll()).toHaveLength(3);
    const running = [d, c, d];
    const builds: StartedBuild[] = [];
    for (const world of [a, a, d, a, b, c, a, a, d, c, b, a, c, d, a]) {
      builds.push(await start(world));
      const expected = fairOrder(builds, running);
      expect(await byPlace(builds)).toEqual(expected);
      // It took its place at once, and pushed back whoever is behind it.
      const newest = builds.at(-1);
      expect(expected.indexOf(newest?.id ?? '') + 1).toBe(newest?.placeAtStart);
    }
    const expected = fairOrder(builds, running);
    const claimed: string[] = [];
    for (let left = builds; left.length > 0; left = left.filter(({ id }) => !claimed.includes(id))) {
      expect(await byPlace(left)).toEqual(expected.slice(claimed.length));
      const claim = await claimer.claim();
      claimed.push(claim?.id ?? 'none');
    }
    expect(claimed).toEqual(expected);
  });

  it('moves a tenant up whose build has ended', async () => {
    const [a, b] = [await World.make(api), await World.make(api)];
    await startAll(a, b);
    const [claimOfA, claimOfB] = [await claimer.claim(), await claimer.claim()];
    if (claimOfA === null || claimOfB === null) throw new Error('Nothing was claimed');
    await claimer.finish(claimOfB);
    const builds = await startAll(a, b);
    const [ofA, ofB] = builds.map(({ id }) => id);
    expect(await byPlace(builds)).toEqual([ofB, ofA]);
    await claimer.finish(claimOfA);
    expect(await byPlace(builds)).toEqual([ofA, ofB]);
    expect(await claimer.claimAll()).toEqual([ofA, ofB]);
  });

  it.each([1, 2, 3])('lets nobody stand behind the long queue of another, with %i workers', async (workers) => {
    const hogs = await Promise.all(Array.from({ length: workers }, () => World.make(api)));
    const late = await World.make(api);
    await startAll(...hogs.flatMap((hog) => [hog, hog, hog, hog]));
    const running: Claim[] = [];
    const step = async (): Promise<string | undefined> => {
      const ending = running.length === workers ? running.shift() : undefined;
      if (ending !== undefined) await claimer.finish(ending);
      const claim = await claimer.claim();
      if (claim !== null) running.push(claim);
      return claim?.id;
    };
    for (let claims = 0; claims < 2 * workers; claims += 1) await step();
    const own = await start(late);
    expect(own.placeAtStart).toBe(1);
    expect(await step()).toBe(own.id);
    // From then on they take turns.
    const again = await start(late);
    const turns: (string | undefined)[] = [];
    for (let claims = 0; claims <= workers; claims += 1) turns.push(await step());
    expect(turns).toContain(again.id);
  });
});

describe('the place in the queue', () => {
  it('is null for builds that do not wait: queued, claimed and ended ones', async () => {
    const world = await World.make(api);
    const queued = await world.build();
    const [taken] = await startAll(world);
    const waits = await start(world);
    expect((await claimer.claim())?.id).toBe(taken?.id);
    const ended: BuildRow[] = [];
    for (const status of ['success', 'failed', 'cancelled'] as const) ended.push(await world.build({ status }));
    for (const { id } of [queued, ...ended]) expect(await placeOf(world, id)).toBeNull();
    expect(await placeOf(world, taken?.id ?? '')).toBeNull();
    expect(await placeOf(world, waits.id)).toBe(1);
  });

  it('counts none that were cancelled or deleted', async () => {
    const world = await World.make(api);
    const [cancelled, deleted, last] = await startAll(world, world, world);
    expect(await placeOf(world, last?.id ?? '')).toBe(3);
    (await world.caller.post(`/builds/${cancelled?.id ?? ''}/cancel`)).expect(200);
    expect(await placeOf(world, cancelled?.id ?? '')).toBeNull();
    (await world.caller.delete(`/builds/${deleted?.id ?? ''}`)).expect(204);
    expect(await placeOf(world, last?.id ?? '')).toBe(1);
  });
});
