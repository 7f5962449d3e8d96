import type { BuildDto, BuildListDto } from '../../../src/builds/build.dto';
import { type BuildStatus, buildStatuses } from '../../../src/builds/build-state';
import type { ProjectRow } from '../../factories/project.factory';
import { BuildFactory } from '../../factories/build.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Caller } from '../../support/caller';

let api: Api;

beforeAll(async () => {
  api = await Api.start();
});

afterAll(async () => {
  await api.stop();
});

async function list(caller: Caller, query = ''): Promise<BuildListDto> {
  return (await caller.get<BuildListDto>(`/builds${query}`)).expect(200);
}

describe('GET /builds', () => {
  let world: World;
  let other: ProjectRow;
  const all: {
    id: string;
    status: BuildStatus;
    project_id: string;
    created: number;
    updated: number;
    number: number;
  }[] = [];

  beforeAll(async () => {
    world = await World.make(api);
    other = await world.otherProject();
    const foreign = await World.make(api);
    await foreign.build();
    for (let index = 0; index < 25; index += 1) {
      const status = buildStatuses[index % 5] ?? 'queued';
      const created = Date.UTC(2024, 0, 1 + ((index * 7) % 25));
      const updated = Date.UTC(2024, 2, 1 + ((index * 11) % 25));
      const values = { status, created_at: new Date(created), updated_at: new Date(updated) };
      const build = await BuildFactory.from(api, index % 3 === 0 ? other : world.project, values).build();
      all.push({ id: build.id, status, project_id: build.project_id, created, updated, number: build.build_number });
    }
  });

  it('shows the newest 20 of the tenant first, and says how many there are', async () => {
    const { builds, ...rest } = await list(world.caller);
    const expected = [...all].sort((a, b) => b.created - a.created).slice(0, 20);
    expect(builds.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    expect(rest).toEqual({ total_count: 25, page: 1, limit: 20, has_more: true });
  });

  it.each([
    ['created_at', 'created'],
    ['updated_at', 'updated'],
    ['build_number', 'number'],
  ] as const)('sorts by %s in both orders', async (field, key) => {
    for (const order of ['asc', 'desc'] as const) {
      const { builds } = await list(world.caller, `?sort_by=${field}&sort_order=${order}&limit=100`);
      const sign = order === 'asc' ? 1 : -1;
      // Of equal ones the id decides, so that pages neither repeat nor lose a build.
      const expected = [...all].sort((a, b) => sign * (a[key] - b[key] || (a.id < b.id ? -1 : 1)));
      expect(builds.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
    }
  });

  it.each(buildStatuses)('filters by the status %s', async (status) => {
    const { builds, total_count: total } = await list(world.caller, `?status=${status}`);
    expect(builds.map(({ id }) => id).sort()).toEqual(
      all
        .filter((build) => build.status === status)
        .map(({ id }) => id)
        .sort(),
    );
    expect(total).toBe(5);
  });

  it('filters by project, and by project and status', async () => {
    const inOther = all.filter((build) => build.project_id === other.id);
    const byProject = await list(world.caller, `?project_id=${other.id.toUpperCase()}`);
    expect([byProject.builds.length, byProject.total_count]).toEqual([inOther.length, inOther.length]);
    const both = await list(world.caller, `?project_id=${other.id}&status=failed`);
    const expected = inOther.filter(({ status }) => status === 'failed').map(({ id }) => id);
    expect(both.builds.map(({ id }) => id).sort()).toEqual(expected.sort());
    expect(both.total_count).toBe(expected.length);
  });

  it('has nothing of an unknown or a foreign project', async () => {
    const foreign = await World.make(api);
    await foreign.build();
    const answer = await list(world.caller, `?project_id=${foreign.project.id}`);
    expect(answer).toMatchObject({ builds: [], total_count: 0, has_more: false });
  });

  it('walks through all pages without a gap or a repetition', async () => {
    const seen: string[] = [];
    for (let page = 1; ; page += 1) {
      const answer = await list(world.caller, `?page=${page}&limit=4&sort_by=build_number&sort_order=asc`);
      expect(answer).toMatchObject({ page, limit: 4, total_count: 25 });
      seen.push(...answer.builds.map(({ id }) => id));
      if (!answer.has_more) break;
    }
    expect(seen).toHaveLength(25);
    expect(new Set(seen).size).toBe(25);
  });

  it('says has_more only while there is more, also at the very end', async () => {
    expect((await list(world.caller, '?page=1&limit=25')).has_more).toBe(false);
    expect((await list(world.caller, '?page=5&limit=5')).has_more).toBe(false);
    expect((await list(world.caller, '?page=4&limit=5')).has_more).toBe(true);
  });

  it.each(['?page=9007199254740991&limit=100', '?page=1000000'])(
    'answers an empty page far behind the end: %s',
    async (query) => {
      expect(await list(world.caller, query)).toMatchObject({ builds: [], total_count: 25, has_more: false });
    },
  );

  it.each([
    ['page', '0'],
    ['page', '-1'],
    ['page', '1.5'],
    ['page', ''],
    ['page', '1e3'],
    ['page', '9007199254740992'],
    ['limit', '0'],
    ['limit', '101'],
    ['limit', 'all'],
    ['status', 'done'],
    ['status', ''],
    ['status', 'queued,failed'],
    ['project_id', 'x'],
    ['project_id', ''],
    ['sort_by', 'id'],
    ['sort_by', 'created_at;--'],
    ['sort_order', 'DESC'],
  ])('refuses %s=%s with details', async (name, value) => {
    const answer = await world.caller.get(`/builds?${name}=${encodeURIComponent(value)}`);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.error.details ?? {})).toEqual([name]);
  });
});

