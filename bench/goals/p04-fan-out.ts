import { FramedLines } from '../../src/build-logs/framed-lines';
import { chunksOf } from '../../src/build-logs/log-chunk';
import { logEntry } from '../../src/build-logs/log-entry';
import { jwtSecret } from '../../test/support/service';
import { alternate } from '../harness/alternate';
import { CpuMeter, type Work } from '../harness/cpu';
import { ServerProcess } from '../harness/server-process';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { sampleLines } from '../harness/long-log';
import { Sink } from '../harness/sink';

const clients = 500;
const linesPerBatch = 10;
/** Before the clients are waited for: what waits for one of them stays far below what a slow one may leave. */
const batchesAtOnce = 20;

/** Subscribers of one server, and what they were sent. */
interface Audience {
  readonly server: ServerProcess;
  readonly sink: Sink;
  readonly meter: CpuMeter;
  /** How often in a round it is sent batches. */
  readonly turns: number;
  sent: number;
}

export const fanOut: Goal = {
  id: 'P4',
  title: 'Batches of 10 lines to 500 subscribers',
  async measure({ isQuick }) {
    const [turns, rounds] = isQuick ? [5, 3] : [60, 5];
    const installation = await Installation.open();
    const { postgres, token } = installation;
    const { id } = await installation.tenant.begin(await installation.project(), { branch: 'main' });
    // Without the line that tells of its start: the lines of the bench are numbered from 0.
    await postgres.sql('DELETE FROM build_log_chunks WHERE build_id = $1', [id]);
    await postgres.sql('UPDATE build_logs SET total_lines = 0 WHERE build_id = $1', [id]);
    const [chunk] = chunksOf(sampleLines(linesPerBatch).map((text) => logEntry('INFO', text)));
    const lines = chunk?.lines ?? '';
    const frames = FramedLines.of(id, 0, lines).since(0).length;
    const open = async (server: ServerProcess, share: number): Promise<Audience> => {
      const url = `${server.url.replace('http', 'ws')}/api/v1/builds/${id}/logs/stream`;
      return {
        server,
        sink: await Sink.open({ url, clients, token }),
        meter: new CpuMeter(server.pid),
        turns: turns * share,
        sent: 0,
      };
    };
    const tell = (audience: Audience): Promise<number> =>
      audience.meter.during(async (): Promise<Work> => {
        const began = performance.now();
        for (let turn = 0; turn < audience.turns; turn += 1) {
          audience.sent += batchesAtOnce;
          audience.server.ask(batchesAtOnce);
          await audience.sink.received(audience.sent * frames);
        }
        const operations = audience.turns * batchesAtOnce * linesPerBatch * clients;
        return { operations, rate: (operations * 1_000) / (performance.now() - began) };
      });
    const settings = {
      DATABASE_URL: postgres.url,
      JWT_SECRET: jwtSecret,
      ROLES: 'api',
      DATA_DIR: installation.service.dataDir,
      RATE_LIMIT_PER_MINUTE: '1000000',
    };
    const audiences: Audience[] = [];
    try {
      audiences.push(await open(await ServerProcess.program('fan-out', settings, id, lines), 1));
      audiences.push(await open(await ServerProcess.floor('fan-out', 'framed', id, lines), 1));
      // It takes ten times as long for the same.
      audiences.push(await open(await ServerProcess.floor('fan-out', 'each', id, lines), 0.2));
      const [ours, framed, each] = audiences;
      if (ours === undefined || framed === undefined || each === undefined) throw new Error('Not all have started');
      for (const audience of audiences) await tell(audience);
      const byFramed = await alternate(rounds, { ours: () => tell(ours), floor: () => tell(framed) });
      const byEach = await alternate(rounds, { ours: () => tell(ours), floor: () => tell(each) });
      const cpu = (floor: Audience) => ({ ours: ours.meter.msPerOperation, floor: floor.meter.msPerOperation });
      return [
        { name: 'by frames made before', unit: 'lines/s', ...byFramed, bound: { least: 0.9 }, cpu: cpu(framed) },
        { name: 'by ws.send', unit: 'lines/s', ...byEach, bound: { least: 6 }, cpu: cpu(each) },
      ];
    } finally {
      for (const { server, sink } of audiences) {
        await sink.close();
        await server.stop();
      }
      await installation.close();
    }
  },
};
