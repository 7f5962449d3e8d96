import { existsSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { artifactDirOf } from '../support/postgres';
import { Tenant } from '../support/tenant';
import { Arena } from './driven/arena';
import type { OwnEnd } from './driven/driven-engine';
import type { DrivenRun } from './driven/driven-run';
import { expectSound, installAudit } from './state-machine/audit';

/** So many races at once: they also meet at the row of their project. */
const atOnce = 10;

let arena: Arena;

beforeAll(async () => {
  arena = await Arena.start();
  await installAudit(arena);
}, 60_000);

afterAll(() => arena.stop());

const endings = /^Build (?:failed|succeeded|stopped)|^Stopped before/;

describe('a cancel and the end of the build at the same moment', () => {
  it('have one outcome, 200 times: a 200 to the cancel means cancelled, a 409 that the build had ended', async () => {
    const project = await arena.project();
    const cancelled: boolean[] = [];
    /** By how much the cancel comes first: the balance of the outcomes so far moves it. */
    let leadMs = 0;
    while (cancelled.length < 200) {
      const runs = await arena.runs(project, atOnce);
      const races = await Promise.all(
        runs.map((run, index) => race(run, arena.tenant(index), index % 3 === 0 ? 'failed' : 'success', leadMs)),
      );
      cancelled.push(...races);
      leadMs += races.filter((isCancelled) => !isCancelled).length - races.filter(Boolean).length;
    }
    expect(cancelled.filter(Boolean).length).toBeGreaterThan(10);
    expect(cancelled.filter((isCancelled) => !isCancelled).length).toBeGreaterThan(10);
    await expectSound(arena, project);
  }, 240_000);

  /** @returns whether the cancel won */
  async function race(run: DrivenRun, client: Tenant, how: OwnEnd, leadMs: number): Promise<boolean> {
    const jitterMs = Math.random() * 10;
    const [answer, end] = await Promise.all([
      sleep(Math.max(0, -leadMs)).then(() => client.caller.post<BuildDto>(`/builds/${run.id}/cancel`)),
      sleep(Math.max(0, leadMs) + jitterMs).then(() => run.finish(how)),
    ]);
    const { status } = await client.build(run.id);
    const isCancelled = answer.status === 200;
    expect([answer.status, status, end]).toEqual(isCancelled ? [200, 'cancelled', 'stopped'] : [409, how, how]);
    const lines = await client.lines(run.id);
    expect(lines.filter((line) => endings.test(line))).toEqual(lines.slice(-1));
    expect(lines.at(-1)).toMatch(
      isCancelled ? /^Build stopped$/ : how === 'success' ? /^Build succeeded/ : /^Build failed/,
    );
    expect(lines.includes('Cancelled by request')).toBe(isCancelled);
    const archive = path.join(artifactDirOf(arena.databaseUrl) ?? '', `${run.id}.tar`);
    expect(existsSync(archive)).toBe(status === 'success');
    return isCancelled;
  }
});

describe('a cancel and the end of a real build at the same moment', () => {
  const repository = new BuildRepository();
  let cluster: Cluster;
  let clients: readonly [Tenant, Tenant];

  beforeAll(async () => {
    repository.script('main', 'RUN echo fine');
    cluster = await Cluster.start({ apis: 2, workers: 1, settings: repository.settings });
    const first = await Tenant.make(cluster.api(0).service);
    clients = [first, first.at(cluster.api(1).service)];
  }, 60_000);

  afterAll(async () => {
    await cluster.stop();
    repository.remove();
  });

  it.each([
    ['that succeeds', 'main', 'success', /^Build succeeded/],
    ['whose branch is missing', 'absent', 'failed', /^Build failed/],
  ] as const)(
    'have one outcome, 12 times, for one %s',
    async (_, branch, own, lastLine) => {
      const [begun, cancelling] = clients;
      const project = await begun.project({ repository_url: repository.git.url });
      const firstAt = performance.now();
      expect(await begun.run(project, { branch })).toMatchObject({ status: own });
      let waitMs = performance.now() - firstAt;
      const outcomes: string[] = [];
      for (let round = 0; round < 12; round += 1) {
        const { id } = await begun.begin(project, { branch });
        const follower = await begun.follow(id);
        await sleep(waitMs);
        const { status: answer } = await cancelling.caller.post(`/builds/${id}/cancel`);
        const { reason } = await follower.closed;
        const { status } = await cancelling.build(id);
        expect([answer, status, reason]).toEqual(answer === 200 ? [200, 'cancelled', 'cancelled'] : [409, own, own]);
        const ends = follower.lines.filter((line) => endings.test(line));
        expect(ends).toEqual(follower.lines.slice(-1));
        expect(ends[0]).toMatch(answer === 200 ? /^Build stopped|^Stopped before/ : lastLine);
        expect(await begun.lines(id)).toEqual(follower.lines);
        outcomes.push(status);
        // The wait closes in on the moment of the end.
        waitMs *= status === 'cancelled' ? 1.25 : 0.85;
      }
      expect([...new Set(outcomes)].sort()).toEqual(['cancelled', own]);
    },
    240_000,
  );
});
