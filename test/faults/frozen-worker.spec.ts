import { existsSync } from 'node:fs';
import path from 'node:path';
import { Client } from 'pg';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { processesWith } from '../support/engine/processes';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const repository = new BuildRepository();
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;
/** What was recorded of the build while its worker was frozen. */
let lost: BuildDto;
let lostLog: LogEntry[];
let archive: string;

beforeAll(async () => {
  repository.script('main', 'RUN echo begun; sleep 2; echo done');
  cluster = await Cluster.start({ apis: 1, workers: 1, settings: { ...repository.settings, LEASE_SECONDS: '3' } });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url });
  const { pid } = cluster.worker(0).service;
  const holder = new Client({ connectionString: cluster.databaseUrl });
  await holder.connect();
  const { id } = await tenant.begin(project, { branch: 'main' });
  archive = path.join(cluster.artifactDir, `${id}.tar`);
  await tenant.line(id, 'begun');
  try {
    // With its log held, the worker cannot record the build, whose last lines it must write before.
    await holder.query('BEGIN');
    await holder.query('SELECT FROM build_logs WHERE build_id = $1 FOR UPDATE', [id]);
    await waitUntil(() => existsSync(archive) && processesWith(id).length === 0, 60_000);
    process.kill(pid, 'SIGSTOP');
  } finally {
    await holder.query('ROLLBACK');
    await holder.end();
  }
  lost = await tenant.end(id);
  lostLog = await tenant.log(id);
  process.kill(pid, 'SIGCONT');
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  repository.remove();
});

describe('a worker that is frozen when its build has ended and is not recorded', () => {
  it('is taken for lost', () => {
    expect(lost).toMatchObject({ status: 'failed', error_message: 'worker lost', image_digest: null });
    expect(lostLog.at(-1)?.message).toBe('Build failed: worker lost');
  });

  it('throws its image away when it thaws, and changes nothing', async () => {
    await waitUntil(() => !existsSync(archive));
    expect(await tenant.build(lost.id)).toEqual(lost);
    expect(await tenant.log(lost.id)).toEqual(lostLog);
  });

  it('goes on with the next build', async () => {
    expect(await tenant.run(project, { branch: 'main' })).toMatchObject({ status: 'success' });
  });
});
