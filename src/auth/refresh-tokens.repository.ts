import { Injectable } from '@nestjs/common';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { query } from '../database/query';

const lifetime = '30 days';

function hashOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

/** What a presented refresh token turned out to be. */
export type Redeemed =
  | { readonly kind: 'good'; readonly userId: string; readonly familyId: string }
  | { readonly kind: 'reused'; readonly familyId: string }
  | { readonly kind: 'unknown' };

/** Refresh tokens are stored as hashes. All that descend from one sign-in are a family. */
@Injectable()
export class RefreshTokensRepository {
  public constructor(private readonly dataSource: DataSource) {}

  /** Makes a token of a new family, or the next one of a family, and returns it; it cannot be read again. */
  public async issue(userId: string, familyId: string = randomUUID()): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    await query(
      this.dataSource,
      `INSERT INTO refresh_tokens (user_id, family_id, token_hash, expires_at) VALUES ($1, $2, $3, now() + $4::interval)`,
      [userId, familyId, hashOf(token), lifetime],
    );
    return token;
  }

  /** Marks the token as used. Of two that present it at once, one redeems it and the other has reused it. */
  public async redeem(token: string): Promise<Redeemed> {
    const hash = hashOf(token);
    const [good] = await query<{ userId: string; familyId: string }>(
      this.dataSource,
      `UPDATE refresh_tokens SET used_at = now()
       WHERE token_hash = $1 AND used_at IS NULL AND revoked_at IS NULL AND expires_at > now()
       RETURNING user_id AS "userId", family_id AS "familyId"`,
      [hash],
    );
    if (good !== undefined) return { kind: 'good', ...good };
    const [known] = await query<{ familyId: string; used: boolean }>(
      this.dataSource,
      'SELECT family_id AS "familyId", used_at IS NOT NULL AS used FROM refresh_tokens WHERE token_hash = $1',
      [hash],
    );
    return known?.used === true ? { kind: 'reused', familyId: known.familyId } : { kind: 'unknown' };
  }

  public async revokeFamily(familyId: string): Promise<void> {
    await query(
      this.dataSource,
      'UPDATE refresh_tokens SET revoked_at = now() WHERE family_id = $1 AND revoked_at IS NULL',
      [familyId],
    );
  }

  /** Revokes the family of a token of this user; a token of anybody else changes nothing. */
  public async revokeFamilyOf(userId: string, token: string): Promise<void> {
    await query(
      this.dataSource,
      `UPDATE refresh_tokens SET revoked_at = now()
       WHERE revoked_at IS NULL
         AND family_id = (SELECT family_id FROM refresh_tokens WHERE token_hash = $2 AND user_id = $1)`,
      [userId, hashOf(token)],
    );
  }
}
