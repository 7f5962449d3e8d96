import { BuildRepository } from '../support/build-repository';
import { OwnPostgres } from '../support/own-postgres';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** 1 s of grace, 20 s for the ends of builds, 10 s for requests, 10 s for connections to the database, and a busy machine. */
const longestMs = 90_000;

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
const settings = { ...repository.settings, LEASE_SECONDS: '6', SHUTDOWN_GRACE_SECONDS: '1' };
let postgres: OwnPostgres;
let service: Service;

beforeAll(async () => {
  postgres = await OwnPostgres.start();
});

afterAll(async () => {
  await postgres.stop();
  await service.stop();
  repository.remove();
});

it('exits with 1 while the database hangs, leaves no process, and leaves the build to its lease', async () => {
  service = await Service.start({ databaseUrl: postgres.url, settings });
  const tenant = await Tenant.make(service);
  const project = await tenant.project({ repository_url: repository.git.url });
  const build = await stubborn.begin(tenant, project);

  postgres.freeze();
  const askedAt = performance.now();
  expect(await service.end('SIGTERM')).toBe(1);
  expect(performance.now() - askedAt).toBeLessThan(longestMs);
  expect(service.output.at(-1)).toMatch(/could not be recorded|did not close in time/);
  await waitUntil(() => stubborn.processesOf(build).length === 0);
  postgres.thaw();

  await service.stop();
  service = await Service.start({ databaseUrl: postgres.url, settings: { ...settings, ROLES: 'api' } });
  expect(await tenant.at(service).end(build.id)).toMatchObject({ status: 'failed', error_message: 'worker lost' });
}, 180_000);

it('exits with 1 although an idle connection to a database that hangs never closes', async () => {
  await service.stop();
  service = await Service.start({ databaseUrl: postgres.url, settings: { ...settings, ROLES: 'api' } });
  postgres.freeze();
  expect(await service.end('SIGTERM')).toBe(1);
  postgres.thaw();
  expect(service.output.at(-1)).toContain('The connections to the database did not close in time');
}, 120_000);
