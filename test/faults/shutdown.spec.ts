import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { ErrorBody } from '../../src/http/error-body';
import { BuildRepository } from '../support/build-repository';
import { startTestPostgres, type TestPostgres } from '../support/postgres';
import { Service } from '../support/service';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
let database: TestPostgres;
let service: Service;
let tenant: Tenant;
let project: ProjectDto;
/** The build that a shutdown ended, and what its follower was told until then. */
let shutDown: { readonly build: BuildDto; readonly told: readonly string[] };

beforeAll(async () => {
  repository.script('main', 'RUN echo begun; sleep 6; echo done');
  repository.script('long', 'RUN echo begun; sleep 600');
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

async function health(kind: 'live' | 'ready'): Promise<{ readonly status: number; readonly details: unknown }> {
  const response = await fetch(`${service.url}/health/${kind}`);
  const { details } = (await response.json()) as Partial<ErrorBody>;
  return { status: response.status, details };
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
    expect(performance.now() - askedAt).toBeLessThan(30_000);
    expect(stubborn.processesOf(build)).toEqual([]);
    await client.closed;
    shutDown = { build, told: client.lines };
    expect(await idle.closed).toMatchObject({ code: 1001 });
    const [row] = await service.sql('SELECT status, error_message, lease_token FROM builds WHERE id = $1', [build.id]);
    expect(row).toEqual({ status: 'failed', error_message: 'worker shut down', lease_token: null });
  });

  it('ends the build at once when it is told again, but takes two signals within a second for one', async () => {
    await startWith(300);
    tenant = tenant.at(service);
    const build = await tenant.begin(project, { branch: 'long' });
    await tenant.line(build.id, 'begun');
    const ended = service.end('SIGTERM');
    const askedAt = performance.now();
    process.kill(service.pid, 'SIGINT');
    await waitUntil(async () => (await health('ready')).status === 503 && performance.now() - askedAt > 1_500);
    expect((await tenant.build(build.id)).status).toBe('in_progress');
    process.kill(service.pid, 'SIGINT');
    expect(await ended).toBe(0);
    const [row] = await service.sql('SELECT status, error_message FROM builds WHERE id = $1', [build.id]);
    expect(row).toEqual({ status: 'failed', error_message: 'worker shut down' });
  });

  it('lets the build end by itself within the grace, serves meanwhile, and claims no other', async () => {
    await startWith(120);
    tenant = tenant.at(service);
    const build = await tenant.begin(project, { branch: 'main' });
    await tenant.line(build.id, 'begun');
    const client = await tenant.follow(build.id);
    const idle = await tenant.follow((await tenant.create(project, { branch: 'main' })).id);
    const ended = service.end('SIGTERM');
    await waitUntil(async () => (await health('ready')).status === 503);
    expect((await health('ready')).details).toEqual({ process: 'shuts down' });
    expect((await health('live')).status).toBe(200);
    const waiting = await tenant.begin(project, { branch: 'main' });
    expect(await ended).toBe(0);
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    expect(await idle.closed).toMatchObject({ code: 1001 });
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
