import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Answer } from '../support/caller';
import { Cluster } from '../support/cluster';
import { isUnavailable, OutageProbe } from '../support/outage-probe';
import { OwnPostgres } from '../support/own-postgres';
import { ResumingFollower } from '../support/resuming-follower';
import { StubbornStep } from '../support/stubborn-step';
import { Tenant } from '../support/tenant';
import { askUpgrade } from '../support/upgrade';
import { waitUntil } from '../support/wait-until';

/**
 * How long the database hangs, in place of 30 s. It is to the short lease what it would be to one of 25 s, and the long
 * one outlasts it as the usual one does not: its builds go on.
 */
const hangMs = 12_000;
const shortLeaseSeconds = 10;
const longLeaseSeconds = 60;
const mostAnswerMs = 5_000;
const mostGrowthKiB = 150 * 1_024;

const counted = 500;
/** Half a megabyte twice a second: what comes in the hang is more than the worker keeps and the pipes on the way hold. */
const bursts = 30;
const burstLines = 1_000;
/** How far apart two bursts are for which nobody had to wait, and which a busy machine kept back somewhat; s. */
const usualPauseSeconds = 2;

const repository = new BuildRepository();
const stubborn = new StubbornStep(repository);

/** An API and a worker on a database of their own, with what they do while it hangs. */
interface Site {
  readonly cluster: Cluster;
  readonly tenant: Tenant;
  readonly project: ProjectDto;
}

let database: OwnPostgres;
let short: Site;
let long: Site;

async function site(leaseSeconds: number): Promise<Site> {
  const settings = { ...repository.settings, LEASE_SECONDS: String(leaseSeconds) };
  const cluster = await Cluster.start({ apis: 1, workers: 1, settings, databaseUrl: await database.database() });
  const tenant = await Tenant.make(cluster.api(0).service);
  return { cluster, tenant, project: await tenant.project({ repository_url: repository.git.url }) };
}

function follow({ cluster, tenant }: Site, { id }: BuildDto): ResumingFollower {
  return new ResumingFollower({ urls: cluster.urls, token: tenant.caller.token ?? '', buildId: id });
}

