import { randomUUID } from 'node:crypto';
import { chunksOf } from '../../src/build-logs/log-chunk';
import { logEntry } from '../../src/build-logs/log-entry';
import type { Installation } from './installation';

/** What compaction makes of a log: chunks of about 64 KiB. */
export const linesPerChunk = 500;

/** Lines as builds print them, of some 100 bytes with what JSON adds. */
export function sampleLines(count: number): string[] {
  return Array.from({ length: count }, (_, line) => `#${line % 97} CC objects/${randomUUID()}.o -> libcore.a`);
}

/** A finished build with a log of this many lines, put into the store as compaction leaves it. */
export async function makeLongLog(
  { postgres, tenant }: Installation,
  projectId: string,
  lines: number,
): Promise<{ readonly id: string }> {
  const { id } = await tenant.create({ id: projectId }, { branch: 'main' });
  const [chunk] = chunksOf(sampleLines(linesPerChunk).map((text) => logEntry('INFO', text)));
  await postgres.sql(
    `INSERT INTO build_log_chunks
       (build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines)
     SELECT $1, number * $2::int, $2, 0, $2, 0, 0, $3 FROM generate_series(0, $4::int - 1) number`,
    [id, linesPerChunk, chunk?.lines, lines / linesPerChunk],
  );
  await postgres.sql(
    `UPDATE build_logs SET total_lines = $2, compacted_lines = $2, compacted_at = now(), closed_at = now(),
       outcome = 'success', writer_token = NULL WHERE build_id = $1`,
    [id, lines],
  );
  await postgres.sql('VACUUM ANALYZE build_log_chunks');
  return { id };
}
