import { BuildRepository } from '../../test/support/build-repository';
import { Cluster } from '../../test/support/cluster';
import { OwnPostgres } from '../../test/support/own-postgres';
import { Tenant } from '../../test/support/tenant';
import { waitUntil } from '../../test/support/wait-until';
import { bareWakes } from '../harness/bare-wakes';
import type { Check, Goal } from '../harness/goal';
import { Readers, type Reading } from '../harness/readers';
import { Series } from '../harness/series';
import { tickingBranch } from '../harness/ticking-build';

const replicas = 2;
const subscribers = 200;
const linesPerSecond = 2_000;
/** With longer pauses than a writer or a wake gathers. */
const idleLinesPerSecond = 20;

/** Less than this share of what was printed would be a figure of another load. */
const leastShare = 0.9;

function check(name: string, unit: string, values: readonly number[], most: number): Check {
  const ours = new Series(values);
  return { name, unit, ours, floor: null, ratio: ours, bound: { most } };
}

/** Cuts the connections by which all processes listen, and waits until they have new ones. */
async function cutListeners(postgres: OwnPostgres): Promise<void> {
  const listeners = `FROM pg_stat_activity WHERE application_name = 'image-factory listener'`;
  const before = await postgres.sql<{ pid: number }>(`SELECT pid, pg_terminate_backend(pid) ${listeners}`);
  await waitUntil(async () => {
    const now = await postgres.sql<{ pid: number }>(`SELECT pid ${listeners}`);
    return now.length === before.length && now.every(({ pid }) => before.every((old) => old.pid !== pid));
  });
}

export const live: Goal = {
  id: 'P5',
  title: 'From a printed line to its frame, by two replicas and a worker',
  async measure({ isQuick }) {
    const [seconds, rounds] = isQuick ? [2, 1] : [8, 5];
    const repository = new BuildRepository();
    tickingBranch(repository, 'busy', linesPerSecond);
    tickingBranch(repository, 'idle', idleLinesPerSecond);
    const postgres = await OwnPostgres.start({ settings: { fsync: 'on' } });
    const { settings } = repository;
    const cluster = await Cluster.start({ apis: replicas, workers: 1, settings, databaseUrl: postgres.url });
    try {
      const tenant = await Tenant.make(cluster.api(0).service);
      const project = await tenant.project({ repository_url: repository.git.url });
      /** Rounds of what clients read of a build, whose lines a worker prints that serves none of them. */
      const follow = async <Result>(
        branch: string,
        clients: number,
        measure: (read: () => Promise<Reading[]>) => Promise<Result>,
      ): Promise<Result> => {
        const { id } = await tenant.begin(project, { branch });
        const urls = cluster.urls.map((url) => `${url.replace('http', 'ws')}/api/v1/builds/${id}/logs/stream`);
        const readers = await Readers.open({ urls, clients, token: tenant.caller.token ?? '' });
        try {
          await readers.read(1);
          return await measure(async () => {
            const readings: Reading[] = [];
            while (readings.length < rounds) readings.push(await readers.read(seconds));
            return readings;
          });
        } finally {
          await readers.close();
          await tenant.cancel(id);
          await tenant.end(id);
        }
      };
      const floor = await bareWakes(postgres.url, isQuick ? 20 : 150, 1_000 / idleLinesPerSecond);
      const [idle, cut] = await follow('idle', replicas, async (read) => {
        const before = await read();
        await cutListeners(postgres);
        return [before, await read()];
      });
      const busy = await follow('busy', subscribers, (read) => read());
      const least = linesPerSecond * subscribers * seconds * leastShare;
      if (busy.some(({ count }) => count < least)) throw new Error('The build printed too few lines');
      const medians = (readings: readonly Reading[]): number[] => readings.map(({ median }) => median);
      const all = [...idle, ...cut, ...busy];
      return [
        check(`idle, median (a bare wake: ${floor.median.toFixed(1)} ms)`, 'ms', medians(idle), 10),
        check('idle, median right after a reconnect', 'ms', medians(cut), 10),
        check(
          `${linesPerSecond} lines/s to ${subscribers}, p99`,
          'ms',
          busy.map(({ p99 }) => p99),
          100,
        ),
        check('gaps', 'lines', [Math.max(...all.map(({ gaps }) => gaps))], 0),
      ];
    } finally {
      await cluster.stop();
      await postgres.stop();
      repository.remove();
    }
  },
};
