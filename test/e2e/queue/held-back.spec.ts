import type { BuildDto } from '../../../src/builds/build.dto';
import type { ProjectDto } from '../../../src/projects/project.dto';
import { BuildRepository } from '../../support/build-repository';
import { Cluster, type Replica } from '../../support/cluster';
import { Tenant } from '../../support/tenant';
import { waitUntil } from '../../support/wait-until';

/** Workers look at the queue every 2 s without being told, so after 1 s on average. */
const pollMs = 2_000;
/** How long three hand-overs may take together. Without being told, one time in 14 they would. */
const threePromptMs = 1_500;

const repository = new BuildRepository();
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;

beforeAll(async () => {
  repository.script('long', "RUN trap 'exit 1' TERM; sleep 600 & wait");
  const settings = { ...repository.settings, MAX_RUNNING_PER_TENANT: '1', WORKER_SLOTS: '1' };
  cluster = await Cluster.start({ apis: 1, workers: 2, settings });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url });
}, 60_000);

afterAll(async () => {
  await cluster.stop();
  repository.remove();
});

/** The worker that runs a build. */
async function workerOf({ id }: BuildDto): Promise<Replica> {
  let pid: string | undefined;
  await waitUntil(async () => {
    const [row] = await cluster.sql<{ worker: string | null }>('SELECT worker_id AS worker FROM builds WHERE id = $1', [
      id,
    ]);
    pid = row?.worker?.split(':').at(-2);
    return pid !== undefined;
  });
  const worker = cluster.workers.find(({ service }) => String(service.pid) === pid);
  if (worker === undefined) throw new Error(`No worker has the process ${String(pid)}`);
  return worker;
}

/** Milliseconds from the end of one build's log, which is written as its lease is given back, to the next one's claim. */
async function gapBetween(one: BuildDto, next: BuildDto): Promise<number> {
  await workerOf(next);
  const [row] = await cluster.sql<{ ms: number }>(
    `SELECT extract(epoch FROM b.claimed_at - l.closed_at)::float8 * 1000 AS ms FROM build_logs l, builds b
     WHERE l.build_id = $1 AND b.id = $2`,
    [one.id, next.id],
  );
  return row?.ms ?? Number.NaN;
}

describe('a worker that a limit holds back', () => {
  it('takes the next build as soon as the other worker, which shuts down, has stopped its own', async () => {
    let running = await tenant.begin(project, { branch: 'long' });
    const gaps: number[] = [];
    for (let round = 1; round <= 3; round += 1) {
      await tenant.line(running.id, 'STEP');
      const next = await tenant.begin(project, { branch: 'long' });
      expect((await tenant.status(next.id)).queue_position).toBe(1);
      const worker = await workerOf(running);
      const ended = worker.end('SIGTERM');
      await tenant.cancel(running.id);
      gaps.push(await gapBetween(running, next));
      expect(await workerOf(next)).not.toBe(worker);
      expect(await ended).toBe(0);
      running = next;
      await worker.start();
    }
    expect(Math.min(...gaps)).toBeGreaterThanOrEqual(0);
    expect(gaps.reduce((sum, gap) => sum + gap)).toBeLessThan(threePromptMs);
    await tenant.cancel(running.id);
    await tenant.end(running.id);
  });

  it('takes the next build as soon as the other worker is known to be lost', async () => {
    const lost = await tenant.begin(project, { branch: 'long' });
    const worker = await workerOf(lost);
    const next = await tenant.begin(project, { branch: 'long' });
    await worker.kill();
    expect(await tenant.end(lost.id)).toMatchObject({ status: 'failed', error_message: 'worker lost' });
    expect(await gapBetween(lost, next)).toBeLessThan(pollMs / 2);
    expect(await workerOf(next)).not.toBe(worker);
    await tenant.cancel(next.id);
    await worker.start();
  });
});
