import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { query } from '../../../src/database/query';
import type { Claim } from '../../../src/execution/build-queue.repository';
import { takeClaimLock } from '../../../src/execution/claim-lock';
import { BuildFactory } from '../../factories/build.factory';
import { World } from '../../factories/world';
import { Api } from '../../support/api';
import { waitUntil } from '../../support/wait-until';
import { Claimer } from './claimer';

const perTenant = 3;
const perProject = 2;

let api: Api;
let claimers: Claimer[];

async function start(limits: Readonly<Record<string, string>>): Promise<Claimer> {
  const claimer = await Claimer.start(api, limits);
  claimers.push(claimer);
  return claimer;
}

beforeEach(async () => {
  api = await Api.start();
  claimers = [];
});

afterEach(async () => {
  await Promise.all(claimers.map((claimer) => claimer.stop()));
  await api.stop();
});

const waiting = (secondsAgo = 0) =>
  ({ status: 'in_progress', started_at: new Date(Date.now() - secondsAgo * 1000) }) as const;

describe('20 workers that claim and finish at the same time', () => {
  const builds = 120;

  /** Three tenants with three projects each; every project has as many builds waiting. */
  async function fill(): Promise<void> {
    for (const tenant of [1, 2, 3]) {
      const world = await World.make(api);
      const projects = [world.project, await world.otherProject(), await world.otherProject()];
      for (const [index, { id }] of projects.entries()) {
        await api.sql(
          `INSERT INTO builds (tenant_id, project_id, git_branch, status, started_at)
           SELECT $1, $2, 'main', 'in_progress', now() - make_interval(secs => $3 + n) FROM generate_series(1, $4::int) n`,
          [world.tenantId, id, tenant + index, Math.ceil(builds / 9)],
        );
      }
    }
    await api.sql(`INSERT INTO build_logs (build_id, tenant_id) SELECT id, tenant_id FROM builds`);
  }

  const countWaiting = async (): Promise<number> =>
    (await api.sql(`SELECT id FROM builds WHERE status = 'in_progress' AND claimed_at IS NULL`)).length;

  /** Nothing ends before the limits have held somebody back: so they are reached, however slow the claims are. */
  async function work(claimer: Claimer, limit: { isMet: boolean }): Promise<void> {
    for (;;) {
      const claim = await claimer.claim();
      if (claim !== null) {
        do await sleep(Math.random() * 30);
        while (!limit.isMet);
        expect(await claimer.finish(claim)).toBe(true);
        continue;
      }
      limit.isMet = true;
      if ((await countWaiting()) === 0) return;
      await sleep(Math.random() * 20);
    }
  }

  /** The most builds that had a lease at once, by their table's own times, for each value of the column. */
  async function mostByTimes(column: 'tenant_id' | 'project_id'): Promise<number[]> {
    const rows = await api.sql<{ most: number }>(
      `SELECT max(others) AS most FROM (
         SELECT a.${column}, a.id, count(*) AS others FROM builds a JOIN builds b USING (${column})
         WHERE b.claimed_at <= a.claimed_at AND b.completed_at > a.claimed_at GROUP BY a.${column}, a.id
       ) at_claim GROUP BY ${column}`,
    );
    return rows.map(({ most }) => most);
  }

  it('never exceed a limit, and use it', async () => {
    await fill();
    const limits = { MAX_RUNNING_PER_TENANT: String(perTenant), MAX_RUNNING_PER_PROJECT: String(perProject) };
    const [one, other] = [await start(limits), await start(limits)];
    const sampled = { tenant_id: 0, project_id: 0 };
    const sample = async (column: keyof typeof sampled): Promise<void> => {
      const [row] = await api.sql<{ most: number }>(
        `SELECT coalesce(max(builds), 0) AS most FROM
           (SELECT count(*) AS builds FROM builds WHERE lease_token IS NOT NULL GROUP BY ${column}) running`,
      );
      sampled[column] = Math.max(sampled[column], row?.most ?? 0);
    };
    const limit = { isMet: false };
    const working = Promise.all(Array.from({ length: 20 }, (_, index) => work(index % 2 === 0 ? one : other, limit)));
    const over = working.then(() => true);
    do await Promise.all([sample('tenant_id'), sample('project_id')]);
    while (!(await Promise.race([over, sleep(1, false)])));
    await working;

    expect(sampled.tenant_id).toBeLessThanOrEqual(perTenant);
    expect(sampled.project_id).toBeLessThanOrEqual(perProject);
    expect(await mostByTimes('tenant_id')).toEqual([perTenant, perTenant, perTenant]);
    expect(Math.max(...(await mostByTimes('project_id')))).toBe(perProject);
    const ended = await api.sql(`SELECT id FROM builds WHERE status = 'failed' AND lease_token IS NULL`);
    expect(ended.length).toBeGreaterThanOrEqual(builds);
  });
});

