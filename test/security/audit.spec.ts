import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import type { AuditEventDto, AuditEventListDto } from '../../src/audit/audit-event.dto';
import { Janitor } from '../../src/maintenance/janitor';
import { password, UserFactory } from '../factories/user.factory';
import { World } from '../factories/world';
import { Api } from '../support/api';
import { type Answer, Caller } from '../support/caller';
import { askUpgrade } from '../support/upgrade';
import { waitUntil } from '../support/wait-until';

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start({ AUDIT_RETENTION_DAYS: '60', TRUSTED_PROXIES: '127.0.0.1' });
});

beforeEach(async () => {
  world = await World.make(api);
});

afterAll(() => api.stop());

const reader = (): Caller => world.with('audit:read');

async function list(query = '', by = reader()): Promise<AuditEventDto[]> {
  return (await by.get<AuditEventListDto>(`/audit-events?limit=100${query}`)).expect(200).audit_events;
}

/** The refusals of the world's tenant, as soon as there are so many. */
async function refusals(many: number, query = '', by = reader()): Promise<AuditEventDto[]> {
  let events: AuditEventDto[] = [];
  await waitUntil(async () => {
    events = await list(`&outcome=refused${query}`, by);
    return events.length >= many;
  }, 20_000);
  return events;
}

const platform = (): Caller => api.as({ permissions: ['audit:read', 'tenant:list'] });
/** Of strangers, by the trace id that they sent. */
async function ofStranger(trace: string): Promise<AuditEventDto> {
  let event: AuditEventDto | undefined;
  await waitUntil(async () => {
    event = (await list('&scope=platform', platform())).find((one) => one.trace_id === trace);
    return event !== undefined;
  }, 20_000);
  if (event === undefined) throw new Error('There is no event');
  return event;
}

