import { Client } from 'pg';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import type { LogClient, LogMessage } from '../e2e/build-logs/log-client';
import { BuildRepository } from '../support/build-repository';
import type { Answer } from '../support/caller';
import { Cluster } from '../support/cluster';
import { DatabaseProxy } from '../support/database-proxy';
import { isUnavailable } from '../support/outage-probe';
import { OwnPostgres } from '../support/own-postgres';
import { Service } from '../support/service';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** A silent connection is noticed by its heartbeat of 5 s, which may wait 2.5 s for its answer. */
const noticedMs = 20_000;
/** A fifth of what the slow poll may take. */
const awakeMs = 1_000;
const mostAnswerMs = 5_000;
/** What the database allows, and as much again for a busy machine. */
const mostIdleMs = 20_000;

const repository = new BuildRepository();
let database: OwnPostgres;
let cluster: Cluster;
let proxy: DatabaseProxy;
/** An API whose way to the database can be troubled; the worker has its own. */
let api: Service;
let tenant: Tenant;
let project: ProjectDto;
let build: BuildDto;
let client: LogClient;

beforeAll(async () => {
  repository.script('main', 'RUN echo fine');
  repository.script('long', `RUN i=0; while :; do i=$((i+1)); echo "line $i"; usleep 100000; done`);
  database = await OwnPostgres.start();
  const settings = { ...repository.settings, WORKER_SLOTS: '1' };
  cluster = await Cluster.start({ apis: 1, workers: 2, settings, databaseUrl: database.url });
  proxy = await DatabaseProxy.start(database.url);
  api = await Service.start({
    databaseUrl: proxy.url,
    settings: { ...repository.settings, ROLES: 'api', ARTIFACT_DIR: cluster.artifactDir },
  });
  tenant = (await Tenant.make(cluster.api(0).service)).at(api);
  project = await tenant.project({ repository_url: repository.git.url });
  build = await tenant.begin(project, { branch: 'long' });
  client = await tenant.follow(build.id);
  await client.received(20);
}, 120_000);

afterAll(async () => {
  await api.stop();
  await proxy.stop();
  await cluster.stop();
  await database.stop();
  repository.remove();
}, 120_000);

/** Waits until three seconds' lines in a row came soon after they were printed: the slow poll brings few of them so soon. */
async function linesFlow(): Promise<void> {
  let quick = 0;
  const onMessage = (data: Buffer): void => {
    const { timestamp } = JSON.parse(data.toString()) as LogMessage;
    quick = Date.now() - Date.parse(timestamp) < awakeMs ? quick + 1 : 0;
  };
  client.socket.on('message', onMessage);
  await waitUntil(() => quick >= 30, noticedMs);
  client.socket.off('message', onMessage);
}

/** Sends requests that need the database until it answers one of them. */
async function waitForAnswers(): Promise<void> {
  await waitUntil(async () => (await tenant.caller.get('/builds')).status === 200, noticedMs);
}

describe('a connection whose peer vanished without a word', () => {
  it('is noticed by its silence and replaced, and wake-ups come again', async () => {
    proxy.silence();
    await linesFlow();
    await waitForAnswers();
  });

  it('is replaced as soon as the way is free after a time in which no connection worked', async () => {
    proxy.swallow();
    await waitUntil(async () => isUnavailable(await tenant.caller.get('/builds')));
    proxy.admit();
    await linesFlow();
    await waitForAnswers();
  });

  it('is replaced at once when it was cut', async () => {
    proxy.cut();
    await linesFlow();
    await waitForAnswers();
  });
});

describe('a slow way to the database', () => {
  afterEach(() => {
    proxy.delay(0);
  });

  it.each([300, 1_200, 4_000])('is answered in time at %d ms each way, if only by 503', async (delayMs) => {
    proxy.delay(delayMs);
    const asked = Array.from({ length: 20 }, async (): Promise<[Answer, number]> => {
      const sentAt = performance.now();
      return [await tenant.caller.get('/builds'), performance.now() - sentAt];
    });
    for (const [answer, tookMs] of await Promise.all(asked)) {
      expect(answer.status === 200 || isUnavailable(answer)).toBe(true);
      expect(tookMs).toBeLessThan(mostAnswerMs);
    }
  });
});

describe('a worker that freezes while it claims', () => {
  it('does not keep the others from claiming for longer than its transaction may be idle', async () => {
    // Each worker has one slot, and so one of these.
    const other = await tenant.begin(project, { branch: 'long' });
    await tenant.line(other.id, 'line 1');
    const stuck = await tenant.begin(project, { branch: 'main' });
    const log = await lockedLog(stuck.id);
    const worker = await workerOf(other);
    await tenant.cancel(other.id);
    await waitUntil(async () => (await sessions(`wait_event_type = 'Lock' AND query LIKE '%writer_token%'`)) === 1);
    process.kill(worker, 'SIGSTOP');
    try {
      await log.release();
      await waitUntil(
        async () => (await sessions(`state = 'idle in transaction' AND query LIKE '%writer_token%'`)) === 1,
      );
      const next = await tenant.begin(project, { branch: 'main' });
      await tenant.cancel(build.id);
      await waitUntil(async () => (await sessions(`state = 'idle in transaction'`)) === 0, mostIdleMs);
      for (const { id } of [stuck, next]) expect(await tenant.end(id)).toMatchObject({ status: 'success' });
    } finally {
      process.kill(worker, 'SIGCONT');
    }
    const both = await Promise.all([1, 2].map(() => tenant.run(project, { branch: 'main' })));
    expect(both.map(({ status }) => status)).toEqual(['success', 'success']);
  });

  /** Keeps everybody from writing a build's log. */
  async function lockedLog(id: string): Promise<{ release(): Promise<void> }> {
    const session = new Client({ connectionString: database.url });
    await session.connect();
    await session.query('BEGIN');
    await session.query('SELECT FROM build_logs WHERE build_id = $1 FOR UPDATE', [id]);
    return { release: () => session.end() };
  }

  /** The process that runs a build. */
  async function workerOf({ id }: BuildDto): Promise<number> {
    const [row] = await cluster.sql<{ worker: string }>('SELECT worker_id AS worker FROM builds WHERE id = $1', [id]);
    const worker = cluster.workers.find(({ service }) => row?.worker.includes(`:${service.pid}:`));
    if (worker === undefined) throw new Error(`No worker runs the build ${id}`);
    return worker.service.pid;
  }

  async function sessions(condition: string): Promise<number> {
    const sql = `SELECT FROM pg_stat_activity WHERE application_name = 'image-factory' AND ${condition}`;
    return (await database.sql(sql)).length;
  }
});
