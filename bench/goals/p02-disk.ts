import { randomUUID } from 'node:crypto';
import { chunksOf } from '../../src/build-logs/log-chunk';
import { logEntry } from '../../src/build-logs/log-entry';
import type { Goal } from '../harness/goal';
import { Installation } from '../harness/installation';
import { sampleLines } from '../harness/long-log';
import { Series } from '../harness/series';

export const disk: Goal = {
  id: 'P2',
  title: 'Disk of a line',
  async measure({ isQuick }) {
    const lines = isQuick ? 50_000 : 500_000;
    const installation = await Installation.open();
    const { postgres } = installation;
    try {
      const buildId = randomUUID();
      const entries = sampleLines(lines).map((text) => logEntry('INFO', text, { step: '1' }));
      await postgres.sql(`
        CREATE TABLE bench_lines (
          build_id uuid, line_number integer, logged_at timestamptz NOT NULL, level text NOT NULL, message text NOT NULL,
          metadata jsonb, PRIMARY KEY (build_id, line_number))`);
      const size = async (table: string): Promise<number> => {
        const [row] = await postgres.sql<{ bytes: number }>(`SELECT pg_total_relation_size('${table}')::int AS bytes`);
        return (row?.bytes ?? NaN) / lines;
      };
      await postgres.sql(
        `INSERT INTO bench_lines
         SELECT $1, number - 1, (entry->>'timestamp')::timestamptz, entry->>'level', entry->>'message', entry->'metadata'
         FROM unnest($2::jsonb[]) WITH ORDINALITY lines (entry, number)`,
        [buildId, entries.map((entry) => JSON.stringify(entry))],
      );
      let first = 0;
      for (const { lineCount, lines: text } of chunksOf(entries)) {
        await postgres.sql('INSERT INTO build_log_chunks VALUES ($1, $2, $3, 0, $3, 0, 0, $4)', [
          buildId,
          first,
          lineCount,
          text,
        ]);
        first += lineCount;
      }
      const [ours, floor] = [await size('build_log_chunks'), await size('bench_lines')];
      return [
        {
          name: 'bytes of a line, by a row a line',
          unit: 'bytes',
          ours: new Series([ours]),
          floor: new Series([floor]),
          ratio: new Series([ours / floor]),
          bound: { most: 0.35 },
        },
      ];
    } finally {
      await installation.close();
    }
  },
};
