import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';

const lifetime = '30 days';

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** What a presented refresh token turned out to be; a good one comes with the token that takes its place. */
export type Rotation =
  | { readonly kind: 'good'; readonly userId: string; readonly familyId: string; readonly next: string }
  | { readonly kind: 'reused'; readonly userId: string; readonly familyId: string }
  | { readonly kind: 'unknown' };

function newToken(): string {
  return randomBytes(32).toString('base64url');
}

/** Refresh tokens are stored as hashes. All that descend from one sign-in are a family. */
@Injectable()
export class RefreshTokensRepository {
  public constructor(@InjectDataSource() private readonly source: DataSource) {}

  /** Makes the first token of a new family and returns it; it cannot be read again. */
  public async issue(manager: EntityManager, userId: string): Promise<string> {
    const token = newToken();
    await query(
      manager,
      `INSERT INTO refresh_tokens (user_id, family_id, token_hash, expires_at) VALUES ($1, $2, $3, now() + $4::interval)`,
      [userId, randomUUID(), hashOf(token), lifetime],
    );
    return token;
  }

  /** Whose token it is, while it is good; else null. */
  public async userOf(token: string): Promise<string | null> {
    const [row] = await query<{ userId: string }>(
      this.source,
      `SELECT user_id AS "userId" FROM refresh_tokens
       WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()`,
      [hashOf(token)],
    );
    return row?.userId ?? null;
  }

  /**
   * Spends the token and makes the next one of its family, in one statement. Of two that present it at once, one gets the
   * next token; the other waits for that, and then has reused it: so revoking the family reaches the next token too.
   */
  public async rotate(manager: EntityManager, token: string): Promise<Rotation> {
    const hash = hashOf(token);
    const next = newToken();
    const [good] = await query<{ userId: string; familyId: string }>(
      manager,
      `WITH spent AS (
         UPDATE refresh_tokens SET used_at = now()
         WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
         RETURNING user_id, family_id
       )
       INSERT INTO refresh_tokens (user_id, family_id, token_hash, expires_at)
       SELECT user_id, family_id, $2, now() + $3::interval FROM spent
       RETURNING user_id AS "userId", family_id AS "familyId"`,
      [hash, hashOf(next), lifetime],
    );
    if (good !== undefined) return { kind: 'good', ...good, next };
    const [known] = await query<{ userId: string; familyId: string; used: boolean }>(
      manager,
      `SELECT user_id AS "userId", family_id AS "familyId", used_at IS NOT NULL AS used
       FROM refresh_tokens WHERE token_hash = $1`,
      [hash],
    );
    if (known?.used !== true) return { kind: 'unknown' };
    return { kind: 'reused', userId: known.userId, familyId: known.familyId };
  }

  /** False when it was revoked before. */
  public async revokeFamily(manager: EntityManager, familyId: string): Promise<boolean> {
    const revoked = await query(
      manager,
      'UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = $1 AND revoked_at IS NULL RETURNING family_id',
      [familyId],
    );
    return revoked.length > 0;
  }

  /** Revokes the family of a token of this user. False when it was before; a token of anybody else changes nothing. */
  public async revokeFamilyOf(manager: EntityManager, userId: string, token: string): Promise<boolean> {
    const revoked = await query(
      manager,
      `UPDATE refresh_tokens SET revoked_at = now()
       WHERE revoked_at IS NULL
         AND family_id = (SELECT family_id FROM refresh_tokens WHERE token_hash = $2 AND user_id = $1)
       RETURNING family_id`,
      [userId, hashOf(token)],
    );
    return revoked.length > 0;
  }
}
