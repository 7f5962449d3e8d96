import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';
import { logEntry } from './log-entry';

/** About what a joined chunk holds: the text of a page, and as much as compresses well. */
const partBytes = 64 * 1_024;
/** What one statement works on at most. */
const windowBytes = 1_024 * 1_024;
const windowChunks = 1_000;

const chunksAtOnce = 500;
const logsAtOnce = 100;

/**
 * Joins chunks of the log that has waited longest. A chunk belongs to the part of `partBytes` in which its middle lies, so
 * that a large one stays as it is. The last part of a window may have been cut by the window's end, so the next window
 * begins with it.
 *
 * One statement has one snapshot: a reader beside it sees the chunks of before or those of after. The counter row is locked
 * before the chunks, as everywhere, so that a purge does not miss a chunk that is being written here.
 */
const compactSql = `
  WITH log AS (
    SELECT build_id, compacted_lines, total_lines FROM build_logs
    WHERE closed_at IS NOT NULL AND compacted_at IS NULL AND deleted_at IS NULL
    ORDER BY closed_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
  ), next AS (
    SELECT c.first_line, c.first_line + c.line_count AS end_line, octet_length(c.lines) AS bytes,
           sum(octet_length(c.lines)) OVER (ORDER BY c.first_line) AS bytes_to
    FROM log CROSS JOIN LATERAL (
      SELECT first_line, line_count, lines FROM build_log_chunks
      WHERE build_id = log.build_id AND first_line >= log.compacted_lines
      ORDER BY first_line LIMIT ${windowChunks}
    ) c
  ), sorted AS (
    SELECT first_line, end_line, floor((bytes_to - bytes / 2) / ${partBytes}) AS part
    FROM next WHERE bytes_to - bytes < ${windowBytes}
  ), parts AS (
    SELECT part, min(first_line) AS first_line, max(end_line) AS end_line, count(*) AS chunks FROM sorted GROUP BY part
  ), small AS (
    DELETE FROM build_log_chunks c USING log, sorted, parts
    WHERE c.build_id = log.build_id AND c.first_line = sorted.first_line
      AND sorted.part = parts.part AND parts.chunks > 1
    RETURNING c.*, parts.part
  ), joined AS (
    INSERT INTO build_log_chunks
      (build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines)
    SELECT build_id, min(first_line), sum(line_count), sum(debug_count), sum(info_count), sum(warn_count),
           sum(error_count), string_agg(lines, E'\\n' ORDER BY first_line)
    FROM small GROUP BY build_id, part
  ), reach AS (
    SELECT coalesce(max(end_line), 0) AS end_line,
           CASE WHEN count(*) = 1 THEN max(end_line) ELSE max(first_line) END AS next_line
    FROM parts
  )
  UPDATE build_logs b SET
    compacted_lines = CASE WHEN is_done THEN log.total_lines ELSE next_line END,
    compacted_at = CASE WHEN is_done THEN now() END
  FROM log, reach, LATERAL (SELECT reach.end_line IN (0, log.total_lines) AS is_done) state
  WHERE b.build_id = log.build_id
  RETURNING b.build_id`;

/**
 * Makes logs that were closed so many days ago ($1) say only that ($2), in one statement: from then on they have one line,
 * and readers do not see the chunks that are still behind it. The first chunk, if there is one, becomes that line's.
 */
const expireSql = `
  WITH log AS (
    SELECT build_id FROM build_logs
    WHERE closed_at < now() - make_interval(days => $1) AND expired_at IS NULL AND deleted_at IS NULL
    ORDER BY closed_at LIMIT ${logsAtOnce} FOR NO KEY UPDATE SKIP LOCKED
  ), line AS (
    INSERT INTO build_log_chunks
      (build_id, first_line, line_count, debug_count, info_count, warn_count, error_count, lines)
    SELECT build_id, 0, 1, 0, 1, 0, 0, $2 FROM log
    ON CONFLICT (build_id, first_line) DO UPDATE SET
      line_count = 1, debug_count = 0, info_count = 1, warn_count = 0, error_count = 0, lines = excluded.lines
  )
  UPDATE build_logs b SET total_lines = 1, expired_at = now(), compacted_at = coalesce(compacted_at, now())
  FROM log WHERE b.build_id = log.build_id RETURNING b.build_id`;

/** Removes a batch of the chunks behind the one line of an expired log. */
const purgeExpiredSql = `
  WITH log AS (
    SELECT build_id FROM build_logs
    WHERE expired_at IS NOT NULL AND purged_at IS NULL AND deleted_at IS NULL
    ORDER BY expired_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM build_log_chunks c USING log
    WHERE c.build_id = log.build_id AND c.first_line IN (
      SELECT first_line FROM build_log_chunks WHERE build_id = log.build_id AND first_line > 0
      ORDER BY first_line LIMIT ${chunksAtOnce}
    ) RETURNING c.first_line
  )
  UPDATE build_logs b SET purged_at = CASE WHEN (SELECT count(*) FROM gone) < ${chunksAtOnce} THEN now() END
  FROM log WHERE b.build_id = log.build_id RETURNING b.build_id`;

/** What is done to logs that nobody writes any more. One janitor at a time calls it. */
@Injectable()
export class LogUpkeepRepository {
  public constructor(@InjectDataSource() private readonly source: DataSource) {}

  /**
   * Joins small chunks of a closed log, a megabyte of text at most; readers notice nothing.
   * @returns false when no log waits for it.
   */
  public async compactNext(runner: DataSource | EntityManager = this.source): Promise<boolean> {
    return (await query(runner, compactSql)).length > 0;
  }

  /**
   * Replaces logs that were closed so many days ago, each by one line that says so. Readers with any offset see from then
   * on a closed log of one line, and never a part of the old one. `purgeExpired` then frees the space.
   * @returns true when there may be more of them.
   */
  public async expire(runner: DataSource | EntityManager, days: number): Promise<boolean> {
    const line = logEntry('INFO', `The log was removed after ${days} ${days === 1 ? 'day' : 'days'}`);
    return (await query(runner, expireSql, [days, JSON.stringify(line)])).length === logsAtOnce;
  }

  /**
   * Removes a batch of the lines of a log that expired.
   * @returns false when no log waits for it.
   */
  public async purgeExpired(runner: DataSource | EntityManager): Promise<boolean> {
    return (await query(runner, purgeExpiredSql)).length > 0;
  }

  /**
   * Removes a batch of the chunks of a log that was marked deleted, and with the last of them the log.
   * @param manager of the transaction in which the caller removes the build as well
   * @returns true when nothing of the log is left.
   */
  public async purge(manager: EntityManager, buildId: string): Promise<boolean> {
    await query(manager, 'SELECT FROM build_logs WHERE build_id = $1 FOR UPDATE', [buildId]);
    const chunks = await query(
      manager,
      `DELETE FROM build_log_chunks WHERE build_id = $1 AND first_line IN (
         SELECT first_line FROM build_log_chunks WHERE build_id = $1 ORDER BY first_line LIMIT ${chunksAtOnce}
       ) RETURNING first_line`,
      [buildId],
    );
    if (chunks.length === chunksAtOnce) return false;
    await query(manager, 'DELETE FROM build_logs WHERE build_id = $1', [buildId]);
    return true;
  }
}
