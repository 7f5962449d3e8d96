import { BuildRepository } from '../../test/support/build-repository';
import { Cluster } from '../../test/support/cluster';
import { OwnPostgres } from '../../test/support/own-postgres';
import { Tenant } from '../../test/support/tenant';
import { cpuMsOf } from '../harness/cpu';
import { residentMb } from '../harness/memory';
import { Readers } from '../harness/readers';
import { tickingBranch } from '../harness/ticking-build';
import { type Curve, decades } from './curve';

const linesPerSecond = 200;
const [median, p99, cpu, memory] = [
  'printed to received, median, ms',
  'printed to received, p99, ms',
  'CPU of the replica, % of one core',
  'memory of the replica, MB',
] as const;

export const subscribers: Curve = {
  id: 'subscribers',
  size: `subscribers of a build that prints ${linesPerSecond} lines a second`,
  measures: [median, p99, cpu, memory],
  async *points(options) {
    const seconds = options.isQuick ? 2 : 15;
    const repository = new BuildRepository();
    tickingBranch(repository, 'main', linesPerSecond);
    const postgres = await OwnPostgres.start({ settings: { fsync: 'on' } });
    try {
      for (const size of decades(1, 1_000, options)) {
        const cluster = await Cluster.start({
          apis: 1,
          workers: 1,
          settings: repository.settings,
          databaseUrl: await postgres.database(),
        });
        try {
          const { service } = cluster.api(0);
          const tenant = await Tenant.make(service);
          const project = await tenant.project({ repository_url: repository.git.url });
          const { id } = await tenant.begin(project, { branch: 'main' });
          const url = `${service.url.replace('http', 'ws')}/api/v1/builds/${id}/logs/stream`;
          const readers = await Readers.open({ urls: [url], clients: size, token: tenant.caller.token ?? '' });
          try {
            await readers.read(2);
            const before = cpuMsOf(service.pid);
            const reading = await readers.read(seconds);
            const share = (cpuMsOf(service.pid) - before) / (seconds * 10);
            if (reading.gaps > 0) throw new Error(`${reading.gaps} lines were not received`);
            yield {
              size,
              values: {
                [median]: reading.median,
                [p99]: reading.p99,
                [cpu]: share,
                [memory]: residentMb(service.pid),
              },
            };
          } finally {
            await readers.close();
          }
          await tenant.cancel(id);
          await tenant.end(id);
        } finally {
          await cluster.stop();
        }
      }
    } finally {
      await postgres.stop();
      repository.remove();
    }
  },
};
