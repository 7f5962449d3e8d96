import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { Caller } from '../access/caller';
import type { Identity } from '../access/identity';
import type { Permission } from '../access/permission';
import { unauthorized } from '../access/unauthorized';
import { AuditLog } from '../audit/audit-log';
import { transact } from '../database/transact';
import { ApiError } from '../http/api-error';
import { pageOf, type PageQuery } from '../http/page';
import { hashOfApiKey, newApiKey } from './api-key';
import {
  type ApiKeyListDto,
  type CreateApiKeyDto,
  type CreatedApiKeyDto,
  toApiKey,
  toCreatedApiKey,
} from './api-key.dto';
import { ApiKeysRepository, type ApiKeyScope } from './api-keys.repository';

/** How many keys a user may have at once. */
const mostKeys = 100;

/** What somebody may do with the keys: with all of the tenant, if permitted; with one's own; as a key, with itself alone. */
function scopeOf({ tenantId, userId, permissions, signIn }: Identity, overAll: Permission): ApiKeyScope {
  if (permissions.has(overAll)) return { tenantId };
  return signIn.by === 'api_key' ? { tenantId, id: signIn.keyId } : { tenantId, userId };
}

@Injectable()
export class ApiKeysService {
  public constructor(
    private readonly dataSource: DataSource,
    private readonly keys: ApiKeysRepository,
    private readonly audit: AuditLog,
  ) {}

  /**
   * A key must not outlive what made it: neither another key, which may be revoked, nor a user whom the outside issuer may
   * shut out without our knowing.
   */
  public async create(caller: Caller, request: CreateApiKeyDto): Promise<CreatedApiKeyDto> {
    const { tenantId, userId, signIn } = caller;
    if (signIn.by !== 'password') {
      throw new ApiError(403, 'API keys are made by users who are signed in with their password');
    }
    const missing = request.permissions.filter((permission) => !caller.permissions.has(permission));
    if (missing.length > 0) {
      throw new ApiError(403, 'A key may do at most what you may', { permissions: `not yours: ${missing.join(', ')}` });
    }
    const { key, prefix } = newApiKey();
    const { name, permissions, expires_in_days: days } = request;
    const row = { tenantId, userId, name, permissions, days, prefix, keyHash: hashOfApiKey(key) };
    const made = await transact(this.dataSource, async (manager) => {
      const inserted = await this.keys.insert(manager, row, mostKeys);
      if (typeof inserted === 'string') return inserted;
      const resource = { type: 'api_key', id: inserted.id } as const;
      await this.audit.record(manager, caller, { action: 'api_key.create', resource, details: { permissions, days } });
      return inserted;
    });
    if (made === 'no such user') throw unauthorized();
    if (made === 'too many') throw new ApiError(409, `You have ${mostKeys} API keys; revoke one first`);
    return toCreatedApiKey(made, key);
  }

  public async list(identity: Identity, page: PageQuery): Promise<ApiKeyListDto> {
    const [keys, total] = await this.keys.list(scopeOf(identity, 'api-key:list'), page);
    return { api_keys: keys.map(toApiKey), ...pageOf(page, total) };
  }

  public async revoke(caller: Caller, id: string): Promise<void> {
    await transact(this.dataSource, async (manager) => {
      const isGone = await this.keys.delete(manager, scopeOf(caller, 'api-key:delete'), id);
      if (!isGone) throw new ApiError(404, 'API key not found');
      await this.audit.record(manager, caller, { action: 'api_key.revoke', resource: { type: 'api_key', id } });
    });
  }
}
