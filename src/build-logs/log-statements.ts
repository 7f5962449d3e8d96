import type { BuildLogAppended } from '../events/build-events';

/**
 * Stores one chunk and numbers its lines, in one statement: the counter row is updated only while the guard holds, and
 * what it returns feeds the insert. $1 build, $2 line count, $3–$6 lines by level, $7 the lines; what a statement needs
 * besides comes after. Returns `first_line`, or no row when the guard did not hold.
 */
function storing(set: string, guard: string): string {
  return `
    WITH counter AS (
      UPDATE build_logs SET total_lines = total_lines + $2::int ${set}
      WHERE build_id = $1 AND closed_at IS NULL AND deleted_at IS NULL ${guard}
      RETURNING total_lines - $2::int AS first_line
    ), chunk AS (
      INSERT INTO build_log_chunks
        (build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines)
      SELECT $1, first_line, $2::int, $3::int, $4::int, $5::int, $6::int, $7 FROM counter WHERE $2::int > 0
    )
    SELECT first_line AS "firstLine" FROM counter`;
}

/**
 * The same for statements that change a build as well: the tables `counter` and `chunk` for their `WITH`, which store one
 * chunk for each row of `told` (build_id, line_count, debug_count, info_count, warn_count, error_count, lines, outcome), and
 * with an outcome close the log. `counter` has what was stored, as `ToldLines` wants it.
 */
export const tellingSql = `
  counter AS (
    UPDATE build_logs l SET
      total_lines = l.total_lines + told.line_count,
      closed_at = CASE WHEN told.outcome IS NOT NULL THEN now() END,
      outcome = told.outcome,
      writer_token = CASE WHEN told.outcome IS NULL THEN l.writer_token END
    FROM told WHERE l.build_id = told.build_id AND l.closed_at IS NULL AND l.deleted_at IS NULL
    RETURNING told.*, l.total_lines - told.line_count AS first_line
  ), chunk AS (
    INSERT INTO build_log_chunks
      (build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines)
    SELECT build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines FROM counter
  )`;

/** What `counter` of `tellingSql` says, with the names of its columns. */
export interface ToldLines {
  readonly build_id: string;
  readonly first_line: number;
  readonly line_count: number;
  readonly lines: string;
  readonly outcome: string | null;
}

/** The event to publish after the commit; null when the log took no lines any more. */
export function toldEvent(told: ToldLines | null): BuildLogAppended | null {
  if (told === null) return null;
  const { build_id: buildId, first_line: firstLine, line_count: lineCount, lines, outcome } = told;
  return { buildId, firstLine, totalLines: firstLine + lineCount, lines, ended: outcome !== null };
}

/** A flush of the writer with token $8, its $9th: the fence is in the row that the statement locks. */
export const flushSql = storing(', writer_seq = $9::int', 'AND writer_token = $8 AND writer_seq = $9::int - 1');

/** Lines of the API, which holds no lease. */
export const appendSql = storing('', '');

/** The lines before a writer's last ones, in the transaction that closes the log; $8 is its token. */
export const appendByWriterSql = storing('', 'AND writer_token = $8');

/** The last lines and the end of the log, with outcome $8. Nobody may write afterwards. */
export const closeSql = storing(', closed_at = now(), outcome = $8, writer_token = NULL', '');

/** The same, but only while $9 is the writer. */
export const closeByWriterSql = storing(
  ', closed_at = now(), outcome = $8, writer_token = NULL',
  'AND writer_token = $9',
);

const headColumns = `
  total_lines AS "totalLines", closed_at AS "closedAt", outcome, deleted_at IS NOT NULL AS deleted`;

export const headSql = `SELECT ${headColumns} FROM build_logs WHERE build_id = $1 AND tenant_id = $2`;

export const headsSql = `SELECT build_id AS "buildId", ${headColumns} FROM build_logs WHERE build_id = ANY($1::uuid[])`;

/**
 * From the last chunk that begins at or before the line $2, chunks of the next $3 lines. What is behind the end of the
 * log belongs to lines that expired, and is being purged.
 */
const chunkRange = `
  c.build_id = $1
  AND c.first_line >= COALESCE(
    (SELECT max(first_line) FROM build_log_chunks WHERE build_id = $1 AND first_line <= $2::int), 0)
  AND c.first_line < $2::int + $3::int
  AND c.first_line < (SELECT total_lines FROM build_logs WHERE build_id = $1)`;

/** Chunks until they hold $4 bytes; at least one. `octet_length` does not decompress. */
export const pageSql = `
  SELECT "firstLine", "lineCount", lines FROM (
    SELECT c.first_line AS "firstLine", c.line_count AS "lineCount", c.lines,
      sum(octet_length(c.lines)) OVER (ORDER BY c.first_line) - octet_length(c.lines) AS bytes_before
    FROM build_log_chunks c WHERE ${chunkRange}
  ) page WHERE bytes_before < $4 ORDER BY "firstLine"`;

/** The counter and the chunks of one page, in one snapshot, for a reader of the tenant $4. */
export const readSql = `
  SELECT l.total_lines AS "totalLines", c.first_line AS "firstLine", c.line_count AS "lineCount", c.lines
  FROM build_logs l LEFT JOIN build_log_chunks c ON ${chunkRange}
  WHERE l.build_id = $1 AND l.tenant_id = $4 AND l.deleted_at IS NULL
  ORDER BY c.first_line`;
