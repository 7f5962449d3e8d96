import { randomUUID } from 'node:crypto';
import { type Permission, permissions, permissionsOf } from '../../../src/access/permission';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import type { Answer, Caller } from '../../support/caller';
import { operationsOf, resolved, securityOf, type Tree, treeAt } from '../../support/openapi/document';
import { askUpgrade } from '../../support/upgrade';

let api: Api;
let world: World;
let document: Tree;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
  document = resolved(treeAt(await (await fetch(`${api.url}/api/openapi.json`)).json()));
});

afterAll(async () => {
  await api.stop();
});

/** What each operation asks of its caller, as the contract and product.md assign it; null: a token is enough. */
const needed: Readonly<Record<string, Permission | null>> = {
  createBuild: 'build:create',
  listBuilds: 'build:list',
  getBuild: 'build:read',
  deleteBuild: 'build:delete',
  startBuild: 'build:create',
  cancelBuild: 'build:cancel',
  retryBuild: 'build:create',
  getBuildStatus: 'build:read',
  getBuildLogs: 'build:read',
  streamBuildLogs: 'build:read',
  getBuildImage: 'build:read',
  createProject: 'project:create',
  listProjects: 'project:list',
  getProject: 'project:read',
  updateProject: 'project:update',
  deleteProject: 'project:delete',
  listSecrets: 'secret:list',
  putSecret: 'secret:update',
  deleteSecret: 'secret:delete',
  createUser: 'user:create',
  listUsers: 'user:list',
  updateUser: 'user:update',
  createTenant: 'tenant:create',
  listTenants: 'tenant:list',
  updateTenant: 'tenant:update',
  createApiKey: null,
  listApiKeys: null,
  revokeApiKey: null,
  listAuditEvents: 'audit:read',
  logout: null,
  getMe: null,
};

const open = new Set(['login', 'refresh', 'live', 'ready']);

/** A request that gets behind the guard, and no further than the validation. */
function knock(caller: Caller, id: string): Promise<Answer> {
  const operation = operationsOf(document).find((one) => one.id === id);
  if (operation === undefined) throw new Error(`There is no operation ${id}`);
  const path = operation.path.replace('{id}', 'not-a-uuid');
  return caller.send(operation.method, path, operation.method === 'GET' ? undefined : {});
}

describe('permissions', () => {
  it('are asked for by every operation but the open ones', () => {
    const guarded = operationsOf(document).filter((operation) => securityOf(document, operation).length > 0);
    expect(guarded.map(({ id }) => id).sort()).toEqual(Object.keys(needed).sort());
    expect(
      operationsOf(document)
        .filter(({ id }) => !(id in needed))
        .map(({ id }) => id)
        .sort(),
    ).toEqual([...open].sort());
  });

  it.each(Object.entries(needed))('%s needs %s, and says so', async (id, permission) => {
    const docs = operationsOf(document).find((one) => one.id === id)?.docs;
    expect(String(docs?.description)).toContain(permission ?? 'Needs a valid access token');
    expect((await knock(api.anonymous, id)).status).toBe(401);
    if (permission === null) {
      expect((await knock(world.with(), id)).status).not.toBe(403);
      return;
    }
    const without = permissions.filter((one) => one !== permission);
    const refused = await knock(world.with(...without), id);
    expect([refused.status, refused.error.code]).toEqual([403, 'FORBIDDEN']);
    expect([200, 400]).toContain((await knock(world.with(permission), id)).status);
  });

  const viewer = ['build:list', 'build:read', 'project:list', 'project:read'];
  const developer = [...viewer, 'build:create', 'build:cancel', 'secret:list'];
  const admin = [
    ...developer,
    'build:delete',
    'project:create',
    'project:update',
    'project:delete',
    'secret:update',
    'secret:delete',
    'user:create',
    'user:list',
    'user:update',
    'api-key:list',
    'api-key:delete',
    'audit:read',
  ];
  const platform = [...admin, 'tenant:create', 'tenant:list', 'tenant:update'];

  it.each([
    ['viewer', permissionsOf('viewer', false), viewer],
    ['developer', permissionsOf('developer', false), developer],
    ['admin', permissionsOf('admin', false), admin],
    ['platform admin', permissionsOf('admin', true), platform],
  ])('of a %s open exactly the routes of the role', async (_, granted, expected) => {
    expect([...granted].sort()).toEqual([...expected].sort());
    const caller = world.with(...granted);
    for (const [id, permission] of Object.entries(needed)) {
      const isOpen = permission === null || expected.includes(permission);
      const { status } = await knock(caller, id);
      expect([id, status === 403]).toEqual([id, !isOpen]);
    }
  });

  it('hold at the door of the stream as well', async () => {
    const { id } = await world.build();
    const knockAtStream = (caller: Caller): Promise<Answer> =>
      askUpgrade(api.port, `/api/v1/builds/${id}/logs/stream`, { Authorization: `Bearer ${caller.token ?? ''}` });
    expect((await knockAtStream(world.with('build:list'))).status).toBe(403);
    expect((await knockAtStream(world.with('build:read'))).status).toBe(101);
  });
});

