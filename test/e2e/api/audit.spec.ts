import { randomBytes, randomUUID } from 'node:crypto';
import type { AuditEventDto, AuditEventListDto } from '../../../src/audit/audit-event.dto';
import type { CreatedApiKeyDto } from '../../../src/api-keys/api-key.dto';
import { permissions } from '../../../src/access/permission';
import type { TokenPairDto } from '../../../src/auth/auth.dto';
import { KeyOwner, keyWish } from '../../factories/key-owner';
import { password, UserFactory, type UserRow } from '../../factories/user.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { type Answer, Caller } from '../../support/caller';
import { type Operation, operationsOf, resolved, type Tree, treeAt } from '../../support/openapi/document';

let api: Api;
let world: World;
/** The admin of the world's tenant, who may do everything. */
let admin: UserRow;
let caller: Caller;

beforeAll(async () => {
  api = await Api.start({ SECRETS_KEY: randomBytes(32).toString('base64') });
  world = await World.make(api);
  admin = await UserFactory.from(api, world.tenantId, { role: 'admin' }).build();
  caller = api.as({ userId: admin.id, tenantId: world.tenantId, permissions });
});

afterAll(() => api.stop());

const list = async (query = '', by: Caller = caller): Promise<AuditEventListDto> =>
  (await by.get<AuditEventListDto>(`/audit-events${query}`)).expect(200);

const traced = (): { readonly trace: string; readonly headers: Readonly<Record<string, string>> } => {
  const trace = randomUUID();
  return { trace, headers: { 'X-Request-Id': trace, 'User-Agent': 'audit spec' } };
};

const ofTrace = (trace: string): Promise<{ tenant_id: string; action: string; resource_id: string }[]> =>
  api.sql('SELECT tenant_id, action, resource_id FROM audit_events WHERE trace_id = $1', [trace]);

/** What is needed for an operation to succeed: who calls, with which path and body. */
interface Call {
  readonly path?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly by?: Caller;
}

interface Expected {
  readonly action: string;
  /** By the answer: the new resource's id, or else that of the path. */
  readonly resource: (answer: Answer, path: Readonly<Record<string, string>>) => string;
}

const ofPath: Expected['resource'] = (_, { id = '' }) => id;
const ofAnswer: Expected['resource'] = ({ body }) => String(treeAt(body).id);
const ofAdmin: Expected['resource'] = () => admin.id;
const login = (): Promise<Answer<TokenPairDto>> => api.anonymous.post('/auth/login', { email: admin.email, password });
const refreshToken = async (): Promise<string> => (await login()).expect(200).refresh_token;

/** Every write of the document, and how it succeeds. One that is missing here fails, as does one without an event. */
const writes: Readonly<Record<string, Expected & { readonly prepare: () => Promise<Call> }>> = {
  createBuild: {
    action: 'build.create',
    resource: ofAnswer,
    prepare: () => Promise.resolve({ body: { project_id: world.project.id, git_branch: 'main' } }),
  },
  startBuild: { action: 'build.start', resource: ofPath, prepare: () => aBuild('queued') },
  cancelBuild: { action: 'build.cancel', resource: ofPath, prepare: () => aBuild('in_progress') },
  retryBuild: { action: 'build.retry', resource: ofAnswer, prepare: () => aBuild('failed') },
  deleteBuild: { action: 'build.delete', resource: ofPath, prepare: () => aBuild('success') },
  createProject: {
    action: 'project.create',
    resource: ofAnswer,
    prepare: () => Promise.resolve({ body: { name: randomUUID(), repository_url: 'https://git.example.com/a.git' } }),
  },
  updateProject: {
    action: 'project.update',
    resource: ofPath,
    prepare: async () => ({ path: { id: (await world.otherProject()).id }, body: { auto_start: true } }),
  },
  deleteProject: {
    action: 'project.delete',
    resource: ofPath,
    prepare: async () => ({ path: { id: (await world.otherProject()).id } }),
  },
  putSecret: {
    action: 'secret.put',
    resource: (_, { id = '', name = '' }) => `${id}/${name}`,
    prepare: () => Promise.resolve({ path: { id: world.project.id, name: 'A' }, body: { value: 'the secret value' } }),
  },
  deleteSecret: {
    action: 'secret.delete',
    resource: (_, { id = '', name = '' }) => `${id}/${name}`,
    prepare: async () => {
      (await caller.send('PUT', `/projects/${world.project.id}/secrets/B`, { value: 'the secret value' })).expect(204);
      return { path: { id: world.project.id, name: 'B' } };
    },
  },
  createUser: {
    action: 'user.create',
    resource: ofAnswer,
    prepare: () => Promise.resolve({ body: { ...anAccount(), role: 'viewer' } }),
  },
  updateUser: {
    action: 'user.update',
    resource: ofPath,
    prepare: async () => ({
      path: { id: (await UserFactory.from(api, world.tenantId).build()).id },
      body: { role: 'developer' },
    }),
  },
  createTenant: {
    action: 'tenant.create',
    resource: ofAnswer,
    prepare: () => Promise.resolve({ body: { name: randomUUID(), admin: anAccount() } }),
  },
  updateTenant: {
    action: 'tenant.update',
    resource: ofPath,
    prepare: async () => ({ path: { id: (await World.make(api)).tenantId }, body: { disabled: true } }),
  },
  createApiKey: { action: 'api_key.create', resource: ofAnswer, prepare: () => Promise.resolve({ body: keyWish() }) },
  revokeApiKey: {
    action: 'api_key.revoke',
    resource: ofPath,
    prepare: async () => ({
      path: { id: (await caller.post<CreatedApiKeyDto>('/api-keys', keyWish())).expect(201).id },
    }),
  },
  login: {
    action: 'auth.login',
    resource: ofAdmin,
    prepare: () => Promise.resolve({ body: { email: admin.email, password }, by: api.anonymous }),
  },
  refresh: {
    action: 'auth.refresh',
    resource: ofAdmin,
    prepare: async () => ({ body: { refresh_token: await refreshToken() }, by: api.anonymous }),
  },
  logout: {
    action: 'auth.logout',
    resource: ofAdmin,
    prepare: async () => ({ body: { refresh_token: await refreshToken() } }),
  },
};

