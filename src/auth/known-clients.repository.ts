import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';

const rememberedDays = 30;
const batch = 1_000;

/** From where accounts signed in of late. An account is the hash of its address. */
@Injectable()
export class KnownClientsRepository {
  public constructor(@InjectDataSource() private readonly source: DataSource) {}

  public async has(account: string, client: string): Promise<boolean> {
    const rows = await query(
      this.source,
      `SELECT account FROM known_clients
       WHERE account = $1 AND client = $2 AND seen_at > now() - make_interval(days => $3)`,
      [account, client, rememberedDays],
    );
    return rows.length === 1;
  }

  /** Once an hour at most, as nothing finer is asked. */
  public async remember(account: string, client: string): Promise<void> {
    await query(
      this.source,
      `INSERT INTO known_clients AS k (account, client) VALUES ($1, $2)
       ON CONFLICT (account, client) DO UPDATE SET seen_at = now() WHERE k.seen_at < now() - interval '1 hour'`,
      [account, client],
    );
  }

  /** Removes a batch of what is too old to count. True when there may be more. */
  public async forgetOld(manager: EntityManager): Promise<boolean> {
    const forgotten = await query(
      manager,
      `DELETE FROM known_clients WHERE (account, client) IN (
         SELECT account, client FROM known_clients
         WHERE seen_at < now() - make_interval(days => $1) ORDER BY seen_at LIMIT ${batch})
       RETURNING account`,
      [rememberedDays],
    );
    return forgotten.length === batch;
  }
}
