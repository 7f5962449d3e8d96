import { randomUUID } from 'node:crypto';
import type { MeDto } from '../../../src/auth/me.dto';
import { parseEnv } from '../../../src/config/env';
import { TenantFactory } from '../../factories/tenant.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { Caller } from '../../support/caller';
import { expectRefusal } from '../../support/expect-refusal';
import { type Algorithm, type Claims, OidcIssuer, signedBy } from '../../support/oidc-issuer';
import { askUpgrade } from '../../support/upgrade';
import { waitUntil } from '../../support/wait-until';

const audience = 'image-factory-api';

let issuer: OidcIssuer;
let api: Api;
let world: World;

beforeAll(async () => {
  issuer = await OidcIssuer.start();
  api = await Api.start({ OIDC_ISSUER: issuer.url, OIDC_AUDIENCE: audience });
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
  await issuer.down();
});

/** What an outside user of this tenant may be granted. */
const granted = (changes: Claims = {}): Claims => ({
  tenant_id: world.tenantId,
  permissions: ['build:list', 'build:read', 'build:create'],
  ...changes,
});

const withToken = (token: string, at = api): Caller => new Caller(at.url, token);
const outsider = (changes: Claims = {}, alg: Algorithm = 'RS256'): Caller =>
  withToken(issuer.token(granted(changes), { alg }));

describe.each<Algorithm>(['RS256', 'ES256'])('an access token of the outside issuer by %s', (alg) => {
  it('opens the routes of its permissions, in its tenant', async () => {
    const caller = outsider({}, alg);
    const build = await world.build();
    const foreign = await (await World.make(api)).build();
    (await caller.get(`/builds/${build.id}`)).expect(200);
    expect((await caller.get(`/builds/${foreign.id}`)).status).toBe(404);
    expect((await caller.get('/projects')).status).toBe(403);
  });

  it('opens the stream, by header and by subprotocol', async () => {
    const { id } = await world.build();
    const path = `/api/v1/builds/${id}/logs/stream`;
    const token = issuer.token(granted(), { alg });
    expect((await askUpgrade(api.port, path, { Authorization: `Bearer ${token}` })).status).toBe(101);
    const offered = { 'Sec-WebSocket-Protocol': `imagefactory.logs.v1, bearer.${token}` };
    expect((await askUpgrade(api.port, path, offered)).status).toBe(101);
  });
});

