import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'pg';
import { startTestPostgres, type TestPostgres } from '../../support/postgres';
import { Service } from '../../support/service';

/** Everybody can read it, and nobody can write there, not even root. */
const readOnly = '/sys/kernel';

const root = mkdtempSync(path.join(tmpdir(), 'image-factory-store-'));
const store = path.join(root, 'shared');
const marker = path.join(store, '.image-factory-store');
let database: TestPostgres;
let other: TestPostgres;

beforeAll(async () => {
  [database, other] = [await startTestPostgres(), await startTestPostgres()];
});

afterAll(async () => {
  await database.stop();
  await other.stop();
  rmSync(root, { recursive: true });
});

/** Asks the other installation's database. */
async function sql(statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: other.url });
  await client.connect();
  try {
    return (await client.query<object>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Starts a process and ends it; null when it started, else what it said last. */
async function start(
  artifactDir: string,
  { ROLES = 'worker', databaseUrl = database.url } = {},
): Promise<string | null> {
  let said = '';
  const settings = { ROLES, ARTIFACT_DIR: artifactDir, SHUTDOWN_GRACE_SECONDS: '0' };
  const service = await Service.start({ databaseUrl, settings }).catch((error: unknown) => {
    said = String(error);
  });
  if (service === undefined) return said.split('\n').at(-1) ?? '';
  await service.stop();
  return null;
}

it('is refused to a worker that cannot write there, in one line, and not to an API that can read', async () => {
  expect(await start(readOnly)).toMatch(
    /^Image Factory could not start: ARTIFACT_DIR "\/sys\/kernel" cannot be written: E/,
  );
  expect(await start(readOnly, { ROLES: 'api' })).toBeNull();
  const noDirectory = path.join(root, 'file');
  writeFileSync(noDirectory, '');
  expect(await start(noDirectory, { ROLES: 'api' })).toMatch(
    /could not start: ARTIFACT_DIR ".*" cannot be read: ENOTDIR/,
  );
});

it('is marked by the first worker, to which others may start at once', async () => {
  expect(await Promise.all([start(store, { ROLES: 'api' }), start(store)])).toEqual([null, null]);
  expect(readFileSync(marker, 'utf8')).toMatch(/^[0-9a-f-]{36}\n$/);
});

it('is refused when it belongs to another installation', async () => {
  const refusal = await start(store, { databaseUrl: other.url });
  expect(refusal).toContain(`ARTIFACT_DIR "${store}" belongs to another installation`);
  expect(readFileSync(marker, 'utf8')).toMatch(/^[0-9a-f-]{36}\n$/);
});

it.each(['api', 'worker'])(
  'is refused when it is not the shared one, to %s, with the command that makes another one do',
  async (ROLES) => {
    const alone = path.join(root, `it's ${ROLES}`);
    const refusal = (await start(alone, { ROLES })) ?? '';
    expect(refusal).toContain('is not where this installation keeps its archives: mount that directory there');
    expect(existsSync(path.join(alone, '.image-factory-store'))).toBe(false);
    execFileSync('sh', ['-c', refusal.split(' run: ')[1] ?? '']);
    expect(await start(alone, { ROLES })).toBeNull();
  },
);

it('is recorded by the next start when the first one died between marking and recording it', async () => {
  const interrupted = path.join(root, 'interrupted');
  expect(await start(interrupted, { ROLES: 'api', databaseUrl: other.url })).toBeNull();
  expect(existsSync(path.join(interrupted, '.image-factory-store'))).toBe(false);
  expect(await start(interrupted, { databaseUrl: other.url })).toBeNull();
  await sql('UPDATE installation SET store_registered_at = NULL');
  expect(await start(interrupted, { databaseUrl: other.url })).toBeNull();
  const rows = await sql('SELECT FROM installation WHERE store_registered_at IS NOT NULL');
  expect(rows).toHaveLength(1);
});

it('is not marked where none of the images is that were kept before there was a mark', async () => {
  const id = randomUUID();
  const [wrong, right] = [path.join(root, 'wrong'), path.join(root, 'right')];
  mkdirSync(right);
  writeFileSync(path.join(right, `${id}.tar`), '');
  await sql(`
    INSERT INTO tenants (id, name) VALUES ('${id}', 'one');
    INSERT INTO projects (id, tenant_id, name, repository_url, default_branch)
      VALUES ('${id}', '${id}', 'one', 'https://git.example.com/a', 'main');
    INSERT INTO builds (id, tenant_id, project_id, git_branch, status, completed_at, image_archive)
      VALUES ('${id}', '${id}', '${id}', 'main', 'success', now(), '${id}.tar');
    UPDATE installation SET store_registered_at = NULL`);
  expect(await start(wrong, { databaseUrl: other.url })).toContain(
    'has none of the images that this installation kept last: mount their directory there',
  );
  expect(existsSync(path.join(wrong, '.image-factory-store'))).toBe(false);
  expect(await start(right, { databaseUrl: other.url })).toBeNull();
});