describe('a limit', () => {
  it('of a project holds back neither the tenant’s other projects nor other tenants', async () => {
    const [world, other] = [await World.make(api), await World.make(api)];
    const neighbour = await world.otherProject();
    const blocked: string[] = [];
    // More of the full project than a claim looks at.
    for (const age of [30, 29, 28, 27, 26, 25]) blocked.push((await world.build(waiting(age))).id);
    const beside = await BuildFactory.from(api, neighbour, waiting(2)).build();
    const elsewhere = await other.build(waiting(1));
    const claimer = await start({ MAX_RUNNING_PER_PROJECT: '1' });

    const first = await claimer.claim();
    expect(first?.id).toBe(blocked[0]);
    expect(await claimer.claimAll()).toEqual([elsewhere.id, beside.id]);
    if (first !== null) await claimer.finish(first);
    expect(await claimer.claimAll()).toEqual([blocked[1]]);
  });

  it('of a tenant holds back no other tenant', async () => {
    const [world, other] = [await World.make(api), await World.make(api)];
    const mine = [await world.build(waiting(30)), await world.build(waiting(29)), await world.build(waiting(28))];
    const theirs = await other.build(waiting(1));
    const claimer = await start({ MAX_RUNNING_PER_TENANT: '2' });
    expect(await claimer.claimAll()).toEqual([mine[0]?.id, theirs.id, mine[1]?.id]);
  });

  it('counts a cancelled build until its worker has stopped it', async () => {
    const world = await World.make(api);
    await world.build(waiting(30));
    const next = await world.build(waiting(29));
    const claimer = await start({ MAX_RUNNING_PER_TENANT: '1' });
    const claim = await claimer.claim();
    if (claim === null) throw new Error('Nothing was claimed');
    (await world.caller.post(`/builds/${claim.id}/cancel`)).expect(200);
    expect(await claimer.claim()).toBeNull();
    await claimer.release(claim);
    expect((await claimer.claim())?.id).toBe(next.id);
  });

  it('that is not set holds nothing back', async () => {
    const world = await World.make(api);
    for (const age of [9, 8, 7, 6, 5, 4]) await world.build(waiting(age));
    expect(await (await start({})).claimAll()).toHaveLength(6);
  });
});

describe('a claim', () => {
  it('waits for no build that is being cancelled, and takes the tenant’s next one', async () => {
    const world = await World.make(api);
    const [first, second] = [await world.build(waiting(9)), await world.build(waiting(8))];
    const claimer = await start({});
    await api.app.get(DataSource).transaction(async (manager) => {
      await query(manager, 'SELECT id FROM builds WHERE id = $1 FOR UPDATE', [first.id]);
      expect((await claimer.claim())?.id).toBe(second.id);
    });
    expect((await claimer.claim())?.id).toBe(first.id);
  });

  it('waits for the claim that is under way, and counts what that one took', async () => {
    const world = await World.make(api);
    const first = await world.build(waiting(9));
    const second = await world.build(waiting(8));
    const claimer = await start({ MAX_RUNNING_PER_TENANT: '1' });
    let claim: Promise<Claim | null> | undefined;
    await api.app.get(DataSource).transaction(async (manager) => {
      await takeClaimLock(manager);
      claim = claimer.claim();
      await waitUntil(async () => {
        const waiters = await api.sql(
          `SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
           WHERE d.datname = current_database() AND locktype = 'advisory' AND NOT granted`,
        );
        return waiters.length > 0;
      });
      const take = 'UPDATE builds SET lease_token = gen_random_uuid(), claimed_at = now() WHERE id = $1';
      await query(manager, take, [first.id]);
    });
    expect(await claim).toBeNull();
    await api.sql(`UPDATE builds SET lease_token = NULL, status = 'cancelled' WHERE id = $1`, [first.id]);
    expect((await claimer.claim())?.id).toBe(second.id);
  });
});
