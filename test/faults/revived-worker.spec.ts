import type { LogEntry } from '../../src/build-logs/log-entry';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster, type Replica } from '../support/cluster';
import { processesWith } from '../support/engine/processes';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const leaseSeconds = 4;

const repository = new BuildRepository();
let cluster: Cluster;
let worker: Replica;
let tenant: Tenant;
let project: ProjectDto;
let build: BuildDto;
/** The build and its log when the reaper had ended it, while its worker was frozen and its step went on. */
let row: object;
let log: LogEntry[];

/** All that is recorded of the build, but for what the janitor notes of joining its chunks. */
async function record(): Promise<object> {
  const [found] = await cluster.sql<{ build: object; log: object }>(
    `SELECT to_jsonb(b) AS build, to_jsonb(l) - 'compacted_at' - 'compacted_lines' AS log
     FROM builds b JOIN build_logs l ON l.build_id = b.id WHERE b.id = $1`,
    [build.id],
  );
  return found ?? {};
}

beforeAll(async () => {
  repository.script('main', 'RUN i=0; while :; do i=$((i + 1)); echo line $i; sleep 0.02; done');
  repository.script('short', 'RUN echo fine');
  cluster = await Cluster.start({
    apis: 1,
    workers: 1,
    settings: { ...repository.settings, LEASE_SECONDS: String(leaseSeconds), WORKER_SLOTS: '1' },
  });
  worker = cluster.worker(0);
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url });
  build = await tenant.begin(project, { branch: 'main' });
  await tenant.line(build.id, 'line 10');
  process.kill(worker.service.pid, 'SIGSTOP');
  build = await tenant.end(build.id);
  row = await record();
  log = await tenant.log(build.id);
}, 180_000);

afterAll(async () => {
  if (worker.endings.length === 0) process.kill(worker.service.pid, 'SIGCONT');
  await cluster.stop();
  repository.remove();
});

describe('a worker that was frozen until its lease was over', () => {
  it('has lost its build: the reaper of another process ended it', () => {
    expect(build).toMatchObject({ status: 'failed', error_message: 'worker lost' });
    expect(log.at(-1)).toMatchObject({ message: 'Build failed: worker lost' });
    expect(processesWith(build.id)).not.toEqual([]);
  });

  it('ends the processes of the build when it goes on, and runs the next one', async () => {
    process.kill(worker.service.pid, 'SIGCONT');
    await waitUntil(() => processesWith(build.id).length === 0);
    expect(await tenant.run(project, { branch: 'short' })).toMatchObject({ status: 'success' });
  });

  it('wrote no line and changed no row of the build that it had lost', async () => {
    expect(await record()).toEqual(row);
    expect(await tenant.log(build.id)).toEqual(log);
  });

  it('shuts down in order afterwards', async () => {
    expect(await worker.end()).toBe(0);
  });
});
