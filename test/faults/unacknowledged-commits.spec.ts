import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto, BuildListDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { DatabaseProxy } from '../support/database-proxy';
import { isUnavailable } from '../support/outage-probe';
import { Service } from '../support/service';
import { OwnPostgres } from '../support/own-postgres';
import { RetryingCaller } from '../support/retrying-caller';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const repository = new BuildRepository();
let database: OwnPostgres;
let databases: readonly [string, string, string];

beforeAll(async () => {
  repository.branch('quick', { Dockerfile: 'FROM scratch\nCOPY busybox /busybox\n' });
  repository.script('long', 'RUN echo begun; sleep 600');
  database = await OwnPostgres.start();
  databases = [await database.database(), await database.database(), await database.database()];
}, 120_000);

afterAll(async () => {
  await database.stop();
  repository.remove();
}, 120_000);

describe('a commit whose answer is lost', () => {
  let proxy: DatabaseProxy;
  let service: Service;
  let tenant: Tenant;
  let project: ProjectDto;

  beforeAll(async () => {
    proxy = await DatabaseProxy.start(databases[0]);
    // A claim that nobody knows of would end by its lease, much later than the test waits.
    service = await Service.start({
      databaseUrl: proxy.url,
      settings: { ...repository.settings, LEASE_SECONDS: '600' },
    });
    tenant = await Tenant.make(service);
    project = await tenant.project({ repository_url: repository.git.url });
  }, 120_000);

  afterAll(async () => {
    await service.stop();
    await proxy.stop();
  }, 120_000);

  /** The end of a build, which must be a success with one end of its log and an image. */
  async function expectOneSuccess(id: string): Promise<void> {
    expect(await tenant.end(id)).toMatchObject({ status: 'success', error_message: null });
    const client = await tenant.follow(id);
    expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
    expect(client.lines.filter((line) => /^Build (succeeded|failed|stopped)/.test(line))).toHaveLength(1);
    expect(client.lines.filter((line) => line.startsWith('Checking out'))).toHaveLength(1);
    expect((await tenant.caller.get(`/builds/${id}/image`)).status).toBe(200);
  }

  it('is repeated by the client of a create under its key, and makes one build', async () => {
    proxy.loseCommitOf(/INSERT INTO builds/);
    const create = () =>
      tenant.caller.post<BuildDto>(
        '/builds',
        { project_id: project.id, git_branch: 'quick' },
        { 'Idempotency-Key': 'the only one' },
      );
    expect(isUnavailable(await create())).toBe(true);
    const { id } = (await create()).expect(201);
    const { builds } = (await tenant.caller.get<BuildListDto>('/builds')).expect(200);
    expect(builds.map((build) => build.id)).toEqual([id]);
  });

  it('has started the build, which is then built once', async () => {
    const { id } = await tenant.create(project, { branch: 'quick' });
    proxy.loseCommitOf(/started_at = now\(\)/);
    expect(isUnavailable(await tenant.caller.post(`/builds/${id}/start`))).toBe(true);
    expect((await tenant.caller.post(`/builds/${id}/start`)).status).toBe(409);
    await expectOneSuccess(id);
  });

  it('was a claim: the build goes back to the queue and is built', async () => {
    proxy.loseCommitOf(/worker_id = \$1/);
    const { id } = await tenant.begin(project, { branch: 'quick' });
    await waitUntil(() => proxy.hasLostCommit);
    await expectOneSuccess(id);
  });

  it('was the end of a build: it is not ended twice', async () => {
    proxy.loseCommitOf(/image_digest = \$5/);
    const { id } = await tenant.begin(project, { branch: 'quick' });
    await waitUntil(() => proxy.hasLostCommit);
    await expectOneSuccess(id);
  });

  it('was a cancellation: the build is cancelled, and its log ended', async () => {
    const { id } = await tenant.begin(project, { branch: 'long' });
    await tenant.line(id, 'begun');
    const client = await tenant.follow(id);
    proxy.loseCommitOf(/status = 'cancelled'/);
    expect(isUnavailable(await tenant.caller.post(`/builds/${id}/cancel`))).toBe(true);
    expect((await tenant.caller.post(`/builds/${id}/cancel`)).status).toBe(409);
    expect(await client.closed).toEqual({ code: 1000, reason: 'cancelled' });
  });
});

