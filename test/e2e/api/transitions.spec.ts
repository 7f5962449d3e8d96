import { randomUUID } from 'node:crypto';
import type { BuildDto, BuildListDto } from '../../../src/builds/build.dto';
import type { BuildLogsDto } from '../../../src/build-logs/build-logs.dto';
import { type BuildStatus, buildStatuses } from '../../../src/builds/build-state';
import { Janitor } from '../../../src/maintenance/janitor';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Answer } from '../../support/caller';
import { askUpgrade } from '../../support/upgrade';
import { waitUntil } from '../../support/wait-until';

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

function post(id: string, action: string, body?: unknown): Promise<Answer<BuildDto>> {
  return world.caller.post(`/builds/${id}/${action}`, body);
}

async function messages(id: string): Promise<string[]> {
  const { logs } = (await world.caller.get<BuildLogsDto>(`/builds/${id}/logs?limit=1000`)).expect(200);
  return logs.map(({ message }) => message);
}

async function logRow(id: string): Promise<{ closed_at: Date | null; outcome: string | null } | undefined> {
  const [row] = await api.sql<{ closed_at: Date | null; outcome: string | null }>(
    'SELECT closed_at, outcome FROM build_logs WHERE build_id = $1',
    [id],
  );
  return row;
}

const allowed: Readonly<Record<string, readonly [from: BuildStatus, to: BuildStatus]>> = {
  start: ['queued', 'in_progress'],
  cancel: ['in_progress', 'cancelled'],
  retry: ['failed', 'queued'],
};

describe.each(Object.entries(allowed))('POST /builds/{id}/%s', (action, [from, to]) => {
  it.each(buildStatuses)('of a build that is %s', async (status) => {
    const build = await world.build({ status });
    const answer = await post(build.id, action);
    if (status === from) {
      expect(answer.expect(200).status).toBe(to);
      return;
    }
    expect([answer.status, answer.error.code]).toEqual([409, 'CONFLICT']);
    expect(answer.error.error).toContain(status);
    expect((await world.caller.get<BuildDto>(`/builds/${build.id}`)).body.status).toBe(status);
  });
});

describe('start (3)', () => {
  it('sets started_at, and the first log line tells the place in the queue', async () => {
    const empty = await World.make(api);
    await api.sql(`UPDATE builds SET status = 'cancelled' WHERE status = 'in_progress'`);
    const first = await empty.build();
    const second = await empty.build();
    const started = (await empty.caller.post<BuildDto>(`/builds/${first.id}/start`)).expect(200);
    expect(Date.parse(started.started_at ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect(started.updated_at >= started.created_at).toBe(true);
    await empty.caller.post(`/builds/${second.id}/start`);
    const places = await Promise.all(
      [first, second].map(async ({ id }) => {
        const { logs } = (await empty.caller.get<BuildLogsDto>(`/builds/${id}/logs`)).expect(200);
        return logs.map(({ message }) => message);
      }),
    );
    expect(places).toEqual([
      ['Build #1 started; waiting for a worker, place 1 in the queue'],
      ['Build #2 started; waiting for a worker, place 2 in the queue'],
    ]);
  });

  it('lets one of 50 at once win, and tells the others 409', async () => {
    const build = await world.build();
    const answers = await Promise.all(Array.from({ length: 50 }, () => post(build.id, 'start')));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 409)).toHaveLength(49);
    expect(await messages(build.id)).toHaveLength(1);
  });
});

