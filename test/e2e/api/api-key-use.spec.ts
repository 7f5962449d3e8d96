import { randomUUID } from 'node:crypto';
import type { ApiKeyListDto, CreatedApiKeyDto } from '../../../src/api-keys/api-key.dto';
import type { MeDto } from '../../../src/auth/me.dto';
import { KeyOwner } from '../../factories/key-owner';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { Caller } from '../../support/caller';
import { expectRefusal } from '../../support/expect-refusal';
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

const withKey = ({ key }: Pick<CreatedApiKeyDto, 'key'>): Caller => new Caller(api.url, key);

describe('a key as the bearer token', () => {
  it('opens the routes of its permissions, in its tenant, in the name of its owner', async () => {
    const ada = await KeyOwner.make(world, 'developer');
    const caller = withKey(await ada.key('build:create', 'build:read'));
    const created = await caller.post<{ id: string }>('/builds', { project_id: world.project.id, git_branch: 'main' });
    const { id } = created.expect(201);
    expect(await api.sql('SELECT created_by FROM builds WHERE id = $1', [id])).toEqual([{ created_by: ada.id }]);
    (await caller.get(`/builds/${id}`)).expect(200);
    expect((await caller.get('/builds')).status).toBe(403);
    const foreign = await (await World.make(api)).build();
    expect((await caller.get(`/builds/${foreign.id}`)).status).toBe(404);
  });

  it('opens the stream, by header and by subprotocol', async () => {
    const { key } = await (await KeyOwner.make(world, 'viewer')).key('build:read');
    const { key: other } = await (await KeyOwner.make(world, 'viewer')).key('build:list');
    const path = `/api/v1/builds/${(await world.build()).id}/logs/stream`;
    const ask = async (token: string): Promise<number[]> => [
      (await askUpgrade(api.port, path, { Authorization: `Bearer ${token}` })).status,
      (await askUpgrade(api.port, path, { 'Sec-WebSocket-Protocol': `imagefactory.logs.v1, bearer.${token}` })).status,
    ];
    expect(await ask(key)).toEqual([101, 101]);
    expect(await ask(other)).toEqual([403, 403]);
  });

  it('is told whose it is', async () => {
    const ada = await KeyOwner.make(world, 'developer');
    const made = await ada.key('build:read');
    expect((await withKey(made).get<MeDto>('/auth/me')).expect(200)).toMatchObject({
      ...{ id: ada.id, role: 'developer', permissions: ['build:read'] },
      ...{ signed_in_by: 'api_key', api_key_id: made.id, expires_at: made.expires_at },
    });
    expect((await ada.caller.get<MeDto>('/auth/me')).expect(200)).toMatchObject({
      ...{ id: ada.id, signed_in_by: 'password', api_key_id: null },
    });
  });

  it('notes its last use, to a minute', async () => {
    const ada = await KeyOwner.make(world, 'viewer');
    const made = await ada.key();
    const lastUse = async (): Promise<string | null | undefined> =>
      (await ada.caller.get<ApiKeyListDto>('/api-keys')).expect(200).api_keys[0]?.last_used_at;
    await Promise.all(Array.from({ length: 10 }, () => withKey(made).get('/builds')));
    await waitUntil(async () => (await lastUse()) !== null);
    const first = await lastUse();
    (await withKey(made).get('/builds')).expect(200);
    expect(await lastUse()).toBe(first);
    await api.sql(`UPDATE api_keys SET last_used_at = now() - interval '61 seconds' WHERE id = $1`, [made.id]);
    const aged = await lastUse();
    (await withKey(made).get('/builds')).expect(200);
    await waitUntil(async () => (await lastUse()) !== aged);
  });

  it.each<[string, string, unknown]>([
    ['its owner is disabled', 'UPDATE users SET disabled_at = $2 WHERE id = $1', new Date()],
    ['it has ended', 'UPDATE api_keys SET expires_at = $2 WHERE user_id = $1', new Date()],
    [
      'its tenant is disabled',
      'UPDATE tenants SET disabled_at = $2 WHERE id = (SELECT tenant_id FROM users WHERE id = $1)',
      new Date(),
    ],
  ])('is refused at once when %s', async (_, statement, value) => {
    const ada = await KeyOwner.make(await World.make(api), 'viewer');
    const caller = withKey(await ada.key());
    (await caller.get('/builds')).expect(200);
    await api.sql(statement, [ada.id, value]);
    expectRefusal(await caller.get('/builds'));
  });

  it('shrinks and grows with the role of its owner, and never beyond what it was given', async () => {
    const ada = await KeyOwner.make(world, 'admin', { platform_admin: true });
    const caller = withKey(await ada.key('build:delete', 'build:read', 'tenant:list'));
    const may = async (): Promise<readonly string[]> => (await caller.get<MeDto>('/auth/me')).expect(200).permissions;
    expect(await may()).toEqual(['build:read', 'build:delete', 'tenant:list']);
    await api.sql(`UPDATE users SET role = 'viewer', platform_admin = false WHERE id = $1`, [ada.id]);
    expect(await may()).toEqual(['build:read']);
    expect((await caller.delete(`/builds/${randomUUID()}`)).status).toBe(403);
    expect((await caller.get('/tenants')).status).toBe(403);
    await api.sql(`UPDATE users SET role = 'admin' WHERE id = $1`, [ada.id]);
    expect(await may()).toEqual(['build:read', 'build:delete']);
  });
});
