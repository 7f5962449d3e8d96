import { Injectable } from '@nestjs/common';
import type { Identity } from '../access/identity';
import type { Permission } from '../access/permission';
import { unauthorized } from '../access/unauthorized';
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
  public constructor(private readonly keys: ApiKeysRepository) {}

  /**
   * A key must not outlive what made it: neither another key, which may be revoked, nor a user whom the outside issuer may
   * shut out without our knowing.
   */
  public async create(identity: Identity, request: CreateApiKeyDto): Promise<CreatedApiKeyDto> {
    const { tenantId, userId, signIn } = identity;
    if (signIn.by !== 'password') {
      throw new ApiError(403, 'API keys are made by users who are signed in with their password');
    }
    const missing = request.permissions.filter((permission) => !identity.permissions.has(permission));
    if (missing.length > 0) {
      throw new ApiError(403, 'A key may do at most what you may', { permissions: `not yours: ${missing.join(', ')}` });
    }
    const { key, prefix } = newApiKey();
    const { name, permissions, expires_in_days: days } = request;
    const row = { tenantId, userId, name, permissions, days, prefix, keyHash: hashOfApiKey(key) };
    const made = await this.keys.insert(row, mostKeys);
    if (made === 'no such user') throw unauthorized();
    if (made === 'too many') throw new ApiError(409, `You have ${mostKeys} API keys; revoke one first`);
    return toCreatedApiKey(made, key);
  }

  public async list(identity: Identity, page: PageQuery): Promise<ApiKeyListDto> {
    const [keys, total] = await this.keys.list(scopeOf(identity, 'api-key:list'), page);
    return { api_keys: keys.map(toApiKey), ...pageOf(page, total) };
  }

  public async revoke(identity: Identity, id: string): Promise<void> {
    const isGone = await this.keys.delete(scopeOf(identity, 'api-key:delete'), id);
    if (!isGone) throw new ApiError(404, 'API key not found');
  }
}
