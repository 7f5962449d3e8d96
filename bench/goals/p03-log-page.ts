import { alternate } from '../harness/alternate';
import { ServerProcess } from '../harness/server-process';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { linesPerChunk, makeLongLog } from '../harness/long-log';
import { timeRequests } from '../harness/time-requests';

const pageLines = 1_000;

export const logPage: Goal = {
  id: 'P3',
  title: 'A page of 1000 lines far behind in a log of 10,000,000',
  async measure({ isQuick }) {
    const lines = isQuick ? 1_000_000 : 10_000_000;
    const [requests, rounds] = isQuick ? [50, 3] : [300, 5];
    const far = lines * 0.99;
    const installation = await Installation.open();
    const floor = await ServerProcess.floor('chunk-read', installation.postgres.url);
    try {
      const { id: projectId } = await installation.project();
      const { id } = await makeLongLog(installation, projectId, lines);
      const page = (offset: number) => async (): Promise<number> => {
        const url = `${installation.service.url}/api/v1/builds/${id}/logs?offset=${offset}&limit=${pageLines}`;
        return (await timeRequests(url, requests, installation.token)).median;
      };
      const chunks = async (): Promise<number> =>
        (await timeRequests(`${floor.url}/${id}/${far}/${far + pageLines}`, requests)).median;
      for (const warmUp of [page(0), page(far), chunks]) await warmUp();
      // A page that begins within a chunk reads one chunk more.
      const inside = page(far + linesPerChunk / 2);
      const byFirst = await alternate(rounds, { ours: inside, floor: page(0) });
      const byChunks = await alternate(rounds, { ours: page(far), floor: chunks });
      return [
        { name: 'far page by the first page', unit: 'ms', ...byFirst, bound: { most: 1.3 } },
        { name: 'far page by a bare read of its chunks', unit: 'ms', ...byChunks, bound: { most: 2 } },
        {
          name: 'far page, with HTTP',
          unit: 'ms',
          ours: byFirst.ours,
          floor: null,
          ratio: byFirst.ours,
          bound: { most: 5 },
        },
      ];
    } finally {
      await floor.stop();
      await installation.close();
    }
  },
};
