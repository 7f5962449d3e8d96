import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Check, Goal } from '../harness/goal';
import { NpmStart } from '../harness/npm-start';
import { Series } from '../harness/series';

async function ready(dataDir: string): Promise<number> {
  const service = await NpmStart.run(dataDir);
  await service.stop();
  return service.readySeconds;
}

function check(name: string, seconds: readonly number[], most: number): Check {
  const ours = new Series(seconds);
  return { name, unit: 's', ours, floor: null, ratio: ours, bound: { most } };
}

export const startUp: Goal = {
  id: 'P13',
  title: 'npm start until it is ready',
  async measure({ isQuick }) {
    const rounds = isQuick ? 1 : 5;
    const first: number[] = [];
    const again: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const dataDir = await mkdtemp(path.join(os.tmpdir(), 'image-factory-bench-'));
      try {
        first.push(await ready(dataDir));
        again.push(await ready(dataDir), await ready(dataDir));
      } finally {
        await rm(dataDir, { recursive: true, force: true });
      }
    }
    return [check('with data', again, 3), check('the first time', first, 6)];
  },
};