describe('cancel (2)', () => {
  it('puts the reason into error_message and the log, and closes the log of a build without a worker', async () => {
    const build = await world.build();
    await post(build.id, 'start');
    const cancelled = (await post(build.id, 'cancel', { reason: 'Wrong branch' })).expect(200);
    expect(cancelled).toMatchObject({ status: 'cancelled', error_message: 'Wrong branch' });
    expect(cancelled.completed_at).not.toBeNull();
    expect((await messages(build.id)).slice(1)).toEqual([
      'Cancelled by request: Wrong branch',
      'Stopped before a worker took it',
    ]);
    const log = await logRow(build.id);
    expect(log?.outcome).toBe('cancelled');
    expect(log?.closed_at).not.toBeNull();
  });

  it('leaves the log open, and the lease, to the worker that has the build', async () => {
    const build = await world.build({
      status: 'in_progress',
      lease_token: randomUUID(),
      lease_expires_at: new Date(Date.now() + 600_000),
      claimed_at: new Date(),
    });
    (await post(build.id, 'cancel')).expect(200);
    expect(await messages(build.id)).toEqual(['Cancelled by request']);
    expect((await logRow(build.id))?.closed_at).toBeNull();
    const [row] = await api.sql<{ lease_token: string | null }>('SELECT lease_token FROM builds WHERE id = $1', [
      build.id,
    ]);
    expect(row?.lease_token).not.toBeNull();
  });

  it.each<[string, unknown, string | null]>([
    ['no body', undefined, null],
    ['an empty object', {}, null],
    ['an empty reason', { reason: '' }, null],
    ['a reason of 500 characters', { reason: 'ü'.repeat(500) }, 'ü'.repeat(500)],
  ])('takes %s', async (_, body, reason) => {
    const build = await world.build({ status: 'in_progress' });
    expect((await post(build.id, 'cancel', body)).expect(200).error_message).toBe(reason);
  });

  it.each<[unknown]>([
    [{ reason: 'x'.repeat(501) }],
    [{ reason: null }],
    [{ reason: 5 }],
    [{ reason: ['x'] }],
    [{ reason: 'a\0b' }],
  ])('refuses %j', async (body) => {
    const build = await world.build({ status: 'in_progress' });
    const answer = await post(build.id, 'cancel', body);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.error.details ?? {})).toEqual(['reason']);
  });

  it.each(['[]', '"x"', '5', 'null', 'true', '{', ''])('refuses the body %s that is no object', async (body) => {
    const build = await world.build({ status: 'in_progress' });
    const answer = await world.caller.post(`/builds/${build.id}/cancel`, body);
    expect(answer.status).toBe(body === '' ? 200 : 400);
  });

  it('and a worker that ends the build at the same moment: one of them decides', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const build = await world.build({ status: 'in_progress' });
        const [answer, rows] = await Promise.all([
          post(build.id, 'cancel'),
          api.sql(`UPDATE builds SET status = 'success' WHERE id = $1 AND status = 'in_progress' RETURNING id`, [
            build.id,
          ]),
        ]);
        const { body } = await world.caller.get<BuildDto>(`/builds/${build.id}`);
        return [answer.status, rows.length, body.status].join(' ');
      }),
    );
    expect(['200 0 cancelled', '409 1 success']).toEqual(expect.arrayContaining([...new Set(answers)]));
  });
});

describe('retry (4)', () => {
  it('is a new queued build with the same branch and arguments and the resolved commit', async () => {
    const failed = await world.build({
      status: 'failed',
      git_branch: 'feature/x',
      git_commit: 'a'.repeat(40),
      commit_verified: true,
      git_author_name: 'Ada',
      build_args: { A: 'b' },
      steps_done: 2,
      steps_total: 3,
    });
    const retry = (await post(failed.id, 'retry')).expect(200);
    expect(retry).toMatchObject({
      project_id: failed.project_id,
      status: 'queued',
      git_branch: 'feature/x',
      git_commit: 'a'.repeat(40),
      build_args: { A: 'b' },
      retry_of: failed.id,
      trigger: 'retry',
      error_message: null,
      started_at: null,
      completed_at: null,
    });
    expect(retry.id).not.toBe(failed.id);
    expect(retry.build_number).toBeGreaterThan(failed.build_number);
    const [row] = await api.sql('SELECT commit_verified, steps_done FROM builds WHERE id = $1', [retry.id]);
    expect(row).toEqual({ commit_verified: true, steps_done: 0 });
    expect((await world.caller.get<BuildDto>(`/builds/${failed.id}`)).body.status).toBe('failed');
    expect(await messages(retry.id)).toEqual([]);
  });

  it('is refused while an earlier retry is queued or in progress, and allowed after it', async () => {
    const failed = await world.build({ status: 'failed' });
    const first = (await post(failed.id, 'retry')).expect(200);
    expect((await post(failed.id, 'retry')).status).toBe(409);
    await post(first.id, 'start');
    expect((await post(failed.id, 'retry')).status).toBe(409);
    await post(first.id, 'cancel');
    const second = (await post(failed.id, 'retry')).expect(200);
    (await world.caller.delete(`/builds/${second.id}`)).expect(204);
    (await post(failed.id, 'retry')).expect(200);
  });

  it('lets one of ten at once win', async () => {
    const failed = await world.build({ status: 'failed' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => post(failed.id, 'retry')));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(9);
  });

  it('starts at once in a project with auto_start', async () => {
    const auto = await World.make(api);
    const failed = await auto.build({ status: 'failed' });
    await api.sql('UPDATE projects SET auto_start = true WHERE id = $1', [auto.project.id]);
    const retry = await auto.caller.post<BuildDto>(`/builds/${failed.id}/retry`);
    expect(retry.expect(200).status).toBe('in_progress');
  });
});

