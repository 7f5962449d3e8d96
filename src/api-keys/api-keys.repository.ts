import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { DataSource, type EntityManager, Repository } from 'typeorm';
import type { Permission, Role } from '../access/permission';
import { query } from '../database/query';
import { offsetOf, type PageQuery } from '../http/page';
import { ApiKeyEntity } from './api-key.entity';

/** Keys that have ended are shown for so long, so that their owner can see why a machine is refused. */
const shownAfterEnd = '30 days';

export type NewApiKeyRow = Pick<ApiKeyEntity, 'tenantId' | 'userId' | 'name' | 'prefix' | 'keyHash' | 'permissions'> & {
  readonly days: number;
};

/** Which keys of a tenant somebody may see and revoke; all of them when nothing else is said. */
export type ApiKeyScope = Pick<ApiKeyEntity, 'tenantId'> & Partial<Pick<ApiKeyEntity, 'userId' | 'id'>>;

/** A key that is good at the moment, and its owner. */
export interface GoodApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly keyHash: Buffer;
  readonly permissions: readonly Permission[];
  readonly expiresAt: Date;
  readonly role: Role;
  readonly platformAdmin: boolean;
  /** Its last use was not noted for a minute. */
  readonly isUseStale: boolean;
}

@Injectable()
export class ApiKeysRepository {
  public constructor(
    private readonly dataSource: DataSource,
    @InjectRepository(ApiKeyEntity) private readonly keys: Repository<ApiKeyEntity>,
  ) {}

  /**
   * Adds a key to those of an enabled user. Two at once of one user wait for each other, so that the limit is exact.
   * @param most how many keys a user may have that have not ended
   */
  public async insert(
    manager: EntityManager,
    key: NewApiKeyRow,
    most: number,
  ): Promise<ApiKeyEntity | 'no such user' | 'too many'> {
    const owner = await query(
      manager,
      'SELECT id FROM users WHERE id = $1 AND tenant_id = $2 AND disabled_at IS NULL FOR NO KEY UPDATE',
      [key.userId, key.tenantId],
    );
    if (owner.length === 0) return 'no such user';
    await query(
      manager,
      'DELETE FROM api_keys WHERE user_id = $1 AND tenant_id = $2 AND expires_at < now() - $3::interval',
      [key.userId, key.tenantId, shownAfterEnd],
    );
    const id = await this.insertBelow(manager, key, most);
    return id === undefined ? 'too many' : manager.getRepository(ApiKeyEntity).findOneByOrFail({ id });
  }

  public list(scope: ApiKeyScope, page: PageQuery): Promise<[ApiKeyEntity[], number]> {
    return this.keys.findAndCount({
      where: scope,
      order: { createdAt: 'DESC', id: 'DESC' },
      skip: Number(offsetOf(page)),
      take: page.limit,
    });
  }

  /** False when there is none of this id in the scope. */
  public async delete(manager: EntityManager, scope: ApiKeyScope, id: string): Promise<boolean> {
    const [gone] = await query(
      manager,
      `DELETE FROM api_keys
       WHERE id = $1 AND tenant_id = $2 AND user_id = coalesce($3, user_id) AND id = coalesce($4, id) RETURNING id`,
      [id, scope.tenantId, scope.userId ?? null, scope.id ?? null],
    );
    return gone !== undefined;
  }

  /** For a credential: the one lookup that knows no tenant yet. Null also when the owner or the tenant is disabled. */
  public async findGood(prefix: string): Promise<GoodApiKey | null> {
    const [key] = await query<GoodApiKey>(
      this.dataSource,
      `SELECT k.id, k.tenant_id AS "tenantId", k.user_id AS "userId", k.key_hash AS "keyHash", k.permissions,
              k.expires_at AS "expiresAt", u.role, u.platform_admin AS "platformAdmin",
              k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute' AS "isUseStale"
       FROM api_keys k
       JOIN users u ON u.id = k.user_id AND u.tenant_id = k.tenant_id
       JOIN tenants t ON t.id = k.tenant_id
       WHERE k.prefix = $1 AND k.expires_at > now() AND u.disabled_at IS NULL AND t.disabled_at IS NULL`,
      [prefix],
    );
    return key ?? null;
  }

  /** At most once a minute, however many requests come at once. */
  public async noteUse(id: string): Promise<void> {
    await query(
      this.dataSource,
      `UPDATE api_keys SET last_used_at = now()
       WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
      [id],
    );
  }

  private async insertBelow(manager: EntityManager, key: NewApiKeyRow, most: number): Promise<string | undefined> {
    const [made] = await query<{ id: string }>(
      manager,
      `INSERT INTO api_keys (tenant_id, user_id, name, prefix, key_hash, permissions, expires_at)
       SELECT $1, $2, $3, $4, $5, $6, now() + $7 * interval '24 hours'
       WHERE (SELECT count(*) FROM api_keys WHERE user_id = $2 AND expires_at > now()) < $8
       RETURNING id`,
      [key.tenantId, key.userId, key.name, key.prefix, key.keyHash, key.permissions, key.days, most],
    );
    return made?.id;
  }
}
