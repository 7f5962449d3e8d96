import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';
import type { BuildLogAppended } from '../events/build-events';
import { LeaseLost } from './lease-lost';
import { chunksOf, type LogChunk } from './log-chunk';
import type { LogEntry } from './log-entry';
import { type LogPage, spliceLines, type StoredChunk } from './log-page';
import {
  appendByWriterSql,
  appendSql,
  closeByWriterSql,
  closeSql,
  flushSql,
  headsSql,
  headSql,
  pageSql,
  readSql,
} from './log-statements';

type Runner = DataSource | EntityManager;

/** How far a log is, without its lines. */
export interface LogHead {
  readonly totalLines: number;
  readonly closedAt: Date | null;
  /** The status of the build; set together with `closedAt`. */
  readonly outcome: string | null;
  readonly deleted: boolean;
}

/** A page together with the log's true length, of one moment. */
export interface LogReading extends LogPage {
  readonly totalLines: number;
}

/** One write of a build's worker. `seq` counts them from 1 for each token. */
export interface LogFlush {
  readonly buildId: string;
  readonly token: string;
  readonly seq: number;
  readonly chunk: LogChunk;
}

/** No log has more lines: the column is an integer. */
const mostLines = 2_147_483_647;

/**
 * The one place that asks the database about logs. A log is a counter row, which numbers the lines and names the one
 * worker that may write, and chunks of lines. Locks are always taken in the order builds, build_logs, chunks.
 *
 * What stores lines returns the event to publish once the transaction is committed, or null when the log did not take
 * them because it is closed, deleted or not the writer's any more.
 */
@Injectable()
export class BuildLogsRepository {
  public constructor(@InjectDataSource() private readonly source: DataSource) {}

  /** Opens the log of a new build. */
  public async create(manager: Runner, buildId: string, tenantId: string): Promise<void> {
    await query(manager, 'INSERT INTO build_logs (build_id, tenant_id) VALUES ($1, $2)', [buildId, tenantId]);
  }

  /** Makes this lease the log's only writer, and its next flush the first; null: no worker may write. */
  public async setWriter(manager: Runner, buildId: string, token: string | null): Promise<void> {
    await query(manager, 'UPDATE build_logs SET writer_token = $2, writer_seq = 0 WHERE build_id = $1', [
      buildId,
      token,
    ]);
  }

  /** Stores lines that the API writes, in its own transaction. */
  public async append(
    manager: Runner,
    buildId: string,
    entries: readonly LogEntry[],
  ): Promise<BuildLogAppended | null> {
    const stored: BuildLogAppended[] = [];
    for (const chunk of chunksOf(entries)) {
      const event = await this.store(manager, appendSql, buildId, chunk, []);
      if (event === null) return null;
      stored.push(event);
    }
    return joined(stored);
  }

  /**
   * Stores one batch of the worker's lines. Safe to repeat with the same `seq` after a lost connection: what had been
   * stored after all is not stored again, and the event then carries no lines, so that readers look into the store.
   * @throws LeaseLost
   */
  public async flush({ buildId, token, seq, chunk }: LogFlush): Promise<BuildLogAppended> {
    const event = await this.store(this.source, flushSql, buildId, chunk, [token, seq]);
    if (event !== null) return event;
    const [row] = await query<{ totalLines: number }>(
      this.source,
      `SELECT total_lines AS "totalLines" FROM build_logs
       WHERE build_id = $1 AND writer_token = $2 AND writer_seq = $3 AND deleted_at IS NULL`,
      [buildId, token, seq],
    );
    if (row === undefined) throw new LeaseLost(buildId);
    return { buildId, firstLine: row.totalLines, totalLines: row.totalLines, lines: '', ended: false };
  }

  /**
   * Stores the last lines and closes the log, so that a reader that sees it closed sees these lines as well.
   * @param outcome the final status of the build
   * @param token given: close only while this lease is the writer
   */
  public async close(
    manager: Runner,
    buildId: string,
    outcome: string,
    lastEntries: readonly LogEntry[],
    token?: string,
  ): Promise<BuildLogAppended | null> {
    return this.closeWith(manager, buildId, outcome, chunksOf(lastEntries), token);
  }

