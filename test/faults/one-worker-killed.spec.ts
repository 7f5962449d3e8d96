import { readdirSync } from 'node:fs';
import path from 'node:path';
import type { BuildDto } from '../../src/builds/build.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster, type Replica } from '../support/cluster';
import { isMounted, KernelTraces } from '../support/engine/kernel-traces';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const leaseSeconds = 5;
const printed = Array.from({ length: 200 }, (_, index) => `line ${index + 1}`);

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);
let cluster: Cluster;
let tenant: Tenant;
let killed: Replica;
/** Only root looks into the namespaces of another user. */
let traces: KernelTraces | undefined;
/** The build of the worker that was killed, and how long after the kill it had ended. */
let lost: BuildDto;
let endedAfterMs: number;
/** The build of the other worker, and the one that waited for a slot. */
let other: BuildDto;
let waiting: BuildDto;

/** The worker that runs a build. */
async function workerOf({ id }: BuildDto): Promise<Replica> {
  const [row] = await cluster.sql<{ worker: string }>('SELECT worker_id AS worker FROM builds WHERE id = $1', [id]);
  const found = cluster.workers.find(({ service }) => row?.worker.includes(`:${service.pid}:`));
  if (found === undefined) throw new Error(`No worker of the cluster runs build ${id}`);
  return found;
}

beforeAll(async () => {
  repository.script('main', `RUN for i in $(seq 1 ${printed.length}); do echo line $i; sleep 0.05; done`);
  cluster = await Cluster.start({
    apis: 1,
    workers: 2,
    settings: { ...repository.settings, LEASE_SECONDS: String(leaseSeconds), WORKER_SLOTS: '1' },
  });
  tenant = await Tenant.make(cluster.api(0).service);
  const project = await tenant.project({ repository_url: repository.git.url });
  lost = await stubborn.begin(tenant, project);
  other = await tenant.begin(project, { branch: 'main' });
  await tenant.line(other.id, 'line 5');
  waiting = await tenant.begin(project, { branch: 'main' });
  if (process.geteuid?.() === 0) traces = KernelTraces.of(stubborn.processesOf(lost).at(-1) ?? 0);

  killed = await workerOf(lost);
  const killedAt = performance.now();
  await killed.kill();
  lost = await tenant.end(lost.id);
  endedAfterMs = performance.now() - killedAt;
  other = await tenant.end(other.id);
  waiting = await tenant.end(waiting.id);
}, 240_000);

afterAll(async () => {
  await cluster.stop();
  repository.remove();
});

describe('after a kill -9 of one worker of two', () => {
  it('ends the build that it ran as lost, soon after its lease', () => {
    expect(lost).toMatchObject({ status: 'failed', error_message: 'worker lost' });
    expect(endedAfterMs).toBeLessThan((leaseSeconds + 10) * 1_000);
  });

  it('leaves nothing of that build on the host: no process, namespace, interface, control group or mount', async () => {
    expect(stubborn.processesOf(lost)).toEqual([]);
    if (traces !== undefined) {
      const found = traces;
      expect(found.hasWayOut).toBe(true);
      expect(found.ownNamespaces).toBeGreaterThanOrEqual(4);
      await waitUntil(() => found.left().length === 0);
    }
    expect(isMounted(lost.id)).toBe(false);
  });

  it('lets the build of the other worker go on as if nothing had happened', async () => {
    expect(other.status).toBe('success');
    const lines = await tenant.lines(other.id);
    expect(lines.filter((line) => /^line \d+$/.test(line))).toEqual(printed);
  });

  it('has the waiting build taken by the other worker', async () => {
    expect(waiting.status).toBe('success');
    expect(await workerOf(waiting)).not.toBe(killed);
  });

  it('sweeps what the build left on the disk when the worker is started again', async () => {
    await killed.start();
    const left = (): string[] =>
      ['workspaces', 'scratch'].flatMap((name) => readdirSync(path.join(killed.dataDir, name)));
    await waitUntil(() => left().length === 0);
  });
});
