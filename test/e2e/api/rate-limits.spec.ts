import { randomUUID } from 'node:crypto';
import type { TokenPairDto } from '../../../src/auth/auth.dto';
import { TenantFactory } from '../../factories/tenant.factory';
import { password, UserFactory } from '../../factories/user.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { type Answer, Caller } from '../../support/caller';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';
import { askUpgrade } from '../../support/upgrade';

const most = 40;
let api: Api;
let world: World;

beforeAll(async () => {
  api = await Api.start({ RATE_LIMIT_PER_MINUTE: String(most) });
  world = await World.make(api);
});

afterAll(async () => {
  await api.stop();
});

const standing = ({ headers }: Answer): (number | null)[] =>
  ['limit', 'remaining', 'reset', 'retry'].map((name) => {
    const value = headers.get(name === 'retry' ? 'retry-after' : `x-ratelimit-${name}`);
    return value === null ? null : Number(value);
  });

/** The answers to so many requests, one after the other. */
async function ask(caller: Caller, times: number, path = '/builds'): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let time = 0; time < times; time += 1) answers.push(await caller.get(path));
  return answers;
}

const count = (answers: readonly Answer[], status: number): number =>
  answers.filter((answer) => answer.status === status).length;

describe('the limit of requests', () => {
  it('is told with every answer to a good credential, also with errors', async () => {
    const caller = world.with('build:list');
    const [listed, absent, forbidden] = [
      await caller.get('/builds'),
      await caller.get('/builds?limit=0'),
      await caller.get(`/builds/${randomUUID()}`),
    ];
    expect([listed, absent, forbidden].map(({ status }) => status)).toEqual([200, 400, 403]);
    expect([listed, absent, forbidden].map((answer) => standing(answer).slice(0, 2))).toEqual([
      [most, most - 1],
      [most, most - 2],
      [most, most - 3],
    ]);
    const [, , reset] = standing(forbidden);
    expect(reset).toBeGreaterThan(0);
    expect(reset).toBeLessThanOrEqual(60);
  });

  it('lets exactly so many pass, and answers 429 with Retry-After and the envelope to the others', async () => {
    const caller = world.with('build:list');
    const answers = await ask(caller, most + 5);
    expect([count(answers, 200), count(answers, 429)]).toEqual([most, 5]);
    const refused = answers.at(-1);
    expect(refused?.error).toMatchObject({ code: 'INVALID_REQUEST' });
    expect(refused?.error.error).toMatch(/^Too many requests; try again in \d+ seconds$/);
    const [limit, remaining, reset, retryAfter] = refused === undefined ? [] : standing(refused);
    expect([limit, remaining, retryAfter]).toEqual([most, 0, reset]);
  });

  it('is one for all tokens of a user, and another one for each other user', async () => {
    const userId = randomUUID();
    const { tenantId } = world;
    const [one, other] = [api.as({ userId, tenantId }), api.as({ userId, tenantId, permissions: ['build:list'] })];
    expect(count(await ask(one, most), 200)).toBe(most);
    expect(count(await ask(other, 1), 429)).toBe(1);
    expect(count(await ask(world.with('build:list'), 1), 200)).toBe(1);
  });

  it('counts attempts to follow a log as well', async () => {
    const caller = world.with('build:list');
    await ask(caller, most);
    const path = `/api/v1/builds/${randomUUID()}/logs/stream`;
    const answer = await askUpgrade(api.port, path, { Authorization: `Bearer ${caller.token ?? ''}` });
    expect(answer.status).toBe(429);
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('is also one for the bad credentials of an address, by which good ones are not held up', async () => {
    const answers = await ask(new Caller(api.url, null), most + 3);
    expect([count(answers, 401), count(answers, 429)]).toEqual([most, 3]);
    expect(count(await ask(world.with('build:list'), 1), 200)).toBe(1);
  });

  it('counts refresh tokens that are not good among them, by which good ones are not held up', async () => {
    const { id: tenantId } = await TenantFactory.from(api).build();
    const { email } = await UserFactory.from(api, tenantId, { role: 'viewer' }).build();
    const stranger = new Caller(api.url, null);
    const refresh = (refresh_token: string): Promise<Answer<TokenPairDto>> =>
      stranger.post('/auth/refresh', { refresh_token });
    const { refresh_token } = (await stranger.post<TokenPairDto>('/auth/login', { email, password })).expect(200);
    const answers: Answer[] = [];
    for (let time = 0; time < most * 2; time += 1) answers.push(await refresh(randomUUID()));
    // The minute may end meanwhile.
    expect(count(answers, 401)).toBeLessThanOrEqual(most * 2 - 1);
    expect(count(answers, 401) + count(answers, 429)).toBe(answers.length);
    const refused = answers.find(({ status }) => status === 429);
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(refused?.error).toMatchObject({ code: 'INVALID_REQUEST' });
    const pair = (await refresh(refresh_token)).expect(200);
    expect((await api.anonymous.get('/auth/me', { Authorization: `Bearer ${pair.access_token}` })).status).toBe(200);
  });

  it('counts good refresh tokens as requests of their user, and spends none of them beyond it', async () => {
    const { id: tenantId } = await TenantFactory.from(api).build();
    const { email, id } = await UserFactory.from(api, tenantId, { role: 'viewer' }).build();
    const stranger = new Caller(api.url, null);
    const login = await stranger.post<TokenPairDto>('/auth/login', { email, password });
    const { access_token } = login.expect(200);
    let { refresh_token } = login.body;
    await ask(new Caller(api.url, access_token), most - 5);
    const statuses: number[] = [];
    for (let time = 0; time < 12; time += 1) {
      const answer = await stranger.post<TokenPairDto>('/auth/refresh', { refresh_token });
      statuses.push(answer.status);
      if (answer.status === 200) ({ refresh_token } = answer.body);
    }
    expect(statuses).toContain(429);
    const good = 'SELECT id FROM refresh_tokens WHERE user_id = $1 AND used_at IS NULL AND revoked_at IS NULL';
    expect(await api.sql(good, [id])).toHaveLength(1);
  });

  it('is in the document, with what tells it', async () => {
    const document: unknown = await (await fetch(`${api.url}/api/openapi.json`)).json();
    const headers = ['X-RateLimit-Limit', 'X-RateLimit-Remaining', 'X-RateLimit-Reset'];
    expect(document).toMatchObject({
      paths: {
        '/auth/refresh': {
          post: { responses: { 429: { description: expect.stringContaining('Retry-After') as string } } },
        },
        '/builds': {
          get: {
            responses: {
              200: { headers: Object.fromEntries(headers.map((name) => [name, { schema: { type: 'integer' } }])) },
              429: { headers: { 'Retry-After': { schema: { type: 'integer' } } } },
            },
          },
        },
      },
    });
  });
});

describe('the limit of several replicas', () => {
  let database: TestPostgres;
  const replicas: Service[] = [];

  beforeAll(async () => {
    database = await startTestPostgres();
    const settings = { ROLES: 'api', RATE_LIMIT_PER_MINUTE: '100' };
    for (let replica = 0; replica < 2; replica += 1) {
      replicas.push(await Service.start({ databaseUrl: database.url, settings }));
    }
  }, 120_000);

  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await database.stop();
  }, 60_000);

  it('is one, of which little stays unused', async () => {
    const [first] = replicas;
    if (first === undefined) throw new Error('No replica was started');
    const tenant = await Tenant.make(first);
    const headers = { Authorization: `Bearer ${tenant.caller.token ?? ''}` };
    const statuses: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      const asked = Array.from({ length: 5 }, () =>
        replicas.map(async ({ url }) => (await fetch(`${url}/api/v1/builds`, { headers })).status),
      );
      statuses.push(...(await Promise.all(asked.flat())));
    }
    const passed = statuses.filter((status) => status === 200).length;
    expect(passed).toBeLessThanOrEqual(100);
    expect(passed).toBeGreaterThanOrEqual(90);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
  });
});