describe('the user of an outside token', () => {
  it('has one UUID for good, made of the issuer and the name there', async () => {
    const create = { project_id: world.project.id, git_branch: 'main' };
    const first = (await outsider({ sub: 'ada' }).post<{ id: string }>('/builds', create)).expect(201);
    const again = (await outsider({ sub: 'ada' }, 'ES256').get<MeDto>('/auth/me')).expect(200);
    const other = (await outsider({ sub: 'bob' }).get<MeDto>('/auth/me')).expect(200);
    expect(await api.sql('SELECT created_by FROM builds WHERE id = $1', [first.id])).toEqual([
      { created_by: again.id },
    ]);
    expect(other.id).not.toBe(again.id);
    expect(again.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  it('is told who they are, and by what they are signed in', async () => {
    const me = (await outsider({ sub: 'ada', name: 'Ada Lovelace', email: 'ada@example.com' }).get<MeDto>('/auth/me'))
      .body;
    expect(me).toMatchObject({
      tenant_id: world.tenantId,
      ...{ name: 'Ada Lovelace', email: 'ada@example.com', role: null, platform_admin: false },
      permissions: ['build:create', 'build:list', 'build:read'],
      ...{ signed_in_by: 'oidc', api_key_id: null, created_at: null, updated_at: null },
    });
    expect(new Date(me.expires_at).getTime()).toBeGreaterThan(Date.now());
    expect((await outsider({ sub: 'ada', name: 5 }).get<MeDto>('/auth/me')).expect(200)).toMatchObject({ name: 'ada' });
  });

  it('makes no API keys', async () => {
    const answer = await outsider().post('/api-keys', { name: 'mine', permissions: ['build:read'] });
    expect([answer.status, answer.error.code]).toEqual([403, 'FORBIDDEN']);
  });
});

describe('the claims of an outside token', () => {
  const mine = async (changes: Claims): Promise<readonly string[]> =>
    (await outsider(changes).get<MeDto>('/auth/me')).expect(200).permissions;

  it('grant permissions as a list or as words, and those that are none of ours are ignored', async () => {
    expect(await mine({ permissions: ['openid', 'build:read', 'build:read', 'build:*'] })).toEqual(['build:read']);
    expect(await mine({ permissions: 'openid build:read  project:list' })).toEqual(['build:read', 'project:list']);
    expect(await mine({ permissions: undefined })).toEqual([]);
  });

  it('never grant what reaches over tenants', async () => {
    const permissions = ['tenant:create', 'tenant:list', 'tenant:update', 'user:list'];
    expect(await mine({ permissions })).toEqual(['user:list']);
    expect((await outsider({ permissions }).get('/tenants')).status).toBe(403);
  });

  it('name a tenant that exists and is not disabled', async () => {
    const disabled = await TenantFactory.from(api, { disabled_at: new Date() }).build();
    for (const tenant of [randomUUID(), disabled.id, undefined, 'acme', [world.tenantId]]) {
      expectRefusal(await outsider({ tenant_id: tenant }).get('/auth/me'));
    }
    (await outsider({ tenant_id: world.tenantId.toUpperCase() }).get('/auth/me')).expect(200);
    await api.sql('UPDATE tenants SET disabled_at = NULL WHERE id = $1', [disabled.id]);
    (await outsider({ tenant_id: disabled.id }).get('/auth/me')).expect(200);
  });

  it('have the names that the operator says, and come from the clients that the operator names', async () => {
    const other = await Api.start({
      OIDC_ISSUER: issuer.url,
      OIDC_AUDIENCE: audience,
      OIDC_CLIENTS: 'console, cli',
      OIDC_TENANT_CLAIM: 'https://example.com/tenant',
      OIDC_PERMISSIONS_CLAIM: 'scope',
    });
    try {
      const { id } = await TenantFactory.from(other).build();
      const claims = { 'https://example.com/tenant': id, scope: 'openid build:list' };
      const ask = (more: Claims) => withToken(issuer.token({ ...claims, ...more }), other).get('/builds');
      (await ask({ azp: 'console' })).expect(200);
      (await ask({ client_id: 'cli' })).expect(200);
      for (const client of [{}, { azp: 'a-stranger' }, { azp: 'console', client_id: 'a-stranger' }, { azp: ['cli'] }]) {
        expectRefusal(await ask(client));
      }
      expectRefusal(await withToken(issuer.token({ ...granted({ tenant_id: id }), azp: 'cli' }), other).get('/builds'));
    } finally {
      await other.stop();
    }
  });
});

describe('the keys of the issuer', () => {
  it('are asked for once for many requests, and again when a token has a new one', async () => {
    const before = issuer.keyRequests;
    for (let round = 0; round < 5; round += 1) (await outsider().get('/builds')).expect(200);
    expect(issuer.keyRequests).toBe(before);
    const old = issuer.token(granted());
    issuer.rotate();
    const answers = await Promise.all(Array.from({ length: 10 }, () => outsider().get('/builds')));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 10 }, () => 200));
    expect(issuer.keyRequests).toBe(before + 1);
    // What was signed with a key that is withdrawn is good no more.
    expectRefusal(await withToken(old).get('/builds'));
  });

  it('are known while the issuer is down', async () => {
    await issuer.down();
    try {
      (await outsider().get('/builds')).expect(200);
      (await outsider({}, 'ES256').get('/builds')).expect(200);
    } finally {
      await issuer.up();
    }
  });

  it('are waited for with 503 as long as the issuer never answered, while our own tokens and forgeries are told at once', async () => {
    const silent = await OidcIssuer.start();
    await silent.down();
    const early = await Api.start({ OIDC_ISSUER: silent.url, OIDC_AUDIENCE: audience });
    try {
      const { id } = await TenantFactory.from(early).build();
      const ask = (token: string) => withToken(token, early).get('/builds');
      const token = silent.token(granted({ tenant_id: id }));
      const answer = await ask(token);
      expect([answer.status, answer.headers.get('Retry-After')]).toEqual([503, '5']);
      expect(answer.error.error).toBe('The token issuer does not answer at the moment; try again');
      const door = await askUpgrade(early.port, `/api/v1/builds/${id}/logs/stream`, {
        Authorization: `Bearer ${token}`,
      });
      expect(door.status).toBe(503);
      (await ask(early.token({ tenantId: id }))).expect(200);
      expectRefusal(await ask(silent.token(granted({ tenant_id: id }), { header: { alg: 'none' } })));
      await silent.up();
      await waitUntil(async () => (await ask(token)).status === 200);
    } finally {
      await early.stop();
      await silent.down();
    }
  });
});

describe('our own tokens', () => {
  it('are as good as ever, and the issuer is asked for none of them', async () => {
    const before = issuer.asked.length;
    (await world.caller.get('/builds')).expect(200);
    expect(issuer.asked).toHaveLength(before);
  });

  it('of the issuer are refused where no issuer is set', async () => {
    const plain = await Api.start();
    try {
      expectRefusal(await withToken(issuer.token(granted()), plain).get('/builds'));
      const claims = { ...issuer.claims(granted()), iss: 'image-factory', aud: 'image-factory' };
      expectRefusal(await withToken(signedBy(issuer.key('RS256'), claims), plain).get('/builds'));
    } finally {
      await plain.stop();
    }
  });
});

describe('the settings', () => {
  const url = 'https://issuer.example.com/realms/team';

  it.each<[string, Readonly<Record<string, string>>]>([
    ['OIDC_AUDIENCE is required when OIDC_ISSUER is set', { OIDC_ISSUER: url }],
    ['OIDC_ISSUER is required when OIDC_AUDIENCE is set', { OIDC_AUDIENCE: 'a' }],
    ['OIDC_ISSUER must not be JWT_ISSUER, who is ourselves', { OIDC_ISSUER: url, OIDC_AUDIENCE: 'a', JWT_ISSUER: url }],
    ...[
      'issuer.example.com',
      'http://issuer.example.com',
      'https://a.example.com?x',
      'https://a@b.example.com',
      'ftp://a',
    ].map((bad): [string, Readonly<Record<string, string>>] => [
      'OIDC_ISSUER must be an https:// URL without query and fragment, or an http:// one of this machine',
      { OIDC_ISSUER: bad, OIDC_AUDIENCE: 'a' },
    ]),
  ])('stop the start: %s', (problem, settings) => {
    expect(() => parseEnv(settings)).toThrow(`Bad settings: ${problem}.`);
  });

  it.each([url, 'https://issuer.example.com/', 'http://localhost:8080', 'http://127.0.0.1:1', 'http://[::1]:8080'])(
    'take %s',
    (good) => {
      expect(parseEnv({ OIDC_ISSUER: good, OIDC_AUDIENCE: 'a' }).OIDC_ISSUER).toBe(good);
    },
  );
});
