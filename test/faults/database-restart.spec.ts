import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { isUnavailable, OutageProbe } from '../support/outage-probe';
import { OwnPostgres } from '../support/own-postgres';
import { ResumingFollower } from '../support/resuming-follower';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** How many lines a build prints, and so for how long: some twelve seconds. */
const printed = 400;
const restarts = 3;
const mostErrorsMs = 5_000;

const repository = new BuildRepository();
let database: OwnPostgres;
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;
let commit: string;

beforeAll(async () => {
  const count = `i=0; while [ $i -lt ${printed} ]; do i=$((i+1)); echo "line $i"; usleep 30000; done`;
  repository.script('count', `RUN ${count}`);
  repository.script('long', `RUN i=0; while :; do i=$((i+1)); echo "line $i"; usleep 100000; done`);
  commit = repository.script('short', 'RUN echo fine');
  database = await OwnPostgres.start();
  const settings = { ...repository.settings, LEASE_SECONDS: '15' };
  cluster = await Cluster.start({ apis: 2, workers: 1, settings, databaseUrl: database.url });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url });
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  await database.stop();
  repository.remove();
}, 120_000);

const numbers = (lines: readonly string[]): string[] => lines.filter((line) => /^line \d+$/.test(line));
const allNumbers = Array.from({ length: printed }, (_, index) => `line ${index + 1}`);

function followers(build: BuildDto): ResumingFollower[] {
  const token = tenant.caller.token ?? '';
  return [0, 1].map((first) => new ResumingFollower({ urls: cluster.urls, token, buildId: build.id, first }));
}

describe('a database that is restarted again and again', () => {
  let builds: BuildDto[];
  let following: ResumingFollower[];
  let reads: OutageProbe;
  let writes: OutageProbe;
  const crashes: number[] = [];

  beforeAll(async () => {
    builds = await Promise.all([1, 2].map(() => tenant.begin(project, { branch: 'count' })));
    following = builds.flatMap(followers);
    await Promise.all(builds.map(({ id }) => tenant.line(id, 'line 10')));
    reads = new OutageProbe(() => tenant.caller.get('/builds'));
    const other = tenant.at(cluster.api(1).service);
    writes = new OutageProbe(() => other.caller.post('/builds', { project_id: project.id, git_branch: 'count' }));
    for (let round = 1; round <= restarts; round += 1) {
      crashes.push(performance.now());
      await database.restartImmediate();
      await sleep(1_500);
    }
    // As the kernel does when memory is short: the server then ends all its other processes too.
    crashes.push(performance.now());
    const [backend] = await database.sql<{ pid: number }>(
      `SELECT pid FROM pg_stat_activity WHERE application_name = 'image-factory' AND query LIKE '%build_logs%' LIMIT 1`,
    );
    if (backend === undefined) throw new Error('Nobody writes a log');
    process.kill(backend.pid, 'SIGKILL');
    await sleep(1_500);
    await Promise.all(following.map(({ ended }) => ended));
    await Promise.all([reads.stop(), writes.stop()]);
  }, 240_000);

  it('lets running builds go on to their success', async () => {
    for (const { id } of builds) expect(await tenant.end(id)).toMatchObject({ status: 'success', error_message: null });
  });

  it('stores every line in order, none missing and none twice', async () => {
    for (const { id } of builds) {
      const lines = await tenant.lines(id);
      expect(numbers(lines)).toEqual(allNumbers);
      expect(lines.filter((line) => line.startsWith('Build succeeded'))).toHaveLength(1);
    }
  });

  it('shows every follower the same, on every replica', async () => {
    for (const [index, follower] of following.entries()) {
      expect(await follower.ended).toBe('success');
      expect(follower.lines).toEqual(await tenant.lines(builds[Math.floor(index / 2)]?.id ?? ''));
    }
  });

  it('answers 503 with the envelope and Retry-After meanwhile, and no longer than 5 s', () => {
    for (const { failures } of [reads, writes]) {
      expect(failures.length).toBeGreaterThan(0);
      expect(failures.filter(({ answer }) => !isUnavailable(answer))).toEqual([]);
      for (const { sentAt, tookMs } of failures) {
        const crash = Math.max(...crashes.filter((each) => each < sentAt + tookMs));
        expect(sentAt + tookMs - crash).toBeLessThan(mostErrorsMs);
      }
    }
  });

  it('ends no process of the service', () => {
    for (const { service } of [...cluster.apis, ...cluster.workers]) expect(process.kill(service.pid, 0)).toBe(true);
  });

  it('keeps what it acknowledged', async () => {
    const made = writes.probes.flatMap(({ answer }) => (answer?.status === 201 ? [(answer.body as BuildDto).id] : []));
    expect(made.length).toBeGreaterThan(10);
    const rows = await database.sql<{ id: string }>('SELECT id FROM builds WHERE id = ANY($1)', [made]);
    expect(rows).toHaveLength(made.length);
  });
});

describe('connections that are cut', () => {
  it('wakes followers and workers again within a second or so when the listeners lost theirs', async () => {
    const build = await tenant.begin(project, { branch: 'long' });
    const client = await tenant.follow(build.id);
    const arrivals: number[] = [];
    client.socket.on('message', () => arrivals.push(performance.now()));
    await client.received(20);
    await database.sql(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'image-factory %'`,
    );
    await client.received(client.messages.length + 40);
    const gaps = arrivals.slice(1).map((at, index) => at - (arrivals[index] ?? 0));
    // The slow poll alone would take 5 s.
    expect(Math.max(...gaps)).toBeLessThan(3_000);
    await tenant.cancel(build.id);
    expect(await client.closed).toEqual({ code: 1000, reason: 'cancelled' });
    const stored = numbers(await tenant.lines(build.id));
    expect(stored).toEqual(stored.map((_, index) => `line ${index + 1}`));
  });
});

describe('a statement of a worker that fails for a while', () => {
  it('is sent again, and the build goes on', async () => {
    const build = await tenant.begin(project, { branch: 'short' });
    await waitUntil(async () => (await claims(build.id)) === 1);
    // Nobody can say now which commit it is at: each try ends after two seconds.
    const row = new Client({ connectionString: database.url });
    await row.connect();
    await row.query('BEGIN');
    await row.query('SELECT FROM builds WHERE id = $1 FOR UPDATE', [build.id]);
    await sleep(4_000);
    await row.end();
    const ended = await tenant.end(build.id);
    expect(ended).toMatchObject({ status: 'success', git_commit: commit, error_message: null });
  });

  async function claims(id: string): Promise<number> {
    return (await database.sql('SELECT FROM builds WHERE id = $1 AND claimed_at IS NOT NULL', [id])).length;
  }
});
