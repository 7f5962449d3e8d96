import { randomBytes, randomUUID } from 'node:crypto';
import type { CreatedApiKeyDto } from '../../src/api-keys/api-key.dto';
import type { TokenPairDto } from '../../src/auth/auth.dto';
import type { UserDto } from '../../src/users/user.dto';
import { type Answer, Caller } from '../support/caller';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { jwtSecret, platformAdmin, Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { askUpgrade } from '../support/upgrade';
import { waitUntil } from '../support/wait-until';

const insides =
  /node_modules|\.[jt]s:\d+|\bat [\w.]+ \(|QueryFailed|TypeORM|PostgreSQL|\bpg_|SELECT |INSERT |relation "|ECONN|\/src\/|\/dist\/|127\.0\.0\.1|v?\d+\.\d+\.\d+/;

const secretsKey = randomBytes(32).toString('hex');
let database: TestPostgres;
let service: Service;
let tenant: Tenant;
/** What may stand nowhere, by name. */
const hidden = new Map<string, string>();
/** Answers in which nothing of it may stand. */
const answers: Answer[] = [];

beforeAll(async () => {
  database = await startTestPostgres();
  const settings = { ROLES: 'api', LOG_LEVEL: 'trace', SECRETS_KEY: secretsKey, ARTIFACT_DIR: '' };
  service = await Service.start({ databaseUrl: database.url, settings });
  tenant = await Tenant.make(service);
  hidden.set('JWT_SECRET', jwtSecret).set('SECRETS_KEY', secretsKey).set('the first password', platformAdmin.password);
  hidden.set('SECRETS_KEY as base64', Buffer.from(secretsKey, 'hex').toString('base64'));
}, 120_000);

afterAll(async () => {
  await service.stop();
  await database.stop();
}, 60_000);

/** Names a text that is made up for the test and must never be seen. */
function hide(name: string): string {
  const text = `hidden-${randomUUID()}`;
  hidden.set(name, text);
  return text;
}

async function sendEverything(): Promise<void> {
  const { caller } = tenant;
  const anonymous = new Caller(service.url, null);
  const login = { email: `${randomUUID()}@example.com`, password: hide('a password') };
  const made = await caller.post<UserDto>('/users', { ...login, name: 'Somebody', role: 'developer' });
  const pair = (await anonymous.post<TokenPairDto>('/auth/login', login)).expect(200);
  const next = (await anonymous.post<TokenPairDto>('/auth/refresh', { refresh_token: pair.refresh_token })).expect(200);
  const key = (await caller.post<CreatedApiKeyDto>('/api-keys', { name: 'x', permissions: ['build:read'] })).expect(
    201,
  );
  const tokens = { access: next.access_token, refresh: next.refresh_token, key: key.key, admin: caller.token ?? '' };
  for (const [name, token] of Object.entries({ ...tokens, spent: pair.refresh_token }))
    hidden.set(`${name} token`, token);
  const project = await tenant.project({ repository_url: 'https://git.example.com/app.git' });
  const secret = `/projects/${project.id}/secrets/TOKEN`;
  const stream = `/api/v1/builds/${randomUUID()}/logs/stream`;
  const bearer = (token: string): Record<string, string> => ({ Authorization: `Bearer ${token}` });
  answers.push(
    made,
    await anonymous.post('/auth/login', { ...login, password: hide('a wrong password') }),
    await anonymous.post('/auth/login', `{"email":"a@b.c","password":"${hide('a password in broken JSON')}"`),
    await anonymous.post('/auth/login', { email: 'a@b.c', password: [hide('a password in a list')] }),
    await anonymous.post('/auth/refresh', { refresh_token: pair.refresh_token }),
    await anonymous.post('/auth/refresh', { refresh_token: hide('a wrong refresh token') }),
    await anonymous.get('/builds', bearer(hide('a wrong access token'))),
    await anonymous.get(`/builds?access_token=${tokens.access}`),
    await anonymous.get(`/builds?limit=0&access_token=${tokens.key}`, bearer(tokens.admin)),
    await caller.send('PUT', secret, { value: hide('a secret') }),
    await caller.send('PUT', secret, { kind: 'git', username: 'x', value: hide('a secret for git') }),
    await caller.send('PUT', secret, { kind: 'none', value: hide('a refused secret') }),
    await caller.get(`/projects/${project.id}/secrets`),
    await caller.get('/api-keys'),
    await caller.get('/audit-events'),
    await caller.post('/projects', {
      name: 'x',
      repository_url: `https://u:${hide('a password in a URL')}@git.example.com/a`,
    }),
    await askUpgrade(Number(new URL(service.url).port), `${stream}?token=${tokens.access}`),
    await askUpgrade(Number(new URL(service.url).port), stream, {
      'Sec-WebSocket-Protocol': `imagefactory.logs.v1, bearer.${tokens.access}`,
    }),
    await askUpgrade(Number(new URL(service.url).port), stream, bearer(tokens.key)),
  );
}

describe('no token, password, secret or key', () => {
  it('is printed at LOG_LEVEL=trace or answered, also while the database is gone, and no answer shows our insides', async () => {
    await sendEverything();
    await database.stop();
    const lost = [
      await tenant.caller.get('/builds'),
      await new Caller(service.url, null).post('/auth/login', {
        email: 'a@b.c',
        password: hide('a password for nothing'),
      }),
      await new Caller(service.url, null).post('/auth/refresh', { refresh_token: hide('a token for nothing') }),
    ];
    expect(lost.filter(({ status }) => ![500, 503].includes(status))).toEqual([]);
    // What is printed comes a moment later.
    await waitUntil(() => service.output.some((line) => /: 50[03]"/.test(line)));
    const printed = service.output.join('\n');
    expect(printed).toContain('"level":20');
    const answered = [...answers, ...lost].map(({ text, headers }) => `${JSON.stringify([...headers])} ${text}`);
    for (const [name, text] of hidden) {
      const forms = [text, encodeURIComponent(text), Buffer.from(text).toString('base64').replace(/=+$/, '')];
      expect([name, forms.filter((form) => printed.includes(form))]).toEqual([name, []]);
      expect([name, answered.filter((one) => forms.some((form) => one.includes(form)))]).toEqual([name, []]);
    }
    for (const { text } of lost) expect(text.replace(/"timestamp":"[^"]+"/, '')).not.toMatch(insides);
  }, 120_000);
});