describe('a claim whose answer is lost by a worker that shuts down', () => {
  // One store for both: it is taken from the address of the database otherwise, and the proxy has another one.
  const store = mkdtempSync(path.join(tmpdir(), 'image-factory-store-'));
  const settings = { ...repository.settings, LEASE_SECONDS: '600', ARTIFACT_DIR: store };
  const services: Service[] = [];
  let proxy: DatabaseProxy;

  async function start(role: 'api' | 'worker', databaseUrl: string): Promise<Service> {
    const service = await Service.start({ databaseUrl, settings: { ...settings, ROLES: role } });
    services.push(service);
    return service;
  }

  beforeAll(async () => {
    proxy = await DatabaseProxy.start(databases[2]);
  });

  afterAll(async () => {
    await Promise.all(services.map((service) => service.stop()));
    await proxy.stop();
    rmSync(store, { recursive: true });
  }, 120_000);

  it('is given back at once, for the next worker to build', async () => {
    const api = await start('api', databases[2]);
    const doomed = await start('worker', proxy.url);
    const tenant = await Tenant.make(api);
    const project = await tenant.project({ repository_url: repository.git.url });
    proxy.loseCommitOf(/worker_id = \$1/);
    const { id } = await tenant.begin(project, { branch: 'quick' });
    await waitUntil(() => proxy.hasLostCommit);
    expect(await doomed.end('SIGTERM')).toBe(0);
    expect(await api.sql('SELECT id FROM builds WHERE id = $1 AND lease_token IS NOT NULL', [id])).toEqual([]);
    await start('worker', databases[2]);
    expect(await tenant.end(id)).toMatchObject({ status: 'success' });
  }, 120_000);
});

describe('connections that are cut at random, commits under way or not', () => {
  let cluster: Cluster;

  beforeAll(async () => {
    const { settings } = repository;
    cluster = await Cluster.start({ apis: 2, workers: 1, settings, databaseUrl: databases[1] });
  }, 120_000);

  afterAll(() => cluster.stop(), 120_000);

  it('let every build have one outcome: nothing is built twice, lost, or ended twice', async () => {
    const count = 24;
    const tenant = await Tenant.make(cluster.api(0).service);
    const project = await tenant.project({ repository_url: repository.git.url });
    const enough = new AbortController();
    const cutting = cutAtRandom(enough.signal);
    const caller = new RetryingCaller(cluster.urls, tenant.caller.token ?? '');
    const cancelled = new Map<string, number>();
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const made = await caller.post<BuildDto>('/builds', { project_id: project.id, git_branch: 'quick' });
      const { id } = made.expect(201);
      ids.push(id);
      // 409: it was started by a request whose answer was lost.
      expect([200, 409]).toContain((await caller.post(`/builds/${id}/start`)).status);
      if (index % 4 === 3) cancelled.set(id, (await caller.post(`/builds/${id}/cancel`)).status);
    }
    await waitUntil(async () => {
      const open = await cluster.sql('SELECT id FROM builds WHERE id = ANY($1) AND completed_at IS NULL', [ids]);
      return open.length === 0;
    }, 150_000);
    enough.abort();
    expect(await cutting).toBeGreaterThan(8);

    const rows = await cluster.sql<{ id: string; status: string; error_message: string | null; number: number }>(
      `SELECT id, status, error_message, build_number AS number FROM builds WHERE id = ANY($1) ORDER BY build_number`,
      [ids],
    );
    expect(new Set(rows.map(({ number }) => number)).size).toBe(count);
    for (const { id, status, error_message } of rows) {
      const asked = cancelled.get(id);
      if (asked === 200) expect([id, status]).toEqual([id, 'cancelled']);
      else if (asked === undefined) expect([id, status, error_message]).toEqual([id, 'success', null]);
      await waitUntil(async () => (await closedLogs(id)) === 1);
      const lines = await tenant.lines(id);
      const ends = lines.filter((line) => /^(Build succeeded|Build failed|Build stopped|Stopped before)/.test(line));
      expect([id, ends.length]).toEqual([id, 1]);
      if (status === 'success') expect((await tenant.caller.get(`/builds/${id}/image`)).status).toBe(200);
    }
  }, 240_000);

  async function closedLogs(id: string): Promise<number> {
    return (await cluster.sql('SELECT FROM build_logs WHERE build_id = $1 AND closed_at IS NOT NULL', [id])).length;
  }

  /** Ends sessions in the middle of what they do, the more so in a COMMIT; answers how many. */
  async function cutAtRandom(enough: AbortSignal): Promise<number> {
    let cuts = 0;
    while (!enough.aborted) {
      const rows = await database.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'image-factory' AND state <> 'idle' AND random() < 0.5`,
      );
      cuts += rows.length;
      await sleep(Math.random() * 60);
    }
    return cuts;
  }
});