describe('delete (1)', () => {
  it.each(buildStatuses)('hides a build that is %s at once and everywhere', async (status) => {
    const own = await World.make(api);
    const build = await own.build({ status }, 'a line');
    const answer = await own.caller.delete(`/builds/${build.id}`);
    expect([answer.status, answer.text]).toEqual([204, '']);
    for (const [method, path] of [
      ['GET', ''],
      ['DELETE', ''],
      ['POST', '/start'],
      ['POST', '/cancel'],
      ['POST', '/retry'],
      ['GET', '/status'],
      ['GET', '/logs'],
      ['GET', '/image'],
    ] as const) {
      expect([path, (await own.caller.send(method, `/builds/${build.id}${path}`)).status]).toEqual([path, 404]);
    }
    const stream = `/api/v1/builds/${build.id}/logs/stream`;
    const asked = await askUpgrade(api.port, stream, { Authorization: `Bearer ${own.caller.token ?? ''}` });
    expect(asked.status).toBe(404);
    const list = (await own.caller.get<BuildListDto>('/builds')).expect(200);
    expect(list).toMatchObject({ builds: [], total_count: 0 });
  });

  it('has everything of it purged in the background', async () => {
    const build = await world.build({ status: 'success' }, 'a line');
    (await world.caller.delete(`/builds/${build.id}`)).expect(204);
    await waitUntil(async () => {
      await api.app.get(Janitor, { strict: false }).work();
      const [left] = await api.sql<{ rows: number }>(
        `SELECT (SELECT count(*) FROM builds WHERE id = $1) + (SELECT count(*) FROM build_logs WHERE build_id = $1)
              + (SELECT count(*) FROM build_log_chunks WHERE build_id = $1) AS rows`,
        [build.id],
      );
      return left?.rows === 0;
    });
  });

  it('ends a running build, whose worker is left to stop it before it is purged', async () => {
    const build = await world.build({
      status: 'in_progress',
      lease_token: randomUUID(),
      lease_expires_at: new Date(Date.now() + 600_000),
      claimed_at: new Date(),
    });
    (await world.caller.delete(`/builds/${build.id}`)).expect(204);
    await api.app.get(Janitor, { strict: false }).work();
    const [row] = await api.sql<{ status: string }>('SELECT status FROM builds WHERE id = $1', [build.id]);
    expect(row?.status).toBe('cancelled');
  });

  it('of one build twice at once is 204 and 404', async () => {
    const build = await world.build();
    const answers = await Promise.all([1, 2].map(() => world.caller.delete(`/builds/${build.id}`)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404]);
  });
});

describe('GET /builds/{id}/logs (12)', () => {
  it('has the lines so far, their true total, and nothing past the end', async () => {
    const build = await world.build({ status: 'in_progress' }, 'one', 'two', 'three');
    const page = (query: string): Promise<Answer<BuildLogsDto>> => world.caller.get(`/builds/${build.id}/logs${query}`);
    expect((await page('')).body).toMatchObject({ build_id: build.id, total_lines: 3, offset: 0, limit: 100 });
    const second = (await page('?offset=1&limit=1')).body;
    expect([second.logs.map(({ message }) => message), second.total_lines]).toEqual([['two'], 3]);
    expect((await page('?offset=3')).body).toMatchObject({ logs: [], total_lines: 3, offset: 3 });
    expect((await page('?offset=9007199254740991')).body).toMatchObject({ logs: [], total_lines: 3 });
    expect((await page('?limit=1001')).status).toBe(400);
    expect((await page('?offset=-1')).status).toBe(400);
  });
});
