import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../../src/builds/build.dto';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Answer } from '../../support/caller';

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

const request = (changes: object = {}): object => ({ project_id: world.project.id, git_branch: 'main', ...changes });

function create(key?: string, body: object = request(), caller = world.caller): Promise<Answer<BuildDto>> {
  return caller.post('/builds', body, key === undefined ? {} : { 'Idempotency-Key': key });
}

/** As the API asks of its clients: a 503 made nothing, and is tried again. A machine that does much else may give some. */
async function createPatiently(body: object): Promise<Answer<BuildDto>> {
  for (;;) {
    const answer = await create(undefined, body);
    if (answer.status !== 503) return answer;
    await sleep(Number(answer.headers.get('retry-after')) * 1_000);
  }
}

async function buildsOf(projectId: string): Promise<number[]> {
  const rows = await api.sql<{ build_number: number }>(
    'SELECT build_number FROM builds WHERE project_id = $1 ORDER BY build_number',
    [projectId],
  );
  return rows.map((row) => row.build_number);
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1);

describe('POST /builds', () => {
  it('makes a queued build with every field', async () => {
    const build = (await create(undefined, request({ git_commit: 'abc1234' }))).expect(201);
    expect(build).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
      project_id: world.project.id,
      build_number: 1,
      git_branch: 'main',
      git_commit: 'abc1234',
      git_author_name: null,
      git_author_email: null,
      status: 'queued',
      error_message: null,
      started_at: null,
      completed_at: null,
      created_at: expect.any(String) as string,
      updated_at: build.created_at,
      trigger: 'api',
      retry_of: null,
      build_args: {},
      image_digest: null,
      image_reference: null,
    });
    expect((await world.caller.get(`/builds/${build.id}`)).expect(200)).toEqual(build);
  });

  it("merges the project's build_args with the request's, which win", async () => {
    const project = await world.otherProject({ build_args: { A: 'project', B: 'project' } });
    const body = { project_id: project.id, git_branch: 'main', build_args: { B: 'request', C: 'request' } };
    const build = (await create(undefined, body)).expect(201);
    expect(build.build_args).toEqual({ A: 'project', B: 'request', C: 'request' });
    await world.caller.patch(`/projects/${project.id}`, { build_args: { A: 'later' } });
    expect((await world.caller.get<BuildDto>(`/builds/${build.id}`)).body.build_args.A).toBe('project');
  });

  it('starts the builds of a project with auto_start (3)', async () => {
    const project = await world.otherProject({ auto_start: true });
    const build = (await create(undefined, { project_id: project.id, git_branch: 'main' })).expect(201);
    expect(build.status).toBe('in_progress');
    expect(build.started_at).not.toBeNull();
    const logs = await world.caller.get<{ logs: { message: string }[] }>(`/builds/${build.id}/logs`);
    expect(logs.body.logs[0]?.message).toMatch(/waiting for a worker, place \d+ in the queue/);
  });

  it('says the same 403 of a foreign, an unknown and a deleted project (6)', async () => {
    const foreign = await World.make(api);
    const deleted = await world.otherProject();
    (await world.caller.delete(`/projects/${deleted.id}`)).expect(204);
    const ids = [foreign.project.id, randomUUID(), deleted.id];
    const answers = await Promise.all(ids.map((id) => create(undefined, request({ project_id: id }))));
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403]);
    expect(new Set(answers.map(({ error }) => `${error.code} ${error.error}`)).size).toBe(1);
  });
});

describe('build_number (15)', () => {
  it('has no gap and no repetition under 200 parallel creates, with failing requests and deletes among them', async () => {
    const project = await world.otherProject();
    const body = { project_id: project.id, git_branch: 'main' };
    const key = randomUUID();
    await create(key, body);
    const created = Array.from({ length: 200 }, async (_, index) => {
      if (index % 10 === 0) await create(undefined, { ...body, git_branch: '-' });
      if (index % 10 === 3) await create(key, { ...body, git_branch: 'conflict' });
      const answer = await createPatiently(body);
      if (index % 10 === 5) await world.caller.delete(`/builds/${answer.body.id}`);
      return answer.status;
    });
    expect(new Set(await Promise.all(created))).toEqual(new Set([201]));
    expect(await buildsOf(project.id)).toEqual(upTo(201));
  });

  it('is counted for each project, and that of a deleted build is not used again', async () => {
    const project = await world.otherProject();
    const body = { project_id: project.id, git_branch: 'main' };
    const first = (await create(undefined, body)).expect(201);
    (await world.caller.delete(`/builds/${first.id}`)).expect(204);
    expect((await create(undefined, body)).expect(201).build_number).toBe(2);
  });
});

