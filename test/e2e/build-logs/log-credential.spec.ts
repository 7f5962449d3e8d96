import { randomUUID } from 'node:crypto';
import { hashOfApiKey, newApiKey } from '../../../src/api-keys/api-key';
import { query } from '../../../src/database/query';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { waitUntil } from '../../support/wait-until';
import { LogApp } from './log-app';
import { LogClient } from './log-client';

const recheckMs = 50;

let postgres: TestPostgres;
let app: LogApp;
let tenant: string;
let owner: string;

beforeAll(async () => {
  postgres = await startTestPostgres();
  app = await LogApp.start({ databaseUrl: postgres.url, stream: { recheckMs } });
});

beforeEach(async () => {
  [tenant, owner] = [randomUUID(), randomUUID()];
  await query(app.source, 'INSERT INTO tenants (id, name) VALUES ($1, $2)', [tenant, tenant]);
  await query(
    app.source,
    `INSERT INTO users (id, tenant_id, email, password_hash, name, role) VALUES ($1, $2, $3, '', 'Ada', 'viewer')`,
    [owner, tenant, `${owner}@example.com`],
  );
});

afterAll(async () => {
  await app.stop();
  await postgres.stop();
});

/** A stream that was opened with an API key. */
async function follow(permissions: readonly string[] = ['build:read']): Promise<LogClient> {
  const { key, prefix } = newApiKey();
  await query(
    app.source,
    `INSERT INTO api_keys (tenant_id, user_id, name, prefix, key_hash, permissions, expires_at)
     VALUES ($1, $2, 'nightly', $3, $4, $5, now() + interval '1 day')`,
    [tenant, owner, prefix, hashOfApiKey(key), permissions],
  );
  const buildId = await app.createLog(tenant);
  return LogClient.open(app.streamUrl(buildId), key);
}

/** How many transactions of this database were rolled back; a statement that fails is one. */
async function rolledBack(): Promise<number> {
  const [row] = await query<{ count: number }>(
    app.source,
    `SELECT xact_rollback::int AS count FROM pg_stat_database WHERE datname = current_database()`,
  );
  return row?.count ?? 0;
}

it.each<[string, string]>([
  ['was revoked', 'DELETE FROM api_keys WHERE user_id = $1'],
  ['has no owner who is enabled', 'UPDATE users SET disabled_at = now() WHERE id = $1'],
  ['may no longer read builds', `UPDATE api_keys SET permissions = '{build:list}' WHERE user_id = $1`],
])('closes 4401 soon after its API key %s', async (_, statement) => {
  const client = await follow();
  await query(app.source, statement, [owner]);
  await expect(client.closed).resolves.toEqual({ code: 4401, reason: 'The credential is no longer valid' });
});

it('goes on while the key is good, and while the database cannot tell', async () => {
  const client = await follow();
  await query(app.source, 'ALTER TABLE api_keys RENAME TO hidden');
  const failures = await rolledBack();
  await waitUntil(async () => (await rolledBack()) >= failures + 3);
  await query(app.source, 'ALTER TABLE hidden RENAME TO api_keys');
  expect(client.socket.readyState).toBe(client.socket.OPEN);
  await query(app.source, 'DELETE FROM api_keys WHERE user_id = $1', [owner]);
  await expect(client.closed).resolves.toMatchObject({ code: 4401 });
});