const anAccount = (): object => ({ email: `${randomUUID()}@example.com`, password: 'a long password', name: 'Ada' });

async function aBuild(status: 'queued' | 'in_progress' | 'failed' | 'success'): Promise<Call> {
  return { path: { id: (await world.build({ status })).id } };
}

async function documentedWrites(): Promise<Operation[]> {
  const document: Tree = resolved(treeAt(await (await fetch(`${api.url}/api/openapi.json`)).json()));
  return operationsOf(document).filter(({ method }) => method !== 'GET');
}

describe('a write', () => {
  it('is of an operation that is known here', async () => {
    expect((await documentedWrites()).map(({ id }) => id).sort()).toEqual(Object.keys(writes).sort());
  });

  it.each(Object.entries(writes))('%s leaves one event', async (id, { action, resource, prepare }) => {
    const operation = (await documentedWrites()).find((one) => one.id === id);
    if (operation === undefined) throw new Error(`There is no operation ${id}`);
    const { path = {}, body, by = caller } = await prepare();
    const route = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => path[name] ?? '');
    const { trace, headers } = traced();
    const answer = await by.send(operation.method, route, body, headers);
    expect([200, 201, 204]).toContain(answer.status);

    expect(await ofTrace(trace)).toEqual([{ tenant_id: world.tenantId, action, resource_id: resource(answer, path) }]);
    const [event] = (await list('?limit=1')).audit_events;
    expect(event).toMatchObject({
      action,
      outcome: 'allowed',
      status: null,
      count: 1,
      actor_kind: 'user',
      actor_id: admin.id,
      actor_name: admin.email,
      api_key_id: null,
      resource_type: action.startsWith('auth.') ? 'user' : action.split('.')[0],
      address: '127.0.0.1',
      user_agent: 'audit spec',
      trace_id: trace,
    });
    expect(JSON.stringify(event)).not.toContain('the secret value');
  });

  it('by an API key names the key and its owner', async () => {
    const owner = await KeyOwner.make(world, 'developer');
    const key = await owner.key('build:create');
    const { trace, headers } = traced();
    const body = { project_id: world.project.id, git_branch: 'main' };
    (await new Caller(api.url, key.key).post('/builds', body, headers)).expect(201);
    const [event] = (await list(`?actor_id=${owner.id}&action=build.create`)).audit_events;
    expect(event).toMatchObject({ actor_kind: 'api_key', api_key_id: key.id, actor_id: owner.id, trace_id: trace });
  });

  it('says which fields changed', async () => {
    const { id } = await world.otherProject();
    (await caller.patch(`/projects/${id}`, { name: randomUUID(), build_args: { A: 'hidden' } })).expect(200);
    const [event] = (await list(`?resource_id=${id}`)).audit_events;
    expect(event?.details).toEqual({ fields: ['build_args', 'name'] });
  });

  it('that is repeated with its Idempotency-Key, or changes nothing, leaves no other event', async () => {
    const body = { project_id: world.project.id, git_branch: 'main' };
    const repeat = { 'Idempotency-Key': randomUUID() };
    const first = traced();
    const second = traced();
    const third = traced();
    (await caller.post('/builds', body, { ...first.headers, ...repeat })).expect(201);
    (await caller.post('/builds', body, { ...second.headers, ...repeat })).expect(201);
    (await caller.patch(`/projects/${world.project.id}`, {}, third.headers)).expect(200);
    expect(await ofTrace(first.trace)).toHaveLength(1);
    expect(await ofTrace(second.trace)).toEqual([]);
    expect(await ofTrace(third.trace)).toEqual([]);
  });

  it('that is not possible leaves none', async () => {
    const { id } = await world.build({ status: 'success' });
    const { trace, headers } = traced();
    expect((await caller.post(`/builds/${id}/start`, undefined, headers)).status).toBe(409);
    expect((await caller.post('/projects', { name: '' }, headers)).status).toBe(400);
    expect(await ofTrace(trace)).toEqual([]);
  });
});

