import { alternate } from '../harness/alternate';
import { CpuMeter } from '../harness/cpu';
import { ServerProcess } from '../harness/server-process';
import type { Goal } from '../harness/goal';
import { loadHttp } from '../harness/http-load';
import { Installation } from '../harness/installation';

export const getBuild: Goal = {
  id: 'P6',
  title: 'GET of one build with full authentication',
  async measure({ isQuick }) {
    const [seconds, rounds] = isQuick ? [2, 3] : [8, 5];
    const installation = await Installation.open();
    const floor = await ServerProcess.floor('express-build', installation.postgres.url);
    try {
      const { id } = await installation.tenant.create(await installation.project(), { branch: 'main' });
      const ours = { url: `${installation.service.url}/api/v1/builds/${id}`, token: installation.token };
      const bare = { url: `${floor.url}/builds/${id}` };
      for (const warmUp of [bare, ours]) await loadHttp(warmUp, seconds);
      const meters = { ours: new CpuMeter(installation.service.pid), floor: new CpuMeter(floor.pid) };
      const result = await alternate(rounds, {
        ours: () => meters.ours.during(() => loadHttp(ours, seconds)),
        floor: () => meters.floor.during(() => loadHttp(bare, seconds)),
      });
      const cpu = { ours: meters.ours.msPerOperation, floor: meters.floor.msPerOperation };
      return [{ name: 'GET /builds/{id}', unit: 'requests/s', ...result, bound: { least: 0.85 }, cpu }];
    } finally {
      await floor.stop();
      await installation.close();
    }
  },
};
