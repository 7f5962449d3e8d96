import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { query } from '../database/query';

/** How many may be had in how long a time. */
export interface RateLimit {
  /** Of a window. */
  readonly most: number;
  readonly windowSeconds: number;
}

/** What a replica got of a window's budget. */
export interface Share {
  /** 0: the budget of this window is spent. */
  readonly granted: number;
  /** What nobody has taken yet. */
  readonly left: number;
  /** Until the window ends, by the database's clock. */
  readonly endsInMs: number;
}

/** Budgets that all replicas share: a row for each key, whose window begins with its first use. */
@Injectable()
export class RateLimitsRepository {
  public constructor(@InjectDataSource() private readonly source: DataSource) {}

  /** Takes one of so many parts of what is left of the window, at least one unit where one is left. */
  public async take(key: string, { most, windowSeconds }: RateLimit, parts: number): Promise<Share> {
    const [share] = await query<Share>(
      this.source,
      `INSERT INTO rate_limits AS r (key, granted, taken, window_ends_at)
       SELECT $1, first, first, now() + make_interval(secs => $3) FROM ceil($2::float8 / $4) AS first
       ON CONFLICT (key) DO UPDATE SET (granted, taken, window_ends_at) = (
         SELECT share, used + share, ends_at
         FROM (SELECT
                 CASE WHEN r.window_ends_at > now() THEN r.taken ELSE 0 END AS used,
                 CASE WHEN r.window_ends_at > now() THEN r.window_ends_at ELSE excluded.window_ends_at END AS ends_at
              ) AS counted,
              ceil(greatest($2 - used, 0)::float8 / $4) AS share
       )
       RETURNING granted, greatest($2 - taken, 0) AS left,
                 (extract(epoch FROM window_ends_at - now()) * 1000)::float8 AS "endsInMs"`,
      [key, most, windowSeconds, parts],
    );
    if (share === undefined) throw new Error('The budget gave no answer');
    return share;
  }

  /** Puts one unit back that was taken from a window which still goes on. */
  public async giveBack(key: string): Promise<void> {
    await query(
      this.source,
      'UPDATE rate_limits SET taken = taken - 1 WHERE key = $1 AND taken > 0 AND window_ends_at > now()',
      [key],
    );
  }

  /** Begins the window anew. */
  public async forget(key: string): Promise<void> {
    await query(this.source, 'DELETE FROM rate_limits WHERE key = $1', [key]);
  }

  /**
   * Removes a batch of the windows that are over.
   * @returns how many it removed
   */
  public async forgetEnded(batch: number): Promise<number> {
    const [removed] = await query<{ readonly count: number }>(
      this.source,
      `WITH removed AS (
         DELETE FROM rate_limits WHERE key IN (
           SELECT key FROM rate_limits WHERE window_ends_at < now()
           ORDER BY window_ends_at LIMIT $1 FOR UPDATE SKIP LOCKED)
         RETURNING 1)
       SELECT count(*)::int AS count FROM removed`,
      [batch],
    );
    return removed?.count ?? 0;
  }
}