describe('total_count', () => {
  const filters: readonly (readonly [status: BuildStatus | null, byProject: boolean])[] = [
    [null, false],
    [null, true],
    ...buildStatuses.flatMap((status) => [[status, false] as const, [status, true] as const]),
  ];

  /** What the API says, against a real COUNT, for every filter. */
  async function expectTrueTotals(world: World, projectId = world.project.id): Promise<void> {
    for (const [status, byProject] of filters) {
      const query = new URLSearchParams({ limit: '1' });
      if (status !== null) query.set('status', status);
      if (byProject) query.set('project_id', projectId);
      const { total_count: total } = await list(world.caller, `?${query.toString()}`);
      const [row] = await api.sql<{ count: number }>(
        `SELECT count(*) FROM builds WHERE tenant_id = $1 AND deleted_at IS NULL
         AND ($2::text IS NULL OR status = $2) AND ($3::uuid IS NULL OR project_id = $3)`,
        [world.tenantId, status, byProject ? projectId : null],
      );
      expect([status, byProject, total]).toEqual([status, byProject, row?.count]);
    }
  }

  it('is true after every kind of change', async () => {
    const world = await World.make(api);
    const { caller, project } = world;
    const second = await world.otherProject();
    await expectTrueTotals(world);

    const ids: string[] = [];
    for (let index = 0; index < 6; index += 1) {
      const projectId = index % 2 === 0 ? project.id : second.id;
      const answer = await caller.post<BuildDto>('/builds', { project_id: projectId, git_branch: 'main' });
      ids.push(answer.expect(201).id);
      await expectTrueTotals(world);
    }
    const [first = '', next = '', third = '', fourth = ''] = ids;
    for (const [id, change] of [
      [first, 'start'],
      [next, 'start'],
      [first, 'cancel'],
      [third, 'start'],
    ] as const) {
      (await caller.post(`/builds/${id}/${change}`)).expect(200);
      await expectTrueTotals(world);
    }
    // A worker ends two of them.
    await api.sql(`UPDATE builds SET status = 'failed' WHERE id = $1`, [next]);
    await api.sql(`UPDATE builds SET status = 'success' WHERE id = $1`, [third]);
    await expectTrueTotals(world);
    (await caller.post(`/builds/${next}/retry`)).expect(200);
    await expectTrueTotals(world, second.id);

    for (const id of [first, next, fourth]) {
      (await caller.delete(`/builds/${id}`)).expect(204);
      await expectTrueTotals(world);
    }
    expect((await caller.delete(`/builds/${first}`)).status).toBe(404);
    await expectTrueTotals(world);
    (await caller.delete(`/projects/${second.id}`)).expect(204);
    await expectTrueTotals(world, second.id);
    await expectTrueTotals(world);
  });
});
