import { randomUUID } from 'node:crypto';
import type { ApiKeyDto, ApiKeyListDto, CreatedApiKeyDto } from '../../../src/api-keys/api-key.dto';
import { type Permission, permissionsOf } from '../../../src/access/permission';
import { KeyOwner, keyWish } from '../../factories/key-owner';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { type Answer, Caller } from '../../support/caller';
import { expectRefusal } from '../../support/expect-refusal';

let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start();
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

const withKey = ({ key }: Pick<CreatedApiKeyDto, 'key'>): Caller => new Caller(api.url, key);

const listed = async (caller: Caller): Promise<readonly string[]> =>
  (await caller.get<ApiKeyListDto>('/api-keys?limit=100')).expect(200).api_keys.map(({ id }) => id);

/** A refusal without what differs from one request to the next. */
function bare({ status, error: { error, code, details } }: Answer): unknown {
  return { status, error, code, details };
}

describe('a new key', () => {
  it('is shown once, named, and ends after as many days as was wished', async () => {
    const ada = await KeyOwner.make(world, 'viewer');
    const made = (await ada.caller.post<CreatedApiKeyDto>('/api-keys', keyWish({ expires_in_days: 7 }))).expect(201);
    expect(made).toMatchObject({
      name: 'nightly',
      permissions: ['build:read', 'build:list'],
      tenant_id: world.tenantId,
      created_by: ada.id,
      last_used_at: null,
    });
    expect(made.key).toMatch(/^imgf_[0-9A-Za-z]{61}$/);
    expect(made.key.startsWith(made.prefix)).toBe(true);
    const lifetime = new Date(made.expires_at).getTime() - new Date(made.created_at).getTime();
    expect(lifetime).toBe(7 * 86_400_000);
    const { key, ...shown } = made;
    const answer = await ada.caller.get<ApiKeyListDto>('/api-keys');
    expect(answer.expect(200)).toEqual({ api_keys: [shown], total_count: 1, page: 1, limit: 20, has_more: false });
    expect(answer.text).not.toContain(key.slice(made.prefix.length));
  });

  it('lives 90 days without a wish', async () => {
    const { created_at, expires_at } = await (await KeyOwner.make(world, 'viewer')).key();
    expect(new Date(expires_at).getTime() - new Date(created_at).getTime()).toBe(90 * 86_400_000);
  });

  it('is stored as a hash alone', async () => {
    const made = await (await KeyOwner.make(world, 'viewer')).key();
    const [row] = await api.sql<{ text: string }>('SELECT to_jsonb(k)::text AS text FROM api_keys k WHERE id = $1', [
      made.id,
    ]);
    const secret = made.key.slice(made.prefix.length);
    for (const form of [secret, Buffer.from(secret).toString('hex'), Buffer.from(made.key).toString('hex')]) {
      expect(row?.text).not.toContain(form);
    }
  });

  it('may do at most what its maker may', async () => {
    const { caller } = await KeyOwner.make(world, 'viewer');
    const permissions: Permission[] = ['build:read', 'build:delete', 'user:list'];
    const answer = await caller.post('/api-keys', keyWish({ permissions }));
    expect([answer.status, answer.error.details]).toEqual([403, { permissions: 'not yours: build:delete, user:list' }]);
  });

  it('is made by no key, and by nobody who is disabled or unknown', async () => {
    const admin = await KeyOwner.make(world, 'admin');
    const all = permissionsOf('admin', false);
    const answer = await withKey(await admin.key(...all)).post('/api-keys', keyWish());
    expect([answer.status, answer.error.code]).toEqual([403, 'FORBIDDEN']);
    const disabled = await KeyOwner.make(world, 'viewer', { disabled_at: new Date() });
    expectRefusal(await disabled.caller.post('/api-keys', keyWish()));
    expectRefusal(await api.as({ tenantId: world.tenantId }).post('/api-keys', keyWish()));
    const other = await World.make(api);
    expectRefusal(await api.as({ userId: admin.id, tenantId: other.tenantId }).post('/api-keys', keyWish()));
  });

  it('is one of a hundred at most, also of many that are made at once', async () => {
    const { id, caller } = await KeyOwner.make(world, 'viewer');
    await api.sql(
      `INSERT INTO api_keys (tenant_id, user_id, name, prefix, key_hash, permissions, expires_at)
       SELECT $1, $2, 'old', gen_random_uuid()::text, '\\x00', '{}', now() + CASE WHEN n <= 95 THEN '1 day' ELSE '-1 day' END::interval
       FROM generate_series(1, 99) n`,
      [world.tenantId, id],
    );
    const answers = await Promise.all(Array.from({ length: 10 }, () => caller.post('/api-keys', keyWish())));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 201, 201, 201, 409, 409, 409, 409, 409]);
  });

  it('takes the place of those that ended long ago', async () => {
    const ada = await KeyOwner.make(world, 'viewer');
    const [old, recent] = [await ada.key(), await ada.key()];
    await api.sql(`UPDATE api_keys SET expires_at = now() - interval '31 days' WHERE id = $1`, [old.id]);
    await api.sql(`UPDATE api_keys SET expires_at = now() - interval '29 days' WHERE id = $1`, [recent.id]);
    const { id } = await ada.key();
    expect(await listed(ada.caller)).toEqual([id, recent.id]);
  });

  it.each<[string, unknown]>([
    ['name', ''],
    ['name', 'x'.repeat(101)],
    ['name', 5],
    ['name', undefined],
    ['permissions', undefined],
    ['permissions', []],
    ['permissions', 'build:read'],
    ['permissions', ['build:fly']],
    ['permissions', ['build:read', 'build:read']],
    ['permissions', [null]],
    ['expires_in_days', 0],
    ['expires_in_days', 366],
    ['expires_in_days', 1.5],
    ['expires_in_days', '7'],
    ['expires_in_days', null],
  ])('is refused with %s = %j', async (name, value) => {
    const { caller } = await KeyOwner.make(world, 'viewer');
    const answer = await caller.post('/api-keys', { ...keyWish(), [name]: value });
    expect([answer.status, answer.error.code, Object.keys(answer.error.details ?? {})]).toEqual([
      400,
      'INVALID_REQUEST',
      [name],
    ]);
  });
});

