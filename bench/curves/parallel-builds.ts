import { BuildRepository } from '../../test/support/build-repository';
import { Installation } from '../harness/installation';
import { cpuMsOf } from '../harness/cpu';
import { memoryWhile } from '../harness/memory-watch';
import { Series } from '../harness/series';
import type { Curve } from './curve';

const mostMs = 600_000;
const unfinished = 'SELECT id FROM builds WHERE id = ANY($1) AND completed_at IS NULL LIMIT 1';
const failed = "SELECT id FROM builds WHERE id = ANY($1) AND status <> 'success' LIMIT 1";

const sizes = [1, 2, 4, 8, 16, 32, 64];
const linesEach = 1_000;
const [all, one, memory, processor] = [
  'until all have ended, s',
  'builds ended a second',
  'memory of the worker, MB',
  'CPU of the worker for each build, ms',
] as const;

export const parallelBuilds: Curve = {
  id: 'parallel-builds',
  size: 'builds that begin at once on one worker',
  measures: [all, one, memory, processor],
  async *points({ isQuick }) {
    const repository = new BuildRepository();
    repository.script('main', 'ARG NUMBER', `RUN seq ${linesEach}; echo "$NUMBER" > /number; sleep 1`);
    const installation = await Installation.open({
      ...repository.settings,
      ROLES: 'api,worker',
      WORKER_SLOTS: String(Math.max(...sizes)),
    });
    const { postgres, service, tenant } = installation;
    try {
      let number = 0;
      for (const size of isQuick ? sizes.slice(0, 3) : sizes) {
        // Builds of one project share its layers; a project each would be a tenant's many projects.
        const project = await tenant.project({ repository_url: repository.git.url });
        await tenant.run(project, { branch: 'main', args: { NUMBER: 'first' } });
        const before = cpuMsOf(service.pid);
        const made = await Promise.all(
          Array.from({ length: size }, () =>
            tenant.create(project, { branch: 'main', args: { NUMBER: String((number += 1)) } }),
          ),
        );
        const ids = made.map(({ id }) => id);
        await Promise.all(ids.map((id) => tenant.start(id)));
        const latest = performance.now() + mostMs;
        const samples = await memoryWhile(
          service.pid,
          async () => performance.now() < latest && (await postgres.sql(unfinished, [ids])).length > 0,
        );
        if ((await postgres.sql(failed, [ids])).length > 0) throw new Error('A build failed, or has not ended');
        const [taken] = await postgres.sql<{ seconds: number }>(
          'SELECT extract(epoch FROM max(completed_at) - min(started_at))::float8 AS seconds FROM builds WHERE id = ANY($1)',
          [ids],
        );
        const seconds = taken?.seconds ?? NaN;
        yield {
          size,
          values: {
            [all]: seconds,
            [one]: size / seconds,
            [memory]: new Series(samples).most,
            [processor]: (cpuMsOf(service.pid) - before) / size,
          },
        };
      }
    } finally {
      await installation.close();
      repository.remove();
    }
  },
};
