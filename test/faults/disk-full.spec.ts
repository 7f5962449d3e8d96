import { randomUUID } from 'node:crypto';
import path from 'node:path';
import { DatabaseError } from 'pg';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { OutageProbe } from '../support/outage-probe';
import { OwnPostgres } from '../support/own-postgres';
import { ResumingFollower } from '../support/resuming-follower';
import { Service } from '../support/service';
import { SmallDisk } from '../support/small-disk';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const counted = 300;

describe('a full disk of the database', () => {
  const repository = new BuildRepository();
  let disk: SmallDisk;
  let database: OwnPostgres;
  let cluster: Cluster;
  let tenant: Tenant;
  let project: ProjectDto;
  let build: BuildDto;
  let follower: ResumingFollower;
  let writes: OutageProbe;

  beforeAll(async () => {
    const padding = 'x'.repeat(2_000);
    const loop = `i=0; while [ $i -lt ${counted} ]; do i=$((i+1)); echo "line $i ${padding}"; usleep 30000; done`;
    repository.script('main', 'RUN echo fine');
    repository.script('count', `RUN ${loop}`);
    disk = await SmallDisk.make(256);
    const settings = { max_wal_size: '32MB', min_wal_size: '32MB', shared_buffers: '16MB', wal_compression: 'off' };
    database = await OwnPostgres.start({ dataDir: path.join(disk.directory, 'server'), settings });
    const services = { ...repository.settings, LEASE_SECONDS: '60' };
    cluster = await Cluster.start({ apis: 1, workers: 1, settings: services, databaseUrl: database.url });
    tenant = await Tenant.make(cluster.api(0).service);
    project = await tenant.project({ repository_url: repository.git.url });

    build = await tenant.begin(project, { branch: 'count' });
    follower = new ResumingFollower({ urls: cluster.urls, token: tenant.caller.token ?? '', buildId: build.id });
    await tenant.line(build.id, 'line 10 ');
    const request = { repository_url: repository.git.url, build_args: { FILLING: 'x'.repeat(500) } };
    writes = new OutageProbe(() => tenant.caller.post('/projects', { name: randomUUID(), ...request }));
    disk.fill();
    await waitUntil(() => writes.failures.length > 10);
    await waitUntil(hasCrashed);
    disk.free();
    await follower.ended;
    await writes.stop();
  }, 240_000);

  afterAll(async () => {
    follower.stop();
    await writes.stop();
    await cluster.stop();
    await database.stop();
    disk.remove();
    repository.remove();
  }, 60_000);

  /** Makes the server write its log until there is no room for that either: then it ends all its processes. */
  async function hasCrashed(): Promise<boolean> {
    try {
      await database.sql(`SELECT pg_logical_emit_message(false, 'test', 'full'), pg_switch_wal()`);
      return false;
    } catch (error) {
      return !(error instanceof DatabaseError) || error.severity === 'PANIC';
    }
  }

  it('is told by 500 or 503 with the envelope', () => {
    for (const { answer } of writes.failures) {
      expect([500, 503]).toContain(answer?.status);
      expect(answer?.error).toMatchObject({ code: 'INTERNAL_SERVER_ERROR', details: null });
    }
  });

  it('lets a build wait, and ends it by success only with all of its lines', async () => {
    expect(await tenant.end(build.id)).toMatchObject({ status: 'success' });
    const lines = await tenant.lines(build.id);
    const numbers = lines.flatMap((line) => /^line (\d+) /.exec(line)?.[1] ?? []).map(Number);
    expect(numbers).toEqual(Array.from({ length: counted }, (_, index) => index + 1));
    expect(follower.lines).toEqual(lines);
  });

  it('leaves every log with as many lines as it counts', async () => {
    const wrong = await database.sql(
      `SELECT l.build_id FROM build_logs l LEFT JOIN build_log_chunks c USING (build_id)
       GROUP BY l.build_id HAVING l.total_lines <> coalesce(sum(c.line_count), 0)`,
    );
    expect(wrong).toEqual([]);
  });

  it('is forgotten once there is room', async () => {
    expect(writes.probes.at(-1)?.answer?.status).toBe(201);
    expect(await tenant.run(project, { branch: 'main' })).toMatchObject({ status: 'success' });
  });
});

// An ordinary user sees a disk of his own only through /proc, where the engine cannot keep its storage.
(process.geteuid?.() === 0 ? describe : describe.skip)('a full disk of the worker', () => {
  const repository = new BuildRepository();
  let disk: SmallDisk;
  let service: Service;
  let tenant: Tenant;
  let project: ProjectDto;

  beforeAll(async () => {
    repository.script('main', 'RUN echo fine');
    repository.script('big', 'RUN dd if=/dev/zero of=/big bs=1M count=400');
    disk = await SmallDisk.make(128);
    const settings = { ...repository.settings, ARTIFACT_DIR: path.join(disk.directory, 'artifacts') };
    service = await Service.startOnServer({ dataDir: path.join(disk.directory, 'data'), settings });
    tenant = await Tenant.make(service);
    project = await tenant.project({ repository_url: repository.git.url });
  }, 120_000);

  afterAll(async () => {
    await service.stop();
    disk.remove();
    repository.remove();
  }, 120_000);

  it('fails builds in plain words, and lets later ones succeed once there is room', async () => {
    expect(await tenant.run(project, { branch: 'main' })).toMatchObject({ status: 'success' });
    disk.fill();
    const build = await tenant.run(project, { branch: 'main' });
    expect(build).toMatchObject({ status: 'failed', image_digest: null });
    expect(build.error_message).toMatch(/no space is left on the worker's disk/);
    disk.free();
    expect(await tenant.run(project, { branch: 'main' })).toMatchObject({ status: 'success' });
  });

  it('that a build fills fails that build alone', async () => {
    const build = await tenant.run(project, { branch: 'big' });
    expect(build).toMatchObject({ status: 'failed', image_digest: null });
    expect((await tenant.lines(build.id)).join('\n')).toMatch(/No space left on device/i);
    expect(await tenant.run(project, { branch: 'main' })).toMatchObject({ status: 'success' });
  });
});
