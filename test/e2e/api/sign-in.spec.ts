import { JwtService } from '@nestjs/jwt';
import { randomUUID } from 'node:crypto';
import type { TokenPairDto } from '../../../src/auth/auth.dto';
import type { MeDto } from '../../../src/auth/me.dto';
import { TenantFactory } from '../../factories/tenant.factory';
import { password, UserFactory, type UserRow } from '../../factories/user.factory';
import { Api, bootstrapAdmin } from '../../support/api';
import { type Answer, Caller } from '../../support/caller';

let api: Api;
let tenantId: string;
let user: UserRow;

beforeAll(async () => {
  api = await Api.start();
  tenantId = (await TenantFactory.from(api).build()).id;
});

beforeEach(async () => {
  user = await UserFactory.from(api, tenantId, { role: 'developer' }).build();
});

afterAll(async () => {
  await api.stop();
});

function login(email = user.email, secret: string = password): Promise<Answer<TokenPairDto>> {
  return api.anonymous.post('/auth/login', { email, password: secret });
}

function refresh(token: string): Promise<Answer<TokenPairDto>> {
  return api.anonymous.post('/auth/refresh', { refresh_token: token });
}

const withToken = (token: string): Caller => new Caller(api.url, token);

describe('POST /auth/login', () => {
  it('gives a pair of tokens and the user', async () => {
    const pair = (await login()).expect(200);
    expect(pair).toMatchObject({ token_type: 'Bearer', expires_in: 900, user: { id: user.id, tenant_id: tenantId } });
    const claims = api.app.get(JwtService).decode<Record<string, unknown>>(pair.access_token, { complete: true });
    expect(claims).toMatchObject({
      header: { alg: 'HS256' },
      payload: {
        sub: user.id,
        tenant_id: tenantId,
        permissions: pair.user.permissions,
        iss: 'image-factory',
        aud: 'image-factory',
        iat: expect.any(Number) as number,
        exp: expect.any(Number) as number,
      },
    });
    (await withToken(pair.access_token).get('/builds')).expect(200);
  });

  it('takes the address in any case', async () => {
    (await login(user.email.toUpperCase())).expect(200);
  });

  it('lets the first admin in', async () => {
    const pair = (await login(bootstrapAdmin.email, bootstrapAdmin.password)).expect(200);
    expect(pair.user).toMatchObject({ role: 'admin', platform_admin: true });
    (await withToken(pair.access_token).get('/tenants')).expect(200);
  });

  it('says the same of a wrong password, an unknown address, a disabled user and a disabled tenant', async () => {
    const disabled = await UserFactory.from(api, tenantId, { disabled_at: new Date() }).build();
    const gone = await TenantFactory.from(api, { disabled_at: new Date() }).build();
    const ofGone = await UserFactory.from(api, gone.id).build();
    const answers = [
      await login(user.email, 'a wrong password'),
      await login('nobody@example.com'),
      await login(disabled.email),
      await login(ofGone.email),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401, 401]);
    expect(new Set(answers.map(({ error }) => error.error)).size).toBe(1);
    expect(answers[0]?.headers.get('WWW-Authenticate')).toBe('Bearer');
  });

  it('takes about as long for an unknown address as for a wrong password', async () => {
    const timed = async (email: string): Promise<number> => {
      const start = performance.now();
      await login(email, 'a wrong password');
      return performance.now() - start;
    };
    const known: number[] = [];
    const unknown: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      known.push(await timed(user.email));
      unknown.push(await timed(`${randomUUID()}@example.com`));
    }
    // Without the work for a made-up hash it would be a hundredth.
    expect(Math.min(...unknown)).toBeGreaterThan(0.5 * Math.min(...known));
  });

  it.each<[string, object]>([
    ['email', { password }],
    ['password', { email: 'a@example.com' }],
    ['email', { email: 5, password }],
    ['password', { email: 'a@example.com', password: 'x'.repeat(257) }],
  ])('refuses a bad %s', async (field, body) => {
    const answer = await api.anonymous.post('/auth/login', body);
    expect(answer.status).toBe(400);
    expect(Object.keys(answer.error.details ?? {})).toEqual([field]);
  });
});