describe('a refused access is written down', () => {
  it('for the tenant of who was refused: 403, and 404 of what is not theirs', async () => {
    const foreign = await (await World.make(api)).build();
    const userId = randomUUID();
    const weak = api.as({ userId, tenantId: world.tenantId, permissions: ['build:read'] });
    expect((await weak.get('/users', { 'X-Request-Id': 'a' })).status).toBe(403);
    expect((await weak.get(`/builds/${foreign.id}`, { 'X-Request-Id': 'b' })).status).toBe(404);
    const stream = `/api/v1/builds/${foreign.id}/logs/stream`;
    const headers = { Authorization: `Bearer ${weak.token ?? ''}`, 'X-Request-Id': 'c' };
    expect((await askUpgrade(api.port, stream, headers)).status).toBe(404);
    const events = await refusals(3);
    const common = { action: 'access.refused', actor_kind: 'user', actor_id: userId, count: 1, address: '127.0.0.1' };
    expect(events).toHaveLength(3);
    expect(events).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          ...common,
          status: 403,
          trace_id: 'a',
          resource_type: 'user',
          resource_id: null,
          details: { operation: 'GET /api/v1/users' },
        }),
        expect.objectContaining({
          ...common,
          status: 404,
          trace_id: 'b',
          resource_type: 'build',
          resource_id: foreign.id,
          details: { operation: 'GET /api/v1/builds/:id' },
        }),
        expect.objectContaining({
          ...common,
          status: 404,
          trace_id: 'c',
          resource_type: 'build',
          resource_id: foreign.id,
          details: { operation: 'GET /api/v1/builds/:id/logs/stream' },
        }),
      ]),
    );
  });

  it('for the platform when nobody knows who it was: a bad credential, over HTTP and at the stream', async () => {
    const forged = new Caller(api.url, 'a.forged.token');
    const [overHttp, atStream] = [randomUUID(), randomUUID()];
    const { id } = await world.build();
    expect((await forged.delete(`/builds/${id}`, { 'X-Request-Id': overHttp })).status).toBe(401);
    const headers = { Authorization: 'Bearer a.forged.token', 'X-Request-Id': atStream };
    expect((await askUpgrade(api.port, `/api/v1/builds/${id}/logs/stream`, headers)).status).toBe(401);
    const expected = {
      action: 'access.refused',
      status: 401,
      actor_kind: 'anonymous',
      actor_id: null,
      resource_id: id,
    };
    expect(await ofStranger(overHttp)).toMatchObject(expected);
    expect(await ofStranger(atStream)).toMatchObject(expected);
    expect(await list()).toEqual([]);
  });

  it('as a failed sign-in, for the tenant of the account that was tried', async () => {
    const user = await UserFactory.from(api, world.tenantId).build();
    const failed = { email: user.email, password: 'not the password' };
    expect((await api.anonymous.post('/auth/login', failed)).status).toBe(401);
    const [event, ...more] = await refusals(1);
    expect(more).toEqual([]);
    expect(event).toMatchObject({
      action: 'auth.login_failed',
      status: 401,
      actor_kind: 'anonymous',
      actor_id: null,
      resource_type: 'user',
      resource_id: user.id,
    });
    const trace = randomUUID();
    const unknown = { email: `${trace}@example.com`, password: 'not the password' };
    expect((await api.anonymous.post('/auth/login', unknown, { 'X-Request-Id': trace })).status).toBe(401);
    const ofUnknown = await ofStranger(trace);
    expect(ofUnknown).toMatchObject({ action: 'auth.login_failed', resource_id: null });
    // People type passwords where the address belongs.
    expect(JSON.stringify(ofUnknown).split(trace)).toHaveLength(2);
  });

  it('as an attempt to sign in that came too often', async () => {
    const email = `${randomUUID()}@example.com`;
    const trace = randomUUID();
    const attempt = (headers = {}): Promise<Answer> =>
      api.anonymous.post(
        '/auth/login',
        { email, password: 'guessed' },
        { ...headers, 'X-Forwarded-For': '203.0.113.8' },
      );
    for (let number = 0; number < 10; number += 1) expect((await attempt()).status).toBe(401);
    expect((await attempt({ 'X-Request-Id': trace })).status).toBe(429);
    expect(await ofStranger(trace)).toMatchObject({ action: 'auth.login_failed', status: 429, address: '203.0.113.8' });
  });

  it('as too many attempts at an account, which its tenant is told', async () => {
    const { id, email } = await UserFactory.from(api, world.tenantId).build();
    const attempt = (): Promise<Answer> =>
      api.anonymous.post('/auth/login', { email, password: 'guessed' }, { 'X-Forwarded-For': '203.0.113.12' });
    for (let number = 0; number < 10; number += 1) expect((await attempt()).status).toBe(401);
    expect((await attempt()).status).toBe(429);
    const events = await refusals(2);
    expect(events.map(({ resource_id, status }) => [resource_id, status]).sort()).toEqual([
      [id, 401],
      [id, 429],
    ]);
  });

  it('as a refresh token that came twice, together with what that revokes', async () => {
    const user = await UserFactory.from(api, world.tenantId).build();
    const pair = await api.anonymous.post<{ refresh_token: string }>('/auth/login', { email: user.email, password });
    const { refresh_token } = pair.expect(200);
    (await api.anonymous.post('/auth/refresh', { refresh_token })).expect(200);
    expect((await api.anonymous.post('/auth/refresh', { refresh_token })).status).toBe(401);
    const [event, ...more] = await refusals(1);
    expect(more).toEqual([]);
    expect(event).toMatchObject({ action: 'auth.refresh_reused', status: 401, resource_id: user.id });
  });

  it('and nothing is for who shows no credential, or asks badly', async () => {
    expect((await api.anonymous.get('/builds', { 'X-Request-Id': 'nobody' })).status).toBe(401);
    expect((await world.caller.get('/builds?page=0')).status).toBe(400);
    expect((await world.caller.get('/nowhere')).status).toBe(404);
    expect((await world.with().get('/users')).status).toBe(403);
    expect(await refusals(1)).toHaveLength(1);
    const rows = await api.sql(`SELECT id FROM audit_events WHERE trace_id = 'nobody'`);
    expect(rows).toEqual([]);
  });
});

describe('a flood of refusals', () => {
  it('of one kind is one event, and its repetitions are one more at the end of the minute', async () => {
    const own = await Api.start();
    try {
      const tenant = await World.make(own);
      const weak = tenant.with();
      const ask = async (times: number): Promise<void> => {
        for (let number = 0; number < times; number += 1) expect((await weak.get('/users')).status).toBe(403);
      };
      const counts = async (): Promise<number[]> =>
        (await own.sql<{ count: number }>('SELECT count FROM audit_events ORDER BY count')).map(({ count }) => count);
      await ask(1);
      await waitUntil(async () => (await counts()).length === 1, 20_000);
      await ask(50);
      expect(await counts()).toEqual([1]);
      // The end of the process does not wait for the minute.
      await own.app.close();
      expect(await counts()).toEqual([1, 50]);
    } finally {
      await own.stop();
    }
  });

  it('of many kinds by one user is a few events', async () => {
    const weak = world.with('build:read');
    await Promise.all(Array.from({ length: 200 }, () => weak.get(`/builds/${randomUUID()}`)));
    const events = await refusals(21);
    expect(events.length).toBeLessThanOrEqual(22);
    expect(events.filter(({ details }) => details.many === true).length).toBeGreaterThan(0);
  });
});

