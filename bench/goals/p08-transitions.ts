import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { alternate } from '../harness/alternate';
import { CpuMeter, type Work } from '../harness/cpu';
import { ServerProcess } from '../harness/server-process';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { runProgram } from '../harness/program';
import { queuedBuilds } from '../harness/queued-builds';

const transitions = ['start', 'cancel'] as const;

export const transitionsOfBuilds: Goal = {
  id: 'P8',
  title: 'Start and cancel of a build',
  async measure({ isQuick }) {
    const [perRound, rounds] = isQuick ? [500, 3] : [4_000, 5];
    const directory = await mkdtemp(path.join(os.tmpdir(), 'image-factory-bench-'));
    const installation = await Installation.open();
    const { postgres, service, token } = installation;
    const floor = await ServerProcess.floor('express-transition', postgres.url);
    try {
      const ids = await queuedBuilds(installation, perRound * (rounds + 1));
      await postgres.sql('CREATE TABLE bench_builds (LIKE builds INCLUDING ALL)');
      await postgres.sql('ALTER TABLE bench_builds OWNER TO image_factory');
      await postgres.sql('INSERT INTO bench_builds SELECT * FROM builds');
      const meters = { ours: new CpuMeter(service.pid), floor: new CpuMeter(floor.pid) };
      const checks = [];
      for (const transition of transitions) {
        const used = { ours: 0, floor: 0 };
        const post = async (side: 'ours' | 'floor'): Promise<Work> => {
          const file = path.join(directory, side);
          const url = side === 'ours' ? `${service.url}/api/v1` : floor.url;
          const some = ids.slice(used[side], used[side] + perRound);
          used[side] += perRound;
          await writeFile(file, some.map((id) => `${url}/builds/${id}/${transition}`).join('\n'));
          return runProgram<Work>('post-each', file, ...(side === 'ours' ? [token] : []));
        };
        for (const side of ['floor', 'ours'] as const) await post(side);
        const result = await alternate(rounds, {
          ours: () => meters.ours.during(() => post('ours')),
          floor: () => meters.floor.during(() => post('floor')),
        });
        const cpu = { ours: meters.ours.msPerOperation, floor: meters.floor.msPerOperation };
        checks.push({
          name: `${transition}, by a bare UPDATE`,
          unit: 'requests/s',
          ...result,
          bound: { least: 0.5 },
          cpu,
        });
      }
      return checks;
    } finally {
      await floor.stop();
      await installation.close();
      await rm(directory, { recursive: true });
    }
  },
};
