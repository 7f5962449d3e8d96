import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreatedTenantDto, TenantDto, TenantListDto } from '../../../src/tenants/tenant.dto';
import type { UserDto, UserListDto } from '../../../src/users/user.dto';
import { permissionsOf } from '../../../src/access/permission';
import { KeyOwner } from '../../factories/key-owner';
import { password, UserFactory } from '../../factories/user.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { type Answer, Caller } from '../../support/caller';

let api: Api;
let world: World;
let caller: Caller;
let platform: Caller;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
  ({ caller } = world);
  platform = world.with('tenant:create', 'tenant:list', 'tenant:update');
});

afterAll(async () => {
  await api.stop();
});

const address = (): string => `${randomUUID()}@example.com`;
const fields = (answer: Answer): string[] => Object.keys(answer.error.details ?? {});

describe('users', () => {
  const user = (changes: object = {}): object => ({
    email: address(),
    password,
    name: 'Ada',
    role: 'developer',
    ...changes,
  });
  const make = async (changes: object = {}): Promise<UserDto> =>
    (await caller.post<UserDto>('/users', user(changes))).expect(201);

  it('are created in the tenant of the caller, and can sign in', async () => {
    const email = address();
    const created = await make({ email, tenant_id: randomUUID(), platform_admin: true });
    expect(created).toMatchObject({
      email,
      name: 'Ada',
      role: 'developer',
      tenant_id: world.tenantId,
      platform_admin: false,
      disabled: false,
    });
    const pair = await api.anonymous.post('/auth/login', { email, password });
    expect(pair.expect(200)).toMatchObject({ user: { id: created.id } });
  });

  it('are made and changed by nobody who may do less than they', async () => {
    const owner = await KeyOwner.make(world, 'admin');
    const admin = await make({ role: 'admin' });
    const viewer = await make({ role: 'viewer' });
    const { key } = await owner.key('user:create', 'user:update', ...permissionsOf('viewer', false));
    const machine = new Caller(api.url, key);
    const somebody = world.with('user:create', 'user:update', ...permissionsOf('viewer', false));
    for (const weak of [machine, somebody]) {
      for (const role of ['developer', 'admin']) {
        const refused = await weak.post('/users', user({ role }));
        expect([refused.status, fields(refused)]).toEqual([403, ['role']]);
      }
      (await weak.post('/users', user({ role: 'viewer' }))).expect(201);
      expect((await weak.patch(`/users/${viewer.id}`, { role: 'admin' })).status).toBe(403);
      for (const change of [{ role: 'viewer' }, { disabled: true }, { disabled: false }]) {
        expect((await weak.patch(`/users/${admin.id}`, change)).status).toBe(403);
      }
      (await weak.patch(`/users/${viewer.id}`, { disabled: false })).expect(200);
    }
    expect((await caller.get<UserListDto>('/users?limit=100')).expect(200).users).toEqual(
      expect.arrayContaining([expect.objectContaining({ id: admin.id, role: 'admin', disabled: false })]),
    );
  });

  it('are not made by an admin who is none any more, whose token lives on', async () => {
    const former = await KeyOwner.make(world, 'admin');
    (await former.caller.post('/users', user({ role: 'admin' }))).expect(201);
    (await caller.patch(`/users/${former.id}`, { role: 'developer' })).expect(200);
    expect((await former.caller.post('/users', user({ role: 'admin' }))).status).toBe(403);
    (await caller.patch(`/users/${former.id}`, { role: 'admin', disabled: true })).expect(200);
    expect((await former.caller.post('/users', user())).status).toBe(403);
  });

  it('are listed oldest first, by pages', async () => {
    const own = await World.make(api);
    const emails = [address(), address(), address()];
    for (const email of emails) (await own.caller.post('/users', user({ email }))).expect(201);
    const { users, ...rest } = (await own.caller.get<UserListDto>('/users?limit=2')).expect(200);
    expect(users.map(({ email }) => email)).toEqual(emails.slice(0, 2));
    expect(rest).toEqual({ total_count: 3, page: 1, limit: 2, has_more: true });
  });

  it('have an address of their own over all tenants, whatever its case', async () => {
    const email = address();
    await make({ email });
    const other = await World.make(api);
    for (const somebody of [caller, other.caller]) {
      const answer = await somebody.post('/users', user({ email: email.toUpperCase() }));
      expect([answer.status, fields(answer)]).toEqual([409, ['email']]);
    }
  });

  it('change their role, are disabled and enabled again', async () => {
    const { id, email } = await make();
    expect((await caller.patch<UserDto>(`/users/${id}`, { role: 'viewer' })).expect(200).permissions).not.toContain(
      'build:create',
    );
    expect((await caller.patch<UserDto>(`/users/${id}`, { disabled: true })).expect(200).disabled).toBe(true);
    expect((await api.anonymous.post('/auth/login', { email, password })).status).toBe(401);
    const enabled = (await caller.patch<UserDto>(`/users/${id}`, { disabled: false })).expect(200);
    expect(enabled).toMatchObject({ disabled: false, role: 'viewer' });
    (await api.anonymous.post('/auth/login', { email, password })).expect(200);
    expect((await caller.patch<UserDto>(`/users/${id}`, { email: address() })).expect(200).email).toBe(email);
  });

  it('cannot change themselves', async () => {
    const { id } = await make({ role: 'admin' });
    const self = api.as({ userId: id, tenantId: world.tenantId });
    expect((await self.patch(`/users/${id}`, { role: 'viewer' })).status).toBe(409);
    expect((await self.patch(`/users/${id}`, { disabled: true })).status).toBe(409);
  });

  it('who are platform admins are changed by their like alone', async () => {
    const { id } = await UserFactory.from(api, world.tenantId, { role: 'admin', platform_admin: true }).build();
    for (const change of [{ role: 'viewer' }, { disabled: true }]) {
      const answer = await caller.patch(`/users/${id}`, change);
      expect([answer.status, answer.error.code]).toEqual([403, 'FORBIDDEN']);
      (await world.with(...permissionsOf('admin', true)).patch(`/users/${id}`, change)).expect(200);
    }
  });

  it.each<[string, unknown]>([
    ['email', 'x'],
    ['email', `${'x'.repeat(250)}@example.com`],
    ['email', null],
    ['email', ['a@example.com']],
    ['password', 'too short'],
    ['password', 'x'.repeat(257)],
    ['password', 123_456_789_012],
    ['name', ''],
    ['name', 'x'.repeat(201)],
    ['role', 'owner'],
    ['role', null],
    ['role', ['admin']],
  ])('refuse %s = %j', async (name, value) => {
    const answer = await caller.post('/users', user({ [name]: value }));
    expect([answer.status, fields(answer)]).toEqual([400, [name]]);
  });

  it.each<[string, unknown]>([
    ['role', null],
    ['role', 'owner'],
    ['disabled', null],
    ['disabled', 'false'],
    ['disabled', 0],
  ])('refuse a change of %s to %j', async (name, value) => {
    const { id } = await make({ role: 'viewer' });
    await api.sql('UPDATE users SET disabled_at = now() WHERE id = $1', [id]);
    const answer = await caller.patch(`/users/${id}`, { [name]: value });
    expect([answer.status, fields(answer)]).toEqual([400, [name]]);
    const [row] = await api.sql('SELECT role, disabled_at IS NULL AS enabled FROM users WHERE id = $1', [id]);
    expect(row).toEqual({ role: 'viewer', enabled: false });
  });
});