describe('what strangers send', () => {
  it('cannot forge the address, or break or lengthen an event', async () => {
    const agent = `<script>\t"'; DROP TABLE audit_events; -- \u00e9 ${'x'.repeat(2_000)}`;
    const headers = { 'User-Agent': agent, 'X-Forwarded-For': "10.9.9.9, '); --, 203.0.113.7" };
    (await world.caller.post('/builds', { project_id: world.project.id, git_branch: 'main' }, headers)).expect(201);
    const [event] = await list();
    expect(event?.address).toBe('203.0.113.7');
    expect(event?.user_agent).toBe(agent.slice(0, 256).replace('\t', ' '));
  });
});

describe('a write and its event', () => {
  /** Lets one table of this tenant fail, at a statement or not before the commit, while something is done. */
  async function failing(trigger: string, work: () => Promise<void>): Promise<void> {
    await api.sql(`CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$`);
    await api.sql(`${trigger} FOR EACH ROW EXECUTE FUNCTION fail()`);
    try {
      await work();
    } finally {
      await api.sql('DROP FUNCTION fail CASCADE');
    }
  }

  it.each([
    ['the event fails', 'CREATE TRIGGER fail BEFORE INSERT ON audit_events'],
    ['the commit fails', 'CREATE CONSTRAINT TRIGGER fail AFTER INSERT OR UPDATE ON projects INITIALLY DEFERRED'],
  ])('are both undone when %s', async (_, trigger) => {
    const name = randomUUID();
    const body = { name, repository_url: 'https://git.example.com/a.git' };
    await failing(trigger, async () => {
      expect((await world.caller.post('/projects', body)).status).toBe(500);
      expect((await world.caller.delete(`/projects/${world.project.id}`)).status).toBe(500);
    });
    expect(await api.sql('SELECT id FROM projects WHERE name = $1', [name])).toEqual([]);
    (await world.caller.get(`/projects/${world.project.id}`)).expect(200);
    expect(await list()).toEqual([]);
  });
});

describe('the log', () => {
  it('is read for one tenant by four lists at once, so that slow ones hold nobody else up', async () => {
    const runner = api.app.get(DataSource).createQueryRunner();
    await runner.startTransaction();
    try {
      await runner.query('LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE');
      const asked = Array.from({ length: 7 }, () => reader().get('/audit-events'));
      const refused: Answer[] = [];
      for (const each of asked) void each.then((answer) => answer.status === 429 && refused.push(answer));
      await waitUntil(() => refused.length === 3);
      expect(refused.map(({ headers }) => headers.get('retry-after'))).toEqual(['1', '1', '1']);
      await runner.rollbackTransaction();
      const statuses = (await Promise.all(asked)).map(({ status }) => status).sort();
      expect(statuses).toEqual([200, 200, 200, 200, 429, 429, 429]);
    } finally {
      await runner.release();
    }
    expect(await list()).toEqual([]);
  });

  const old = async (days: number): Promise<string> => {
    const [row] = await api.sql<{ id: string }>(
      `INSERT INTO audit_events (tenant_id, occurred_at, action, outcome, count, actor_kind, details)
       VALUES ($1, now() - make_interval(days => $2), 'build.create', 'allowed', 1, 'system', '{}') RETURNING id`,
      [world.tenantId, days],
    );
    return row?.id ?? '';
  };
  const left = async (): Promise<string[]> => (await list()).map(({ id }) => id);

  it.each([
    `UPDATE audit_events SET action = 'x'`,
    'DELETE FROM audit_events',
    'TRUNCATE audit_events',
    `SET LOCAL session_replication_role = replica; DELETE FROM audit_events`,
    `SET LOCAL image_factory.audit_retention_days = '0'; DELETE FROM audit_events`,
    `SET LOCAL image_factory.audit_retention_days = ''; DELETE FROM audit_events`,
  ])('cannot be changed, also by its owner and a superuser: %s', async (statement) => {
    const kept = [await old(0), await old(20)];
    await expect(api.sql(`BEGIN; ${statement}; COMMIT`)).rejects.toThrow('append-only');
    await api.sql('ROLLBACK');
    expect(await left()).toEqual(kept);
  });

  it('loses by AUDIT_RETENTION_DAYS what is older, and nothing else', async () => {
    const kept = [await old(1), await old(59)];
    await old(61);
    await old(400);
    await waitUntil(async () => {
      await api.app.get(Janitor, { strict: false }).work();
      return (await left()).length === kept.length;
    }, 20_000);
    expect(await left()).toEqual(kept);
  });
});

it('shows nothing of other tenants', async () => {
  const stranger = await World.make(api);
  await stranger.with().get('/users');
  await stranger.caller.post('/builds', { project_id: stranger.project.id, git_branch: 'main' });
  await refusals(1, '', stranger.caller);
  await world.with().get('/users');
  await refusals(1);
  const text = JSON.stringify([await list(), await list(`&resource_id=${stranger.project.id}`)]);
  expect(text).not.toContain(stranger.tenantId);
  expect(text).not.toContain(stranger.project.id);
});
