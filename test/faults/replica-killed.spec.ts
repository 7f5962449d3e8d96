import { randomUUID } from 'node:crypto';
import type { BuildDto } from '../../src/builds/build.dto';
import type { ProjectDto } from '../../src/projects/project.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { ResumingFollower } from '../support/resuming-follower';
import { RetryingCaller } from '../support/retrying-caller';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

/** What was killed, one after the other, while a build printed and clients wrote. */
const kills = [0, 1, 0];
/** What followers must receive between two kills. */
const linesBetween = 20;
const writers = 3;

const repository = new BuildRepository();
let cluster: Cluster;
let tenant: Tenant;
let project: ProjectDto;
let build: BuildDto;
let followers: ResumingFollower[] = [];
const callers: RetryingCaller[] = [];
const acknowledged: string[] = [];
let isKilling = true;

async function write(turn: number): Promise<void> {
  const caller = new RetryingCaller(cluster.urls, tenant.caller.token ?? '', turn);
  callers.push(caller);
  while (isKilling) {
    const request = { project_id: project.id, git_branch: 'main' };
    acknowledged.push((await caller.post<BuildDto>('/builds', request)).expect(201).id);
  }
}

/** Waits until every follower has received some more lines. */
async function goOn(): Promise<void> {
  const before = followers.map(({ messages }) => messages.length);
  await waitUntil(
    () => followers.every(({ messages }, index) => messages.length >= (before[index] ?? 0) + linesBetween),
    60_000,
  );
}

beforeAll(async () => {
  repository.script('main', 'RUN i=0; while :; do i=$((i + 1)); echo line $i; sleep 0.02; done');
  cluster = await Cluster.start({ apis: 2, workers: 1, settings: repository.settings });
  tenant = await Tenant.make(cluster.api(0).service);
  project = await tenant.project({ repository_url: repository.git.url });
  build = await tenant.begin(project, { branch: 'main' });
  followers = [0, 1, 0].map(
    (first) => new ResumingFollower({ urls: cluster.urls, token: tenant.caller.token ?? '', buildId: build.id, first }),
  );
  const writing = Promise.all(Array.from({ length: writers }, (_, turn) => write(turn)));
  try {
    for (const index of kills) {
      await goOn();
      await cluster.api(index).kill();
      await cluster.api(index).start();
    }
    await goOn();
  } finally {
    isKilling = false;
  }
  await writing;
  await tenant.cancel(build.id);
  await Promise.allSettled(followers.map(({ ended }) => ended));
}, 240_000);

afterAll(async () => {
  for (const follower of followers) follower.stop();
  await cluster.stop();
  repository.remove();
});

describe('after API replicas were killed with -9 while clients wrote and followed', () => {
  it('has each build that was acknowledged, and none twice', async () => {
    const rows = await cluster.sql<{ id: string }>('SELECT id FROM builds WHERE id <> $1', [build.id]);
    expect(acknowledged.length).toBeGreaterThan(0);
    expect(rows.map(({ id }) => id).sort()).toEqual([...acknowledged].sort());
    for (const index of [0, 1]) {
      const at = tenant.at(cluster.api(index).service);
      expect((await at.build(acknowledged.at(-1) ?? '')).status).toBe('queued');
    }
  });

  it('gave every follower the whole log, each line once and in order', async () => {
    const stored = await tenant.lines(build.id);
    for (const follower of followers) {
      expect(await follower.ended).toBe('cancelled');
      expect(follower.lines).toEqual(stored);
    }
    const printed = stored.filter((line) => /^line \d+$/.test(line));
    expect(printed).toEqual(printed.map((_, index) => `line ${index + 1}`));
  });

  it('made every client come back, and refused none', () => {
    expect(followers.flatMap(({ breaks }) => breaks).length).toBeGreaterThanOrEqual(kills.length);
    expect(callers.reduce((sum, { reconnects }) => sum + reconnects, 0)).toBeGreaterThan(0);
    expect(callers.flatMap(({ statuses }) => [...statuses]).filter((status) => ![201, 503].includes(status))).toEqual(
      [],
    );
  });

  it('answers a repeated request at another replica with the build that the killed one made', async () => {
    const request = { project_id: project.id, git_branch: 'main' };
    const headers = { 'Idempotency-Key': randomUUID() };
    const first = await tenant.caller.post<BuildDto>('/builds', request, headers);
    await cluster.api(0).kill();
    const second = await tenant.at(cluster.api(1).service).caller.post<BuildDto>('/builds', request, headers);
    expect(second.expect(201)).toEqual(first.expect(201));
  });
});
