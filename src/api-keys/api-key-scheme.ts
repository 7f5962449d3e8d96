import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import { Authenticator, type CredentialScheme } from '../access/authenticator';
import type { Identity } from '../access/identity';
import { permissionsOf } from '../access/permission';
import { unauthorized } from '../access/unauthorized';
import { hashOfApiKey, looksLikeApiKey, prefixOfApiKey } from './api-key';
import { ApiKeysRepository, type GoodApiKey } from './api-keys.repository';

/**
 * Verifies API keys. Each use asks the database, by one indexed statement and without a cache: so a revoked key, a disabled
 * owner or a smaller role take effect at once on every replica.
 */
@Injectable()
export class ApiKeyScheme implements CredentialScheme, OnModuleInit {
  private readonly logger = new Logger(ApiKeyScheme.name);
  private readonly beingNoted = new Set<string>();

  public constructor(
    private readonly authenticator: Authenticator,
    private readonly keys: ApiKeysRepository,
  ) {}

  public onModuleInit(): void {
    this.authenticator.accept(this);
  }

  public recognises(credential: string): boolean {
    return looksLikeApiKey(credential);
  }

  public async verify(credential: string): Promise<Identity> {
    const prefix = prefixOfApiKey(credential);
    const key = prefix === null ? null : await this.keys.findGood(prefix);
    if (key === null || !timingSafeEqual(key.keyHash, hashOfApiKey(credential))) throw unauthorized();
    if (key.isUseStale) void this.noteUse(key.id);
    return identityOf(key);
  }

  /** Beside the request, which does not depend on it. */
  private async noteUse(id: string): Promise<void> {
    if (this.beingNoted.has(id)) return;
    this.beingNoted.add(id);
    try {
      await this.keys.noteUse(id);
    } catch (error) {
      this.logger.warn(`The use of an API key could not be noted: ${String(error)}`);
    } finally {
      this.beingNoted.delete(id);
    }
  }
}

/** A key may do what it was given, as far as its owner still may. */
function identityOf(key: GoodApiKey): Identity {
  const ofOwner = permissionsOf(key.role, key.platformAdmin);
  return {
    userId: key.userId,
    tenantId: key.tenantId,
    permissions: new Set(ofOwner.filter((permission) => key.permissions.includes(permission))),
    expiresAt: key.expiresAt.getTime(),
    signIn: { by: 'api_key', keyId: key.id },
  };
}
