import { Installation } from '../harness/installation';
import { tenantWithBuilds } from '../harness/many-builds';
import { timeRequests } from '../harness/time-requests';
import { type Curve, decades } from './curve';

const requests = 50;
const pageSize = 20;
const [first, middle, filtered, one, create, disk] = [
  'first page of the list, ms',
  'page in the middle, ms',
  'first page of one status, ms',
  'one build, ms',
  'create, ms',
  'disk with indexes, MB',
] as const;

export const tenantSize: Curve = {
  id: 'tenant-size',
  size: 'builds of the tenant',
  measures: [first, middle, filtered, one, create, disk],
  async *points(options) {
    for (const size of decades(1_000, 1_000_000, options)) {
      const installation = await Installation.open();
      const { postgres, service } = installation;
      try {
        const tenant = await tenantWithBuilds(installation, size);
        await postgres.sql('VACUUM ANALYZE builds, projects');
        const token = tenant.caller.token ?? '';
        const ask = async (path: string): Promise<number> => {
          const url = `${service.url}/api/v1/builds${path}`;
          await timeRequests(url, 3, token);
          return (await timeRequests(url, requests, token)).median;
        };
        const [some] = await postgres.sql<{ id: string; project_id: string }>(
          'SELECT id, project_id FROM builds LIMIT 1',
        );
        const began = performance.now();
        for (let made = 0; made < requests; made += 1) {
          await tenant.create({ id: some?.project_id ?? '' }, { branch: 'main' });
        }
        const createMs = (performance.now() - began) / requests;
        const [used] = await postgres.sql<{ mb: number }>(
          "SELECT (pg_total_relation_size('builds') / 1e6)::float8 AS mb",
        );
        yield {
          size,
          values: {
            [first]: await ask(`?limit=${pageSize}`),
            [middle]: await ask(`?limit=${pageSize}&page=${Math.floor(size / 2 / pageSize)}`),
            [filtered]: await ask(`?limit=${pageSize}&status=success`),
            [one]: await ask(`/${some?.id ?? ''}`),
            [create]: createMs,
            [disk]: used?.mb ?? NaN,
          },
        };
      } finally {
        await installation.close();
      }
    }
  },
};