describe('tenants', () => {
  const tenant = (changes: object = {}): object => ({
    name: `tenant ${randomUUID()}`,
    admin: { email: address(), password, name: 'Ada' },
    ...changes,
  });

  it('are created with their first admin, who can sign in and has only that tenant', async () => {
    const email = address();
    const created = (
      await platform.post<CreatedTenantDto>('/tenants', tenant({ admin: { email, password, name: 'Ada' } }))
    ).expect(201);
    expect(created).toMatchObject({
      registry_prefixes: [],
      disabled: false,
      admin: { email, role: 'admin', tenant_id: created.id, platform_admin: false },
    });
    (await api.anonymous.post('/auth/login', { email, password })).expect(200);
  });

  it('come with their admin or not at all', async () => {
    const { email } = (await caller.post<UserDto>('/users', { email: address(), password, name: 'A', role: 'viewer' }))
      .body;
    const name = `tenant ${randomUUID()}`;
    const taken = await platform.post('/tenants', tenant({ name, admin: { email, password, name: 'Ada' } }));
    expect(taken.status).toBe(409);
    (await platform.post('/tenants', tenant({ name }))).expect(201);
    const again = await platform.post('/tenants', tenant({ name: name.toUpperCase() }));
    expect([again.status, fields(again)]).toEqual([409, ['name']]);
  });

  it('leave the database to others while passwords are hashed', async () => {
    const made = Promise.all(Array.from({ length: 12 }, () => platform.post('/tenants', tenant())));
    const state = { isDone: false };
    void made.finally(() => {
      state.isDone = true;
    });
    while (!state.isDone) {
      const idle = await api.sql(
        `SELECT 1 FROM pg_stat_activity
         WHERE state = 'idle in transaction' AND clock_timestamp() - state_change > interval '300 ms'`,
      );
      expect(idle).toEqual([]);
      await sleep(50);
    }
    expect((await made).map(({ status }) => status)).toEqual(Array.from({ length: 12 }, () => 201));
  });

  it('are listed with all others', async () => {
    const { name } = (await platform.post<TenantDto>('/tenants', tenant())).body;
    const list = (await platform.get<TenantListDto>('/tenants?limit=100')).expect(200);
    expect(list.tenants.map((one) => one.name)).toContain(name);
    expect(list.total_count).toBe(list.tenants.length);
  });

  it('are disabled, with all of their users, and enabled again', async () => {
    const email = address();
    const { id } = (await platform.post<TenantDto>('/tenants', tenant({ admin: { email, password, name: 'Ada' } })))
      .body;
    const login = (): Promise<Answer> => api.anonymous.post('/auth/login', { email, password });
    expect((await platform.patch<TenantDto>(`/tenants/${id}`, { disabled: true })).expect(200).disabled).toBe(true);
    expect((await login()).status).toBe(401);
    expect((await platform.patch<TenantDto>(`/tenants/${id}`, {})).expect(200).disabled).toBe(true);
    expect((await platform.patch<TenantDto>(`/tenants/${id}`, { disabled: false })).expect(200).disabled).toBe(false);
    expect((await login()).status).toBe(200);
  });

  it('are granted registry prefixes', async () => {
    const { id } = (await platform.post<TenantDto>('/tenants', tenant())).body;
    const prefixes = ['registry.example.com/team', 'registry.example.com:5000'];
    const changed = await platform.patch<TenantDto>(`/tenants/${id}`, { registry_prefixes: prefixes });
    expect(changed.expect(200).registry_prefixes).toEqual(prefixes);
  });

  it('cannot be disabled by themselves, and an unknown one is 404', async () => {
    expect((await platform.patch(`/tenants/${world.tenantId}`, { disabled: true })).status).toBe(409);
    expect((await platform.patch(`/tenants/${randomUUID()}`, { disabled: true })).status).toBe(404);
    expect((await platform.patch(`/tenants/${randomUUID()}`, {})).status).toBe(404);
  });

  it.each<[string, object]>([
    ['name', { name: '' }],
    ['name', { name: 'x'.repeat(201) }],
    ['admin', { admin: undefined }],
    ['admin', { admin: 'Ada' }],
    ['admin', { admin: [] }],
    ['admin', { admin: {} }],
    ['admin.email', { admin: { email: 'x', password, name: 'Ada' } }],
    ['admin.password', { admin: { email: 'a@example.com', password: 'short', name: 'Ada' } }],
    ['registry_prefixes', { registry_prefixes: null }],
    ['registry_prefixes', { registry_prefixes: 'registry.example.com' }],
    ['registry_prefixes', { registry_prefixes: [5] }],
    ['registry_prefixes', { registry_prefixes: ['https://registry.example.com'] }],
    ['registry_prefixes', { registry_prefixes: Array.from({ length: 101 }, () => 'a.example.com') }],
  ])('refuse a bad %s: %j', async (name, changes) => {
    const answer = await platform.post('/tenants', tenant(changes));
    expect(answer.status).toBe(400);
    expect(fields(answer)).toContain(name);
  });

  it.each([{ registry_prefixes: null }, { disabled: null }, { disabled: 'no' }])(
    'refuse the change %j',
    async (change) => {
      const { id } = (await platform.post<TenantDto>('/tenants', tenant())).body;
      const answer = await platform.patch(`/tenants/${id}`, change);
      expect([answer.status, fields(answer)]).toEqual([400, Object.keys(change)]);
    },
  );
});
