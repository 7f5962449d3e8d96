import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { processesWith } from '../support/engine/processes';
import { ResumingFollower } from '../support/resuming-follower';
import { RetryingCaller } from '../support/retrying-caller';
import { Tenant } from '../support/tenant';

const clients = 3;
const printed = Array.from({ length: 30 }, (_, index) => `line ${index + 1}`);

/** A build that a client made and was told of, and who follows it. */
interface Made {
  readonly id: string;
  readonly follower: ResumingFollower;
}

const repository = new BuildRepository();
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;
const callers: RetryingCaller[] = [];
const made: Made[] = [];
let isRolling = true;

/** Makes one build after the other, follows its log, and asks for it until it has ended. */
async function useService(turn: number): Promise<void> {
  const token = tenant.caller.token ?? '';
  const caller = new RetryingCaller(cluster.urls, token, turn);
  callers.push(caller);
  while (isRolling) {
    // Its own argument: a layer of an earlier build would print nothing.
    const request = { project_id: project.id, git_branch: 'main', build_args: { nonce: randomUUID() } };
    const { id } = (await caller.post<BuildDto>('/builds', request)).expect(201);
    made.push({ id, follower: new ResumingFollower({ urls: cluster.urls, token, buildId: id, first: turn }) });
    await hasEnded(caller, id);
  }
}

async function hasEnded(caller: RetryingCaller, id: string): Promise<void> {
  for (;;) {
    const { status } = (await caller.get<BuildDto>(`/builds/${id}`)).expect(200);
    if (status !== 'queued' && status !== 'in_progress') return;
    await sleep(100);
  }
}

beforeAll(async () => {
  const loop = `for i in $(seq 1 ${printed.length}); do echo line $i; sleep 0.05; done`;
  repository.script('main', 'ARG nonce', `RUN echo $nonce; ${loop}`);
  cluster = await Cluster.start({
    apis: 2,
    workers: 2,
    settings: { ...repository.settings, SHUTDOWN_GRACE_SECONDS: '60', WORKER_SLOTS: '1' },
  });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url, auto_start: true });
  const using = Promise.all(Array.from({ length: clients }, (_, turn) => useService(turn)));
  try {
    for (const replica of [...cluster.apis, ...cluster.workers]) await replica.replace();
  } finally {
    isRolling = false;
  }
  await using;
  await Promise.allSettled(made.map(({ follower }) => follower.ended));
}, 240_000);

afterAll(async () => {
  for (const { follower } of made) follower.stop();
  await cluster.stop();
  repository.remove();
});

describe('after a rolling restart of every process under load', () => {
  it('has every build that was acknowledged, and all of them succeeded', async () => {
    const rows = await cluster.sql<{ id: string; status: string }>('SELECT id, status FROM builds');
    expect(made.length).toBeGreaterThanOrEqual(clients);
    expect(new Map(rows.map(({ id, status }) => [id, status]))).toEqual(new Map(made.map(({ id }) => [id, 'success'])));
  });

  it('gave every follower each line once and in order', async () => {
    for (const { id, follower } of made) {
      expect(await follower.ended).toBe('success');
      expect(follower.lines).toEqual(await tenant.lines(id));
      expect(follower.lines.filter((line) => /^line \d+$/.test(line))).toEqual(printed);
    }
  });

  it('broke streams off with 1001 or 503 only, and let each client come back', () => {
    const breaks = made.flatMap(({ follower }) => follower.breaks);
    // 1006: nobody listened at that address.
    expect(breaks.filter((each) => ![1001, 1006, 503].includes(each))).toEqual([]);
    expect(breaks).toContain(1001);
  });

  it('answered no client anything but a success: what it did not take was a connection', () => {
    const statuses = new Set(callers.flatMap((caller) => [...caller.statuses]));
    expect([...statuses].filter((status) => ![200, 201].includes(status))).toEqual([]);
  });

  it('let every process exit with 0, and left none of theirs', () => {
    const replicas = [...cluster.apis, ...cluster.workers];
    expect(replicas.map(({ endings }) => endings)).toEqual(replicas.map(() => [0]));
    expect(made.flatMap(({ id }) => processesWith(id))).toEqual([]);
    const left = cluster.workers.flatMap(({ dataDir }) => readdirSync(path.join(dataDir, 'workspaces')));
    expect(left).toEqual([]);
  });
});