describe('the list of keys', () => {
  it('has one’s own, newest first, by pages; an admin sees those of the tenant', async () => {
    const own = await World.make(api);
    const [ada, bob, admin] = [
      await KeyOwner.make(own, 'viewer'),
      await KeyOwner.make(own, 'developer'),
      await KeyOwner.make(own, 'admin'),
    ];
    const first = await ada.key();
    const ofBob = await bob.key();
    const second = await ada.key();
    await (await KeyOwner.make(world, 'admin')).key();
    expect(await listed(ada.caller)).toEqual([second.id, first.id]);
    expect(await listed(bob.caller)).toEqual([ofBob.id]);
    expect(await listed(admin.caller)).toEqual([second.id, ofBob.id, first.id]);
    const page = (await admin.caller.get<ApiKeyListDto>('/api-keys?limit=2&page=2')).expect(200);
    expect([page.api_keys.map(({ id }: ApiKeyDto) => id), page.total_count, page.has_more]).toEqual([
      [first.id],
      3,
      false,
    ]);
    expect((await ada.caller.get('/api-keys?page=0')).status).toBe(400);
  });

  it('shows a key itself alone, unless it was given more', async () => {
    const admin = await KeyOwner.make(world, 'admin');
    const plain = await admin.key('build:read');
    const trusted = await admin.key('api-key:list');
    expect(await listed(withKey(plain))).toEqual([plain.id]);
    expect(await listed(withKey(trusted))).toEqual(expect.arrayContaining([plain.id, trusted.id]));
  });
});

describe('revoking a key', () => {
  it('ends it at once', async () => {
    const ada = await KeyOwner.make(world, 'viewer');
    const made = await ada.key();
    (await withKey(made).get('/builds')).expect(200);
    const answer = await ada.caller.delete(`/api-keys/${made.id}`);
    expect([answer.status, answer.text]).toEqual([204, '']);
    expectRefusal(await withKey(made).get('/builds'));
    expect(await listed(ada.caller)).toEqual([]);
    expect((await ada.caller.delete(`/api-keys/${made.id}`)).status).toBe(404);
  });

  it('is for its owner and for admins of the tenant; to all others it is like an absent one', async () => {
    const made = await (await KeyOwner.make(world, 'viewer')).key();
    const strangers = [
      (await KeyOwner.make(world, 'developer')).caller,
      (await KeyOwner.make(await World.make(api), 'admin')).caller,
      withKey(await (await KeyOwner.make(world, 'admin')).key('build:read', 'api-key:list')),
    ];
    for (const caller of strangers) {
      const answer = await caller.delete(`/api-keys/${made.id}`);
      expect(answer.status).toBe(404);
      expect(bare(answer)).toEqual(bare(await caller.delete(`/api-keys/${randomUUID()}`)));
    }
    (await withKey(made).get('/builds')).expect(200);
    (await (await KeyOwner.make(world, 'admin')).caller.delete(`/api-keys/${made.id}`)).expect(204);
    expectRefusal(await withKey(made).get('/builds'));
  });

  it('is what a key can do to itself, and to others when it was given that', async () => {
    const admin = await KeyOwner.make(world, 'admin');
    const [plain, other, trusted] = [await admin.key(), await admin.key(), await admin.key('api-key:delete')];
    expect((await withKey(plain).delete(`/api-keys/${other.id}`)).status).toBe(404);
    (await withKey(plain).delete(`/api-keys/${plain.id}`)).expect(204);
    (await withKey(trusted).delete(`/api-keys/${other.id}`)).expect(204);
    expectRefusal(await withKey(other).get('/builds'));
  });

  it('wants a UUID', async () => {
    const answer = await (await KeyOwner.make(world, 'viewer')).caller.delete('/api-keys/mine');
    expect([answer.status, answer.error.details]).toEqual([400, { id: 'must be a UUID' }]);
  });
});