  /** `close` for lines that are chunks already. */
  public async closeWith(
    manager: Runner,
    buildId: string,
    outcome: string,
    chunks: readonly LogChunk[],
    token?: string,
  ): Promise<BuildLogAppended | null> {
    const guard = token === undefined ? [] : [token];
    const stored: BuildLogAppended[] = [];
    for (const chunk of chunks.slice(0, -1)) {
      const event = await this.store(
        manager,
        token === undefined ? appendSql : appendByWriterSql,
        buildId,
        chunk,
        guard,
      );
      if (event === null) return null;
      stored.push(event);
    }
    const sql = token === undefined ? closeSql : closeByWriterSql;
    const event = await this.store(manager, sql, buildId, chunks.at(-1) ?? nothing, [outcome, ...guard]);
    if (event === null) return null;
    return joined([...stored, { ...event, ended: true }]);
  }

  /** Hides logs from every reader and stops their writers. What had been deleted before is not among the events. */
  public async markDeleted(manager: Runner, buildIds: readonly string[]): Promise<BuildLogAppended[]> {
    const rows = await query<{ buildId: string; totalLines: number }>(
      manager,
      `WITH deleted AS (
         UPDATE build_logs SET deleted_at = now(), writer_token = NULL
         WHERE build_id = ANY($1::uuid[]) AND deleted_at IS NULL RETURNING build_id, total_lines
       ) SELECT build_id AS "buildId", total_lines AS "totalLines" FROM deleted`,
      [buildIds],
    );
    return rows.map((row) => ({ ...row, firstLine: row.totalLines, lines: '', ended: true }));
  }

  /** Null for a log that is absent, deleted or another tenant's. */
  public async head(buildId: string, tenantId: string): Promise<LogHead | null> {
    const [head] = await query<LogHead>(this.source, headSql, [buildId, tenantId]);
    return head === undefined || head.deleted ? null : head;
  }

  /** The heads of many logs at once, for readers that were let in before. Purged logs are missing. */
  public async heads(buildIds: readonly string[]): Promise<Map<string, LogHead>> {
    const rows = await query<LogHead & { buildId: string }>(this.source, headsSql, [buildIds]);
    return new Map(rows.map((row) => [row.buildId, row]));
  }

  /** A page for a user; null for a log that is absent, deleted or another tenant's. */
  public async read(buildId: string, tenantId: string, offset: number, limit: number): Promise<LogReading | null> {
    const rows = await query<(StoredChunk | { firstLine: null }) & { totalLines: number }>(this.source, readSql, [
      buildId,
      Math.min(offset, mostLines - limit),
      limit,
      tenantId,
    ]);
    const [first] = rows;
    if (first === undefined) return null;
    const chunks = rows.filter((row) => row.firstLine !== null);
    return { totalLines: first.totalLines, ...spliceLines(chunks, offset, limit) };
  }

  /**
   * Up to `limit` lines from `offset`, for a reader that was let in before.
   * @param bytes stop after the chunk that reaches this; at least one chunk is read
   */
  public async page(buildId: string, offset: number, limit: number, bytes: number): Promise<LogPage> {
    const chunks = await query<StoredChunk>(this.source, pageSql, [
      buildId,
      Math.min(offset, mostLines - limit),
      limit,
      bytes,
    ]);
    return spliceLines(chunks, offset, limit);
  }

  private async store(
    runner: Runner,
    sql: string,
    buildId: string,
    { lineCount, levels, lines }: LogChunk,
    more: readonly unknown[],
  ): Promise<BuildLogAppended | null> {
    const [row] = await query<{ firstLine: number }>(runner, sql, [
      buildId,
      lineCount,
      levels.DEBUG,
      levels.INFO,
      levels.WARN,
      levels.ERROR,
      lines,
      ...more,
    ]);
    if (row === undefined) return null;
    return { buildId, firstLine: row.firstLine, totalLines: row.firstLine + lineCount, lines, ended: false };
  }
}

const nothing: LogChunk = { lineCount: 0, levels: { DEBUG: 0, INFO: 0, WARN: 0, ERROR: 0 }, lines: '' };

/** One event for consecutive writes of one transaction, whose lock on the counter lets no other line between. */
function joined(events: readonly BuildLogAppended[]): BuildLogAppended | null {
  const [first] = events;
  const last = events.at(-1);
  if (first === undefined || last === undefined) return null;
  const lines = events.map((event) => event.lines).filter((text) => text !== '');
  return { ...last, firstLine: first.firstLine, lines: lines.join('\n') };
}
