import { FramedLines } from '../../src/build-logs/framed-lines';
import { Installation } from '../harness/installation';
import { linesPerChunk, makeLongLog } from '../harness/long-log';
import { residentMb } from '../harness/memory';
import { Sink } from '../harness/sink';
import { timeRequests } from '../harness/time-requests';
import { type Curve, decades } from './curve';

const pageLines = 1_000;
const requests = 100;
const [first, last, replay, disk, memory] = [
  'first page of 1,000 lines, ms',
  'last page of 1,000 lines, ms',
  'replay to one reader, s',
  'disk with index, MB',
  'memory of the replica after it, MB',
] as const;

export const logLength: Curve = {
  id: 'log-length',
  size: 'lines of the log',
  measures: [first, last, replay, disk, memory],
  async *points(options) {
    const installation = await Installation.open();
    const { postgres, service, token } = installation;
    try {
      const { id: projectId } = await installation.project();
      for (const size of decades(1_000, 10_000_000, options)) {
        const { id } = await makeLongLog(installation, projectId, size);
        const path = `/api/v1/builds/${id}/logs`;
        const page = async (offset: number): Promise<number> =>
          (await timeRequests(`${service.url}${path}?offset=${offset}&limit=${pageLines}`, requests, token)).median;
        const [chunk] = await postgres.sql<{ lines: string }>(
          'SELECT lines FROM build_log_chunks WHERE build_id = $1 LIMIT 1',
          [id],
        );
        const bytes = (FramedLines.of(id, 0, chunk?.lines ?? '').since(0).length * size) / linesPerChunk;
        const [used] = await postgres.sql<{ mb: number }>(
          "SELECT (pg_total_relation_size('build_log_chunks') / 1e6)::float8 AS mb",
        );
        // The first of them wakes what sleeps.
        await page(0);
        const times = { [first]: await page(0), [last]: await page(size - pageLines) };
        const began = performance.now();
        const sink = await Sink.open({ url: `${service.url.replace('http', 'ws')}${path}/stream`, clients: 1, token });
        await sink.received(bytes);
        const seconds = (performance.now() - began) / 1_000;
        await sink.close();
        yield {
          size,
          values: { ...times, [replay]: seconds, [disk]: used?.mb ?? NaN, [memory]: residentMb(service.pid) },
        };
        await postgres.sql('TRUNCATE build_log_chunks');
      }
    } finally {
      await installation.close();
    }
  },
};
