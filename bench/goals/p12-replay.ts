import { FramedLines } from '../../src/build-logs/framed-lines';
import { alternate } from '../harness/alternate';
import { CpuMeter } from '../harness/cpu';
import { ServerProcess } from '../harness/server-process';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { linesPerChunk, makeLongLog } from '../harness/long-log';
import { Sink } from '../harness/sink';

export const replay: Goal = {
  id: 'P12',
  title: 'Replay of 1,000,000 lines to one socket',
  async measure({ isQuick }) {
    const [lines, rounds] = isQuick ? [200_000, 3] : [1_000_000, 5];
    const installation = await Installation.open();
    const { postgres, service, token } = installation;
    const floor = await ServerProcess.floor('frame-cursor', postgres.url);
    try {
      const { id } = await makeLongLog(installation, (await installation.project()).id, lines);
      const [chunk] = await postgres.sql<{ lines: string }>('SELECT lines FROM build_log_chunks LIMIT 1');
      const frames = FramedLines.of(id, 0, chunk?.lines ?? '').since(0);
      await postgres.sql('CREATE TABLE bench_frames (first_line integer PRIMARY KEY, frames bytea NOT NULL)');
      await postgres.sql('ALTER TABLE bench_frames OWNER TO image_factory');
      await postgres.sql('INSERT INTO bench_frames SELECT first_line, $1 FROM build_log_chunks', [frames]);
      const drain = async (url: string): Promise<{ operations: number; rate: number }> => {
        const began = performance.now();
        const sink = await Sink.open({ url, clients: 1, token });
        await sink.received((frames.length * lines) / linesPerChunk);
        const seconds = (performance.now() - began) / 1_000;
        await sink.close();
        return { operations: lines, rate: lines / seconds };
      };
      const ours = `${service.url.replace('http', 'ws')}/api/v1/builds/${id}/logs/stream`;
      const meters = { ours: new CpuMeter(service.pid), floor: new CpuMeter(floor.pid) };
      for (const url of [ours, floor.url]) await drain(url);
      const result = await alternate(rounds, {
        ours: () => meters.ours.during(() => drain(ours)),
        floor: () => meters.floor.during(() => drain(floor.url)),
      });
      const cpu = { ours: meters.ours.msPerOperation, floor: meters.floor.msPerOperation };
      return [{ name: 'lines replayed', unit: 'lines/s', ...result, bound: { least: 0.6 }, cpu }];
    } finally {
      await floor.stop();
      await installation.close();
    }
  },
};