describe("another tenant's build (7)", () => {
  /** An answer without what differs from one request to the next. */
  function bare({ status, headers, text }: Answer): unknown {
    const body = text.replace(/"timestamp":"[^"]+"/, '').replace(/"trace_id":"[^"]+"/, '');
    const kept = [...headers].filter(([name]) => !/^(?:date|x-request-id|x-ratelimit-.*)$/.test(name));
    return { status, body, headers: kept };
  }

  const requests: readonly (readonly [name: string, (caller: Caller, id: string) => Promise<Answer>])[] = [
    ['getBuild', (caller, id) => caller.get(`/builds/${id}`)],
    ['deleteBuild', (caller, id) => caller.delete(`/builds/${id}`)],
    ['startBuild', (caller, id) => caller.post(`/builds/${id}/start`)],
    ['cancelBuild', (caller, id) => caller.post(`/builds/${id}/cancel`, { reason: 'x' })],
    ['retryBuild', (caller, id) => caller.post(`/builds/${id}/retry`)],
    [
      'retryBuild with a key',
      (caller, id) => caller.post(`/builds/${id}/retry`, undefined, { 'Idempotency-Key': 'a' }),
    ],
    ['getBuildStatus', (caller, id) => caller.get(`/builds/${id}/status`)],
    ['getBuildLogs', (caller, id) => caller.get(`/builds/${id}/logs`)],
    ['getBuildImage', (caller, id) => caller.get(`/builds/${id}/image`)],
    [
      'streamBuildLogs',
      (caller, id) =>
        askUpgrade(api.port, `/api/v1/builds/${id}/logs/stream`, { Authorization: `Bearer ${caller.token ?? ''}` }),
    ],
  ];

  it.each(requests)('is like an absent one for %s, byte for byte', async (_, request) => {
    const other = await World.make(api);
    const foreign = await other.build({ status: 'failed', image_archive: 'x.tar' }, 'a secret line');
    const before = await api.sql('SELECT * FROM builds WHERE id = $1', [foreign.id]);
    const answer = await request(world.caller, foreign.id);
    expect(answer.status).toBe(404);
    expect(bare(answer)).toEqual(bare(await request(world.caller, randomUUID())));
    expect(await api.sql('SELECT * FROM builds WHERE id = $1', [foreign.id])).toEqual(before);
  });

  it('is in no list, and counts in no total', async () => {
    const other = await World.make(api);
    const foreign = await other.build();
    const answer = await world.caller.get<{ builds: { id: string }[] }>('/builds?limit=100');
    expect(answer.body.builds.map(({ id }) => id)).not.toContain(foreign.id);
  });

  it('cannot be built from: its project is refused like one that is not there (6)', async () => {
    const other = await World.make(api);
    const ask = (id: string): Promise<Answer> => world.caller.post('/builds', { project_id: id, git_branch: 'main' });
    const answer = await ask(other.project.id);
    expect(answer.status).toBe(403);
    expect(bare(answer)).toEqual(bare(await ask(randomUUID())));
  });
});

describe("another tenant's project and user", () => {
  it.each<[string, (caller: Caller, id: string) => Promise<Answer>]>([
    ['getProject', (caller, id) => caller.get(`/projects/${id}`)],
    ['updateProject', (caller, id) => caller.patch(`/projects/${id}`, { name: 'mine now' })],
    ['updateProject by nothing', (caller, id) => caller.patch(`/projects/${id}`, {})],
    ['deleteProject', (caller, id) => caller.delete(`/projects/${id}`)],
    ['updateUser', (caller, id) => caller.patch(`/users/${id}`, { role: 'admin' })],
    ['updateUser by nothing', (caller, id) => caller.patch(`/users/${id}`, {})],
  ])('are 404 for %s, and stay as they are', async (name, request) => {
    const other = await World.make(api);
    const [user] = await api.sql<{ id: string }>(
      `INSERT INTO users (tenant_id, email, password_hash, name, role) VALUES ($1, $2, 'x', 'x', 'viewer') RETURNING id`,
      [other.tenantId, `${randomUUID()}@example.com`],
    );
    const id = name.includes('User') ? (user?.id ?? '') : other.project.id;
    const rows = (): Promise<object[]> =>
      api.sql('SELECT p.*, u.* FROM projects p, users u WHERE p.id = $1 AND u.id = $2', [other.project.id, user?.id]);
    const before = await rows();
    expect((await request(world.caller, id)).status).toBe(404);
    expect(await rows()).toEqual(before);
  });
});
