import type { BuildDto } from '../../../src/builds/build.dto';
import { DatabaseProxy } from '../../support/database-proxy';
import { OwnPostgres } from '../../support/own-postgres';
import { Service } from '../../support/service';
import { Tenant } from '../../support/tenant';

// How often a request asks the database, once the process knows who asks. What the service does at times for itself may pass
// meanwhile, so the least of some tries counts.

const tries = 5;
let database: OwnPostgres;
let proxy: DatabaseProxy;
let service: Service;
let tenant: Tenant;
let project: string;
let build: string;

beforeAll(async () => {
  database = await OwnPostgres.start();
  proxy = await DatabaseProxy.start(await database.database());
  service = await Service.start({ databaseUrl: proxy.url, settings: { ROLES: 'api' } });
  tenant = await Tenant.make(service);
  ({ id: project } = await tenant.project({ repository_url: 'https://git.example.com/team/app.git' }));
  for (let made = 0; made < 30; made += 1) build = await createBuild();
}, 120_000);

afterAll(async () => {
  await service.stop();
  await proxy.stop();
  await database.stop();
}, 120_000);

const createBuild = async (): Promise<string> => (await tenant.create({ id: project }, { branch: 'main' })).id;

/** The statements of a request, which must succeed; `prepare` makes what it needs. */
async function statementsOf(method: string, pathOf: (id: string) => string, prepare?: () => Promise<string>) {
  let least: readonly string[] | undefined;
  for (let index = 0; index < tries; index += 1) {
    const id = (await prepare?.()) ?? build;
    const body =
      method === 'POST' && pathOf(id) === '/builds' ? { project_id: project, git_branch: 'main' } : undefined;
    const passed = await proxy.listen(async () => {
      const answer = await tenant.caller.send<BuildDto>(method, pathOf(id), body);
      expect([answer.status < 300, answer.text]).toEqual([true, answer.text]);
    });
    // Wakes are gathered, and sent for many requests at once.
    const statements = passed.filter((statement) => !statement.includes('pg_notify'));
    if (least === undefined || statements.length < least.length) least = statements;
  }
  return least ?? [];
}

async function startedBuild(): Promise<string> {
  return (await tenant.start(await createBuild())).id;
}

async function cancelledBuild(): Promise<string> {
  const id = await startedBuild();
  await tenant.cancel(id);
  return id;
}

async function failedBuild(): Promise<string> {
  const id = await startedBuild();
  await service.sql(`UPDATE builds SET status = 'failed', completed_at = now(), error_message = 'x' WHERE id = $1`, [
    id,
  ]);
  return id;
}

interface Budget {
  readonly most: number;
  readonly prepare?: () => Promise<string>;
}

const budgets: readonly (readonly [method: string, path: string, budget: Budget])[] = [
  ['GET', '/builds', { most: 2 }],
  ['GET', '/builds?page=2&page_size=10&status=queued&sort=build_number', { most: 2 }],
  ['GET', '/builds/:id', { most: 1 }],
  ['GET', '/builds/:id/status', { most: 1 }],
  ['GET', '/builds/:id/logs', { most: 1 }],
  ['POST', '/builds', { most: 5 }],
  ['POST', '/builds/:id/start', { most: 1, prepare: createBuild }],
  ['POST', '/builds/:id/cancel', { most: 1, prepare: startedBuild }],
  ['POST', '/builds/:id/retry', { most: 5, prepare: failedBuild }],
  ['DELETE', '/builds/:id', { most: 6, prepare: cancelledBuild }],
  ['GET', '/projects', { most: 1 }],
  ['GET', '/users', { most: 1 }],
  ['GET', '/api-keys', { most: 1 }],
  ['GET', '/audit-events', { most: 1 }],
  ['GET', '/auth/me', { most: 1 }],
];

it.each(budgets)('%s %s asks the database no more often than it may', async (method, path, { most, prepare }) => {
  const statements = await statementsOf(method, (id) => path.replace(':id', id), prepare);
  expect(statements.length > most ? statements : []).toEqual([]);
});

it('hears the statements of a request', async () => {
  expect(await statementsOf('GET', (id) => `/builds/${id}`)).toEqual([expect.stringContaining('JOIN builds')]);
});