describe('POST /auth/refresh', () => {
  it('stores nothing more for a spent token that comes again and again', async () => {
    const { refresh_token: token } = (await login()).expect(200);
    await refresh(token);
    const stored = (): Promise<object[]> =>
      api.sql(
        `SELECT (SELECT count(*)::int FROM refresh_tokens WHERE user_id = $1) AS tokens,
                (SELECT count(*)::int FROM audit_events WHERE resource_id = $1::text AND action = 'auth.refresh_reused') AS told`,
        [user.id],
      );
    const [before] = await stored();
    for (let time = 0; time < 5; time += 1) expect((await refresh(token)).status).toBe(401);
    expect(await stored()).toEqual([{ ...before, told: 1 }]);
  });

  it('gives a new pair, and the new one works again', async () => {
    const first = (await login()).expect(200);
    const second = (await refresh(first.refresh_token)).expect(200);
    expect(second.refresh_token).not.toBe(first.refresh_token);
    (await withToken(second.access_token).get('/auth/me')).expect(200);
    (await refresh(second.refresh_token)).expect(200);
  });

  it('revokes the whole family when an old token comes again', async () => {
    const first = (await login()).expect(200);
    const other = (await login()).expect(200);
    const second = (await refresh(first.refresh_token)).expect(200);
    expect((await refresh(first.refresh_token)).status).toBe(401);
    expect((await refresh(second.refresh_token)).status).toBe(401);
    // Another sign-in is another family.
    (await refresh(other.refresh_token)).expect(200);
  });

  it('gives one of ten at once the next token, and revokes that one for the other nine', async () => {
    const { refresh_token: token } = (await login()).expect(200);
    const answers = await Promise.all(Array.from({ length: 10 }, () => refresh(token)));
    const good = answers.filter(({ status }) => status === 200);
    expect(good).toHaveLength(1);
    expect((await refresh(good[0]?.body.refresh_token ?? '')).status).toBe(401);
    const alive = await api.sql('SELECT id FROM refresh_tokens WHERE user_id = $1 AND revoked_at IS NULL', [user.id]);
    expect(alive).toEqual([]);
  });

  it('brings the role of now, not that of the sign-in', async () => {
    const { refresh_token: token } = (await login()).expect(200);
    await api.sql(`UPDATE users SET role = 'viewer' WHERE id = $1`, [user.id]);
    expect((await refresh(token)).expect(200).user.role).toBe('viewer');
  });

  it.each(['users', 'tenants'])('is refused for good when one of the %s is disabled', async (table) => {
    const tenant = await TenantFactory.from(api).build();
    const somebody = await UserFactory.from(api, tenant.id).build();
    const { refresh_token: token } = (await login(somebody.email)).expect(200);
    const id = table === 'users' ? somebody.id : tenant.id;
    await api.sql(`UPDATE ${table} SET disabled_at = now() WHERE id = $1`, [id]);
    expect((await refresh(token)).status).toBe(401);
    await api.sql(`UPDATE ${table} SET disabled_at = NULL WHERE id = $1`, [id]);
    expect((await refresh(token)).status).toBe(401);
  });

  it('refuses an expired, an unknown and an empty token', async () => {
    const { refresh_token: token } = (await login()).expect(200);
    await api.sql('UPDATE refresh_tokens SET expires_at = now() WHERE user_id = $1', [user.id]);
    expect((await refresh(token)).status).toBe(401);
    expect((await refresh('x'.repeat(43))).status).toBe(401);
    expect((await refresh('')).status).toBe(400);
  });

  it('stores no token in clear', async () => {
    const { refresh_token: token } = (await login()).expect(200);
    const rows = await api.sql('SELECT * FROM refresh_tokens WHERE user_id = $1', [user.id]);
    expect(JSON.stringify(rows)).not.toContain(token);
  });
});

describe('POST /auth/logout', () => {
  it('revokes the refresh tokens of this sign-in and no others', async () => {
    const mine = (await login()).expect(200);
    const other = (await login()).expect(200);
    const next = (await refresh(mine.refresh_token)).expect(200);
    const answer = await withToken(next.access_token).post('/auth/logout', { refresh_token: next.refresh_token });
    expect([answer.status, answer.text]).toEqual([204, '']);
    expect((await refresh(next.refresh_token)).status).toBe(401);
    (await refresh(other.refresh_token)).expect(200);
  });

  it("does nothing to somebody else's token, and does not tell", async () => {
    const mine = (await login()).expect(200);
    const somebody = await UserFactory.from(api, tenantId).build();
    const theirs = (await login(somebody.email)).expect(200);
    const answer = await withToken(mine.access_token).post('/auth/logout', { refresh_token: theirs.refresh_token });
    expect(answer.status).toBe(204);
    (await refresh(theirs.refresh_token)).expect(200);
  });

  it('needs a token', async () => {
    expect((await api.anonymous.post('/auth/logout', { refresh_token: 'x' })).status).toBe(401);
  });
});

describe('GET /auth/me', () => {
  it('shows the signed-in user, and no password', async () => {
    const pair = (await login()).expect(200);
    const answer = await withToken(pair.access_token).get<MeDto>('/auth/me');
    expect(answer.expect(200)).toMatchObject(pair.user);
    expect(answer.body).toMatchObject({ signed_in_by: 'password', api_key_id: null });
    expect(answer.body).toMatchObject({ id: user.id, email: user.email, role: 'developer', platform_admin: false });
    expect(answer.text).not.toMatch(/password_?hash|scrypt/i);
  });

  it('is 401 for a user who does not exist', async () => {
    expect((await api.as({ tenantId }).get('/auth/me')).status).toBe(401);
  });
});
