import { randomUUID } from 'node:crypto';
import type { TokenPairDto } from '../../../src/auth/auth.dto';
import { TenantFactory } from '../../factories/tenant.factory';
import { password, UserFactory, type UserRow } from '../../factories/user.factory';
import { Api } from '../../support/api';

let api: Api;
let tenantId: string;
let user: UserRow;
let nextClient = 1;
const tenTimes401 = Array<number>(10).fill(401);

beforeAll(async () => {
  // The tests speak for clients everywhere, as a proxy would.
  api = await Api.start({ TRUSTED_PROXIES: '127.0.0.1' });
  tenantId = (await TenantFactory.from(api).build()).id;
});

beforeEach(async () => {
  user = await UserFactory.from(api, tenantId, { role: 'developer' }).build();
});

afterAll(async () => {
  await api.stop();
});

/** An address that no test has used before. */
function freshClient(): string {
  nextClient += 1;
  return `198.51.${Math.floor(nextClient / 250)}.${nextClient % 250}`;
}

interface Outcome {
  readonly status: number;
  readonly retryAfter: number;
  readonly body: TokenPairDto & { readonly code: string };
}

async function login(client: string, email: string, secret: string): Promise<Outcome> {
  const answer = await fetch(`${api.url}/api/v1/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': client },
    body: JSON.stringify({ email, password: secret }),
  });
  const retryAfter = Number(answer.headers.get('retry-after'));
  return { status: answer.status, retryAfter, body: (await answer.json()) as Outcome['body'] };
}

/** Guesses one after another; the statuses. */
async function guess(times: number, client: () => string, email: () => string): Promise<number[]> {
  const statuses: number[] = [];
  for (let time = 0; time < times; time += 1)
    statuses.push((await login(client(), email(), 'a wrong password')).status);
  return statuses;
}

describe('guessing at one account', () => {
  it('is not done under a name that the database alone takes for the same', async () => {
    const { email } = await UserFactory.from(api, tenantId, { email: `info.${user.id}@example.com` }).build();
    const turkish = email.replace(/^i/, '\u0130');
    expect((await login(freshClient(), email.toUpperCase(), password)).status).toBe(200);
    expect((await login(freshClient(), turkish, password)).status).toBe(401);
  });

  it('ends after ten attempts from everywhere, with the right password too, and says when to try again', async () => {
    expect(await guess(10, freshClient, () => user.email)).toEqual(tenTimes401);
    const { status, retryAfter, body } = await login(freshClient(), user.email.toUpperCase(), password);
    expect({ status, code: body.code }).toEqual({ status: 429, code: 'INVALID_REQUEST' });
    expect(retryAfter).toBeGreaterThan(0);
    expect(retryAfter).toBeLessThanOrEqual(300);
  });

  it('counts for an account that does not exist as for one that does', async () => {
    const email = `${randomUUID()}@example.com`;
    expect(await guess(11, freshClient, () => email)).toEqual([...tenTimes401, 429]);
  });

  it('does not lock out the client from which the account signed in before', async () => {
    const home = freshClient();
    expect((await login(home, user.email, password)).status).toBe(200);
    expect(await guess(20, freshClient, () => user.email)).toEqual([...tenTimes401, ...Array<number>(10).fill(429)]);
    expect((await login(freshClient(), user.email, password)).status).toBe(429);
    expect((await login(home, user.email, password)).status).toBe(200);
  });

  it('begins to count anew after a right password', async () => {
    const home = freshClient();
    await guess(
      9,
      () => home,
      () => user.email,
    );
    expect((await login(home, user.email, password)).status).toBe(200);
    expect(
      await guess(
        10,
        () => home,
        () => user.email,
      ),
    ).toEqual(tenTimes401);
  });
});

describe('guessing from one client', () => {
  it('ends after fifty failures at whatever accounts, and a right password gives no new ones', async () => {
    const client = freshClient();
    const anybody = (): string => `${randomUUID()}@example.com`;
    expect(new Set(await guess(25, () => client, anybody))).toEqual(new Set([401]));
    expect((await login(client, user.email, password)).status).toBe(200);
    expect(new Set(await guess(25, () => client, anybody))).toEqual(new Set([401]));
    expect(await guess(1, () => client, anybody)).toEqual([429]);
    expect((await login(freshClient(), user.email, password)).status).toBe(200);
  });

  it('counts the network of an IPv6 client, which has as many addresses as it likes', async () => {
    let host = 0;
    const client = (): string => {
      host += 1;
      return `2001:db8:7:7::${host.toString(16)}`;
    };
    const anybody = (): string => `${randomUUID()}@example.com`;
    expect(await guess(1, client, anybody)).toEqual([401]);
    await api.sql("UPDATE rate_limits SET taken = 49 WHERE key LIKE 'login client 2001:db8:7:7%'");
    expect(await guess(3, client, anybody)).toEqual([401, 429, 429]);
  });
});

describe('good sign-ins', () => {
  it('of one account are a hundred in five minutes: each leaves rows', async () => {
    const client = freshClient();
    const statuses: number[] = [];
    for (let round = 0; round < 15; round += 1) {
      const answers = Array.from({ length: 8 }, () => login(client, user.email, password));
      statuses.push(...(await Promise.all(answers)).map(({ status }) => status));
    }
    expect(statuses.filter((status) => status === 200)).toHaveLength(100);
    expect(statuses.filter((status) => status === 429)).toHaveLength(20);
    const rows = 'SELECT count(*)::int AS rows FROM refresh_tokens WHERE user_id = $1';
    expect(await api.sql(rows, [user.id])).toEqual([{ rows: 100 }]);
  }, 120_000);
});
