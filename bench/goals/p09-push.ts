import { once } from 'node:events';
import { Client } from 'pg';
import { alternate } from '../harness/alternate';
import type { Work } from '../harness/cpu';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { runProgram } from '../harness/program';

const writers = 16;
/** Other replicas, beside the one of the installation. */
const listeners = 7;

export const push: Goal = {
  id: 'P9',
  title: '16 writers whose lines are told to eight replicas',
  async measure({ isQuick }) {
    const [seconds, rounds] = isQuick ? [1, 3] : [8, 5];
    const installation = await Installation.open();
    const { postgres, service, tenant } = installation;
    const replicas = Array.from({ length: listeners }, () => new Client({ connectionString: postgres.url }));
    try {
      const project = await installation.project();
      const builds = await Promise.all(
        Array.from({ length: writers }, () => tenant.create(project, { branch: 'main' })),
      );
      for (const replica of replicas) {
        await replica.connect();
        await replica.query('LISTEN image_factory');
      }
      const told = once(replicas[0] ?? new Client(), 'notification');
      const write = async (way: 'on' | 'off'): Promise<number> => {
        const ids = builds.map(({ id }) => id);
        return (await runProgram<Work>('writers', way, postgres.url, service.dataDir, String(seconds), ...ids)).rate;
      };
      const sides = { ours: () => write('on'), floor: () => write('off') };
      await sides.ours();
      await told;
      const result = await alternate(rounds, sides);
      return [{ name: 'told, by untold', unit: 'batches/s', ...result, bound: { least: 0.8 } }];
    } finally {
      for (const replica of replicas) await replica.end();
      await installation.close();
    }
  },
};