describe('GET /audit-events', () => {
  /** A tenant with five events of its own. */
  async function busy(): Promise<{ by: Caller; events: AuditEventDto[] }> {
    const other = await World.make(api);
    const by = api.as({ tenantId: other.tenantId, permissions });
    for (let number = 0; number < 4; number += 1) {
      (await by.post('/builds', { project_id: other.project.id, git_branch: 'main' })).expect(201);
    }
    (await by.patch(`/projects/${other.project.id}`, { auto_start: true })).expect(200);
    return { by, events: (await list('', by)).audit_events };
  }

  it('lists the newest first, page by page, also while others come', async () => {
    const { by, events } = await busy();
    expect(events.map(({ action }) => action)).toEqual(['project.update', ...Array<string>(4).fill('build.create')]);
    const seen: AuditEventDto[] = [];
    let cursor = '';
    for (let page = 1; page <= 3; page += 1) {
      const { audit_events, has_more, next_cursor, limit } = await list(`?limit=2${cursor}`, by);
      seen.push(...audit_events);
      expect([limit, has_more, next_cursor === null]).toEqual([2, page < 3, page === 3]);
      cursor = `&cursor=${next_cursor ?? ''}`;
      (await by.post('/projects', { name: randomUUID(), repository_url: 'https://git.example.com/a.git' })).expect(201);
    }
    expect(seen).toEqual(events);
  });

  it('filters', async () => {
    const { by, events } = await busy();
    const [update, newest] = events;
    const oldest = events.at(-1);
    if (update === undefined || newest === undefined || oldest === undefined) throw new Error('No events');
    const found = async (query: string): Promise<string[]> => (await list(query, by)).audit_events.map(({ id }) => id);
    const ids = events.map(({ id }) => id);
    expect(await found('?action=project.update')).toEqual([update.id]);
    expect(await found('?action=build.create')).toEqual(ids.slice(1));
    expect(await found(`?resource_id=${newest.resource_id ?? ''}`)).toEqual([newest.id]);
    expect(await found(`?actor_id=${update.actor_id ?? ''}`)).toEqual(ids);
    expect(await found(`?actor_id=${randomUUID()}`)).toEqual([]);
    expect(await found('?outcome=refused')).toEqual([]);
    expect(await found('?outcome=allowed')).toEqual(ids);
    expect(await found(`?from=${new Date(Date.now() + 60_000).toISOString()}`)).toEqual([]);
    expect(await found(`?to=${oldest.occurred_at}`)).toEqual([]);
    expect(await found(`?from=${oldest.occurred_at}&to=9999-12-31T23:59:59Z`)).toEqual(ids);
  });

  it.each([
    'action=nothing',
    'actor_id=x',
    'resource_id=',
    'outcome=x',
    'from=yesterday',
    'to=2024-13-01T00:00:00Z',
    'cursor=1',
    'scope=all',
    'limit=101',
  ])('refuses %s', async (query) => {
    expect((await caller.get(`/audit-events?${query}`)).status).toBe(400);
  });

  it('shows nothing of other tenants, and nothing without audit:read', async () => {
    const stranger = await World.make(api);
    const { id } = world.project;
    expect((await list(`?resource_id=${id}`, stranger.caller)).audit_events).toEqual([]);
    expect((await list('', stranger.caller)).audit_events).toEqual([]);
    const without = world.with(...permissions.filter((one) => one !== 'audit:read'));
    expect((await without.get('/audit-events')).status).toBe(403);
    expect((await stranger.caller.get('/audit-events?scope=platform')).status).toBe(403);
  });
});
