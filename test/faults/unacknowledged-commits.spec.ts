import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildDto } from '../../src/builds/build.dto';
import { BuildRepository } from '../support/build-repository';
import { Cluster } from '../support/cluster';
import { OwnPostgres } from '../support/own-postgres';
import { RetryingCaller } from '../support/retrying-caller';
import { Tenant } from '../support/tenant';
import { waitUntil } from '../support/wait-until';

const repository = new BuildRepository();
let database: OwnPostgres;
let cluster: Cluster;

beforeAll(async () => {
  repository.branch('quick', { Dockerfile: 'FROM scratch\nCOPY busybox /busybox\n' });
  database = await OwnPostgres.start();
  cluster = await Cluster.start({ apis: 2, workers: 1, settings: repository.settings, databaseUrl: database.url });
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  await database.stop();
  repository.remove();
}, 120_000);

describe('commits that are not acknowledged', () => {
  it('have one outcome each: nothing is built twice, lost, or ended twice', async () => {
    const count = 24;
    const tenant = await Tenant.make(cluster.api(0).service);
    const project = await tenant.project({ repository_url: repository.git.url });
    const enough = new AbortController();
    const cutting = cutAtRandom(enough.signal);
    const caller = new RetryingCaller(cluster.urls, tenant.caller.token ?? '');
    const cancelled = new Map<string, number>();
    const ids: string[] = [];
    for (let index = 0; index < count; index += 1) {
      const made = await caller.post<BuildDto>('/builds', { project_id: project.id, git_branch: 'quick' });
      const { id } = made.expect(201);
      ids.push(id);
      // 409: it was started by a request whose answer was lost.
      expect([200, 409]).toContain((await caller.post(`/builds/${id}/start`)).status);
      if (index % 4 === 3) cancelled.set(id, (await caller.post(`/builds/${id}/cancel`)).status);
    }
    await waitUntil(async () => {
      const open = await database.sql('SELECT id FROM builds WHERE id = ANY($1) AND completed_at IS NULL', [ids]);
      return open.length === 0;
    }, 150_000);
    enough.abort();
    expect(await cutting).toBeGreaterThan(20);

    const rows = await database.sql<{ id: string; status: string; error_message: string | null; number: number }>(
      `SELECT id, status, error_message, build_number AS number FROM builds WHERE id = ANY($1) ORDER BY build_number`,
      [ids],
    );
    expect(new Set(rows.map(({ number }) => number)).size).toBe(count);
    for (const { id, status, error_message } of rows) {
      const asked = cancelled.get(id);
      if (asked === 200) expect([id, status]).toEqual([id, 'cancelled']);
      else if (asked === undefined) expect([id, status, error_message]).toEqual([id, 'success', null]);
      await waitUntil(async () => (await closedLogs(id)) === 1);
      const lines = await tenant.lines(id);
      const ends = lines.filter((line) => /^(Build succeeded|Build failed|Build stopped|Stopped before)/.test(line));
      expect([id, ends.length]).toEqual([id, 1]);
      if (status === 'success') expect((await tenant.caller.get(`/builds/${id}/image`)).status).toBe(200);
    }
  }, 240_000);

  async function closedLogs(id: string): Promise<number> {
    return (await database.sql('SELECT FROM build_logs WHERE build_id = $1 AND closed_at IS NOT NULL', [id])).length;
  }

  /** Ends sessions in the middle of what they do, the more so in a COMMIT; answers how many. */
  async function cutAtRandom(enough: AbortSignal): Promise<number> {
    let cuts = 0;
    while (!enough.aborted) {
      const rows = await database.sql(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE application_name = 'image-factory' AND state <> 'idle' AND random() < 0.5`,
      );
      cuts += rows.length;
      await sleep(Math.random() * 60);
    }
    return cuts;
  }
});
