import { DataSource } from 'typeorm';
import { ListBuildsQuery } from '../../src/builds/build-requests.dto';
import { BuildEntity } from '../../src/builds/build.entity';
import { BuildsRepository } from '../../src/builds/builds.repository';
import { dataSourceOptions } from '../../src/database/data-source-options';
import { query } from '../../src/database/query';
import { alternate } from '../harness/alternate';
import type { Check, Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { tenantWithBuilds } from '../harness/many-builds';
import { Series } from '../harness/series';
import { timeRequests } from '../harness/time-requests';

const sorts = ['created_at', 'updated_at', 'build_number'] as const;
const few = 1_000;
const pageSize = 20;

/** The median time of a statement that is run several times; ms. */
async function timed(times: number, work: () => Promise<unknown>): Promise<number> {
  const taken: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const began = performance.now();
    await work();
    taken.push(performance.now() - began);
  }
  return new Series(taken).median;
}

export const listBuilds: Goal = {
  id: 'P7',
  title: 'The list of a tenant with 1,000,000 builds',
  async measure({ isQuick }) {
    const builds = isQuick ? 300_000 : 1_000_000;
    const [requests, rounds] = isQuick ? [50, 3] : [200, 5];
    const installation = await Installation.open();
    const source = await new DataSource({
      ...dataSourceOptions(installation.postgres.url),
      entities: [BuildEntity],
    }).initialize();
    try {
      const [small, big] = [await tenantWithBuilds(installation, few), await tenantWithBuilds(installation, builds)];
      await installation.postgres.sql('VACUUM ANALYZE builds, projects');
      const repository = new BuildsRepository(source);
      const checks: Check[] = [];
      for (const sort of sorts) {
        const url = `${installation.service.url}/api/v1/builds?limit=${pageSize}&sort_by=${sort}`;
        const first = (token: string | null) => async (): Promise<number> =>
          (await timeRequests(url, requests, token ?? '')).median;
        const sides = { ours: first(big.caller.token), floor: first(small.caller.token) };
        await sides.ours();
        const rounded = await alternate(rounds, sides);
        checks.push({
          name: `page 1 by ${sort}, by that of ${few} builds`,
          unit: 'ms',
          ...rounded,
          bound: { most: 1.5 },
        });
      }
      const far = Object.assign(new ListBuildsQuery(), { page: builds / 2 / pageSize, limit: pageSize });
      const farPage = await alternate(rounds, {
        ours: () => timed(5, () => repository.list(big.id, far)),
        floor: () =>
          timed(5, () =>
            query(
              source,
              'SELECT * FROM builds WHERE tenant_id = $1 AND deleted_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $2 OFFSET $3',
              [big.id, pageSize, builds / 2 - pageSize],
            ),
          ),
      });
      checks.push({ name: 'a page in the middle, by plain OFFSET', unit: 'ms', ...farPage, bound: { most: 0.35 } });
      const totals = await alternate(rounds, {
        ours: () => timed(20, () => repository.count(big.id, undefined, undefined)),
        floor: () =>
          timed(5, () =>
            query(source, 'SELECT count(*) FROM builds WHERE tenant_id = $1 AND deleted_at IS NULL', [big.id]),
          ),
      });
      checks.push({ name: 'total_count, by COUNT(*)', unit: 'ms', ...totals, bound: { most: 0.05 } });
      return checks;
    } finally {
      await source.destroy();
      await installation.close();
    }
  },
};
