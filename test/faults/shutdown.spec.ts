import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
let database: TestPostgres;
let service: Service;
let tenant: Tenant;
let project: ProjectDto;
/** The build that a shutdown ended, and what its follower was told until then. */
let shutDown: { readonly build: BuildDto; readonly told: readonly string[] };

beforeAll(async () => {
  repository.script('main', 'RUN echo begun; sleep 3; echo done');
  database = await startTestPostgres();
});

afterAll(async () => {
  await database.stop();
  repository.remove();
});

/** Another life of the service, on what the last one left in the database. */
async function startWith(graceSeconds: number): Promise<void> {
  const settings = { ...repository.settings, SHUTDOWN_GRACE_SECONDS: String(graceSeconds), WORKER_SLOTS: '1' };
  service = await Service.start({ databaseUrl: database.url, settings });
}

describe('SIGTERM during a build', () => {
  afterEach(() => service.stop());

  it('ends the build, and then the process with status 0, when the grace is over', async () => {
    await startWith(1);
    tenant = await Tenant.make(service);
    project = await tenant.project({ repository_url: repository.git.url });
    const build = await stubborn.begin(tenant, project);
    const client = await tenant.follow(build.id);
    const idle = await tenant.follow((await tenant.create(project, { branch: 'main' })).id);
    const askedAt = performance.now();
    expect(await service.end('SIGTERM')).toBe(0);
    expect(performance.now() - askedAt).toBeLessThan(14_000);
    expect(stubborn.processesOf(build)).toEqual([]);
    await client.closed;
    shutDown = { build, told: client.lines };
    expect(await idle.closed).toMatchObject({ code: 1001 });
    const [row] = await service.sql('SELECT status, error_message, lease_token FROM builds WHERE id = $1', [build.id]);
    expect(row).toEqual({ status: 'failed', error_message: 'worker shut down', lease_token: null });
  });

  it('lets the build end by itself within the grace, and claims no other', async () => {
    await startWith(30);
    tenant = tenant.at(service);
    const build = await tenant.begin(project, { branch: 'main' });
    await tenant.line(build.id, 'begun');
    const waiting = await tenant.begin(project, { branch: 'main' });
    const client = await tenant.follow(build.id);
    expect(await service.end('SIGTERM')).toBe(0);
    await client.closed;
    expect(client.lines).toContain('done');
    const rows = await service.sql('SELECT id, status, claimed_at IS NULL AS waits FROM builds WHERE id = ANY($1)', [
      [build.id, waiting.id],
    ]);
    expect(rows).toEqual(
      expect.arrayContaining([
        { id: build.id, status: 'success', waits: false },
        { id: waiting.id, status: 'in_progress', waits: true },
      ]),
    );
  });

  it('leaves waiting builds to the next worker, and followers what they missed', async () => {
    await startWith(0);
    tenant = tenant.at(service);
    const { build, told } = shutDown;
    const client = await tenant.follow(build.id, told.length);
    expect(await client.closed).toEqual({ code: 1000, reason: 'failed' });
    const lines = await tenant.lines(build.id);
    expect([...told, ...client.lines]).toEqual(lines);
    expect(lines.at(-1)).toBe('Build failed: worker shut down');
    const { builds } = (await tenant.caller.get<{ builds: { id: string }[] }>('/builds?status=in_progress')).body;
    expect(builds).toHaveLength(1);
    expect(await tenant.end(builds[0]?.id ?? '')).toMatchObject({ status: 'success' });
  });
});