/** The memory of a process that is in use, in KiB. */
function residentKiB(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

beforeAll(async () => {
  repository.script('main', 'RUN echo fine');
  repository.script('count', `RUN i=0; while [ $i -lt ${counted} ]; do i=$((i+1)); echo "line $i"; usleep 30000; done`);
  repository.script(
    'flood',
    `RUN i=0; while [ $i -lt ${bursts} ]; do echo "burst at $(date +%s)";` +
      ` seq $((i*${burstLines}+1)) $((i*${burstLines}+${burstLines})) | sed "s/.*/line & $(printf %0480d 0)/";` +
      ' i=$((i+1)); usleep 500000; done',
  );
  database = await OwnPostgres.start();
  [short, long] = [await site(shortLeaseSeconds), await site(longLeaseSeconds)];
}, 120_000);

afterAll(async () => {
  await Promise.all([short.cluster.stop(), long.cluster.stop()]);
  await database.stop();
  repository.remove();
}, 120_000);

describe('a database that hangs', () => {
  let stopped: BuildDto;
  let counting: BuildDto;
  let flooding: BuildDto;
  let followers: ResumingFollower[];
  /** Until when the short lease was good, and when the processes of its build were dead; ms since the epoch. */
  let leaseEndsAt: number;
  let deadAt: number;
  let refused: { readonly answer: Answer; readonly tookMs: number }[];
  let writes: OutageProbe;
  let growthKiB: number;

  beforeAll(async () => {
    counting = await long.tenant.begin(long.project, { branch: 'count' });
    stopped = await stubborn.begin(short.tenant, short.project);
    flooding = await long.tenant.begin(long.project, { branch: 'flood' });
    await Promise.all([long.tenant.line(counting.id, 'line 10'), long.tenant.line(flooding.id, 'line 1 ')]);
    followers = [follow(long, counting), follow(long, flooding), follow(short, stopped)];
    writes = new OutageProbe(() =>
      long.tenant.caller.post('/builds', { project_id: long.project.id, git_branch: 'main' }),
    );
    const worker = long.cluster.worker(0).service.pid;
    const before = residentKiB(worker);
    const [lease] = await short.cluster.sql<{ ends: Date }>(
      'SELECT lease_expires_at AS ends FROM builds WHERE id = $1',
      [stopped.id],
    );
    leaseEndsAt = lease?.ends.getTime() ?? 0;

    const hung = performance.now();
    database.freeze();
    const death = waitUntil(() => stubborn.processesOf(stopped).length === 0).then(() => Date.now());
    refused = await askAll();
    deadAt = await death;
    await sleep(hangMs - (performance.now() - hung));
    growthKiB = residentKiB(worker) - before;
    database.thaw();
    await sleep(500);
    await writes.stop();
    await Promise.all(followers.map(({ ended }) => ended));
  }, 240_000);

  /** Fifty requests at once, of which each needs the database. */
  async function askAll(): Promise<typeof refused> {
    const { caller } = short.tenant;
    const port = Number(new URL(short.cluster.url(0)).port);
    const stream = `/api/v1/builds/${stopped.id}/logs/stream`;
    const ready = async (): Promise<Answer> => {
      const response = await fetch(`${short.cluster.url(0)}/health/ready`);
      return new Answer(response.status, response.headers, await response.text());
    };
    const kinds: (() => Promise<Answer>)[] = [
      () => caller.get('/builds'),
      () => caller.get(`/builds/${stopped.id}/logs`),
      () => caller.post('/builds', { project_id: short.project.id, git_branch: 'main' }),
      () => caller.post(`/builds/${stopped.id}/cancel`),
      () => askUpgrade(port, stream, { Authorization: `Bearer ${caller.token ?? ''}` }),
      ready,
    ];
    const asked = Array.from({ length: 50 }, async (_, index) => {
      const sentAt = performance.now();
      const answer = await (kinds[index % kinds.length] ?? ready)();
      return { answer, tookMs: performance.now() - sentAt };
    });
    const alive = await fetch(`${short.cluster.url(0)}/health/live`);
    expect(alive.status).toBe(200);
    return Promise.all(asked);
  }

  it('answers 503 with the envelope and Retry-After within 5 s, to fifty requests at once', () => {
    expect(refused.filter(({ answer }) => !isUnavailable(answer))).toEqual([]);
    expect(Math.max(...refused.map(({ tookMs }) => tookMs))).toBeLessThan(mostAnswerMs);
    expect(writes.failures.filter(({ answer }) => !isUnavailable(answer))).toEqual([]);
    expect(Math.max(...writes.probes.map(({ tookMs }) => tookMs))).toBeLessThan(mostAnswerMs);
    expect(writes.probes.at(-1)?.answer?.status).toBe(201);
  });

  it('stops a build whose lease cannot be renewed before the lease ends, and records that once', async () => {
    expect(deadAt).toBeLessThan(leaseEndsAt);
    expect(await short.tenant.end(stopped.id)).toMatchObject({ status: 'failed', error_message: 'worker lost' });
    const ends = (await short.tenant.lines(stopped.id)).filter((line) =>
      /^Build (failed|stopped|succeeded)/.test(line),
    );
    expect(ends).toEqual(['Build failed: worker lost']);
    expect(await followers[2]?.ended).toBe('failed');
  });

  it('lets a build with a longer lease go on, and loses none of its lines', async () => {
    for (const [index, [build, count]] of (
      [
        [counting, counted],
        [flooding, bursts * burstLines],
      ] as const
    ).entries()) {
      expect(await long.tenant.end(build.id)).toMatchObject({ status: 'success' });
      const lines = await long.tenant.lines(build.id);
      const numbers = lines.flatMap((line) => /^line (\d+)/.exec(line)?.[1] ?? []).map(Number);
      expect(numbers).toHaveLength(count);
      expect(numbers.every((number, at) => number === at + 1)).toBe(true);
      expect(followers[index]?.lines).toEqual(lines);
    }
  });

  it('makes a build wait that prints more than the worker keeps, in place of keeping it all', async () => {
    const lines = await long.tenant.lines(flooding.id);
    const times = lines.flatMap((line) => /^burst at (\d+)/.exec(line)?.[1] ?? []).map(Number);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? time));
    expect(Math.max(...pauses)).toBeGreaterThan(usualPauseSeconds);
    expect(growthKiB).toBeLessThan(mostGrowthKiB);
  });

  it('serves again without a restart of anything', async () => {
    for (const { tenant, project } of [short, long]) {
      const build = await tenant.begin(project, { branch: 'main' });
      const client = await tenant.follow(build.id);
      expect(await client.closed).toEqual({ code: 1000, reason: 'success' });
      expect(client.lines).toEqual(await tenant.lines(build.id));
    }
  });
});