describe('Idempotency-Key (5)', () => {
  it('answers the same request with the first answer', async () => {
    const key = randomUUID();
    const first = await create(key);
    const second = await create(key);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.text).toBe(first.text);
    (await world.caller.post(`/builds/${first.body.id}/start`)).expect(200);
    expect((await create(key)).text).toBe(first.text);
  });

  it('takes for the same request what differs in the order of members and the case of hex digits alone', async () => {
    const key = randomUUID();
    const first = await create(key, request({ git_commit: 'abcdef1', build_args: { A: '1', B: '2' } }));
    const again = request({
      build_args: { B: '2', A: '1' },
      git_commit: 'ABCDEF1',
      project_id: world.project.id.toUpperCase(),
    });
    expect((await create(key, again)).expect(201).id).toBe(first.expect(201).id);
  });

  it('refuses another request with 409', async () => {
    const key = randomUUID();
    await create(key);
    for (const changes of [{ git_branch: 'other' }, { git_commit: 'abc1234' }, { build_args: { A: 'x' } }]) {
      const answer = await create(key, request(changes));
      expect([answer.status, answer.error.code]).toEqual([409, 'CONFLICT']);
    }
  });

  it('makes one build of 20 parallel requests', async () => {
    const project = await world.otherProject();
    const key = randomUUID();
    const body = { project_id: project.id, git_branch: 'main' };
    const answers = await Promise.all(Array.from({ length: 20 }, () => create(key, body)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([201]));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(await buildsOf(project.id)).toEqual([1]);
  });

  it('belongs to a tenant', async () => {
    const key = randomUUID();
    const other = await World.make(api);
    const mine = await create(key);
    const theirs = await create(key, { project_id: other.project.id, git_branch: 'main' }, other.caller);
    expect([mine.status, theirs.status]).toEqual([201, 201]);
    expect(theirs.body.id).not.toBe(mine.body.id);
  });

  it('is free again after 24 hours', async () => {
    const key = randomUUID();
    const first = await create(key);
    const age = (interval: string): Promise<object[]> =>
      api.sql('UPDATE idempotency_keys SET created_at = now() - $2::interval WHERE key = $1', [key, interval]);
    await age('23 hours 59 minutes');
    expect((await create(key)).body.id).toBe(first.body.id);
    await age('24 hours 1 minute');
    const later = await create(key, request({ git_branch: 'other' }));
    expect(later.expect(201).id).not.toBe(first.body.id);
    expect((await create(key, request({ git_branch: 'other' }))).body.id).toBe(later.body.id);
  });

  it('is not used up by a request that was refused', async () => {
    const key = randomUUID();
    expect((await create(key, request({ project_id: randomUUID() }))).status).toBe(403);
    expect((await create(key, request({ git_branch: '' }))).status).toBe(400);
    expect((await create(key)).status).toBe(201);
  });

  it('works with a retry as well (4)', async () => {
    const key = { 'Idempotency-Key': randomUUID() };
    const failed = await world.build({ status: 'failed' });
    const retry = (): Promise<Answer<BuildDto>> => world.caller.post(`/builds/${failed.id}/retry`, undefined, key);
    const answers = await Promise.all([retry(), retry(), retry()]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    const other = await world.build({ status: 'failed' });
    expect((await world.caller.post(`/builds/${other.id}/retry`, undefined, key)).status).toBe(409);
    expect((await world.caller.post('/builds', request(), key)).status).toBe(409);
  });

  it.each(['', ' ', 'ü', 'x'.repeat(256)])('is refused with 400 when it is %j', async (key) => {
    const answer = await world.caller.post('/builds', request(), { 'Idempotency-Key': key });
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.error.details ?? {})).toEqual(['Idempotency-Key']);
  });
});
