import { createHash } from 'node:crypto';
import type { LogEntry } from '../../src/build-logs/log-entry';
import type { ChaosDatabase } from './chaos-database';

/** A row of the log store, past the service. */
interface ChunkRow {
  readonly first_line: number;
  readonly line_count: number;
  readonly lines: string;
}

/** What the tables say of one build. */
export interface StoredBuild {
  readonly status: string;
  readonly error_message: string | null;
  readonly lease_token: string | null;
  readonly worker_id: string | null;
  readonly claimed_at: Date | null;
  readonly completed_at: Date | null;
  readonly deleted_at: Date | null;
  readonly image_archive: string | null;
  readonly total_lines: number;
  readonly closed_at: Date | null;
  readonly outcome: string | null;
}

export async function readBuild(database: ChaosDatabase, id: string): Promise<StoredBuild | undefined> {
  const [row] = await database.sql<StoredBuild>(
    `SELECT status, error_message, lease_token, worker_id, claimed_at, completed_at, b.deleted_at, image_archive, total_lines, closed_at, outcome
     FROM builds b JOIN build_logs l ON l.build_id = b.id WHERE b.id = $1`,
    [id],
  );
  return row;
}

/** The lines of a build as they lie in the store. */
export class StoredLog {
  private constructor(private readonly chunks: readonly ChunkRow[]) {}

  public static async read(database: ChaosDatabase, buildId: string): Promise<StoredLog> {
    return new StoredLog(
      await database.sql<ChunkRow>(
        'SELECT first_line, line_count, lines FROM build_log_chunks WHERE build_id = $1 ORDER BY first_line',
        [buildId],
      ),
    );
  }

  /** What is wrong with the numbering of its lines; null when each chunk begins where the one before ends. */
  public fault(totalLines: number): { readonly kind: 'lost' | 'doubled'; readonly text: string } | null {
    let next = 0;
    for (const { first_line: first, line_count: count, lines } of this.chunks) {
      if (first > next) return { kind: 'lost', text: `lines ${next} to ${first - 1} are not in the store` };
      if (first < next) return { kind: 'doubled', text: `line ${first} is twice in the store` };
      const texts = lines.split('\n').length;
      if (texts !== count) return { kind: 'lost', text: `the chunk at line ${first} has ${texts} of ${count} lines` };
      next += count;
    }
    if (next === totalLines) return null;
    return { kind: next < totalLines ? 'lost' : 'doubled', text: `${next} of ${totalLines} lines are in the store` };
  }

  public get entries(): LogEntry[] {
    return this.texts.map((text) => JSON.parse(text) as LogEntry);
  }

  /** Changes with every line; not with how the lines are cut into chunks. */
  public get digest(): string {
    return createHash('sha256').update(this.texts.join('\n')).digest('hex');
  }

  private get texts(): string[] {
    return this.chunks.flatMap(({ lines }) => lines.split('\n'));
  }
}
