import { HttpException, Inject, Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { ENV, type Env } from '../config/env';
import { ApiError } from '../http/api-error';
import { ClientAddress } from '../http/client-address';
import type { Standing } from '../rate-limits/budget';
import { RateLimiter } from '../rate-limits/rate-limiter';
import type { RateLimit } from '../rate-limits/rate-limits.repository';
import type { Identity } from './identity';

/** Somebody who was let in. */
export interface Entry {
  readonly identity: Identity;
  /** How the caller stands now, for the answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The limits of requests, which all replicas share: `RATE_LIMIT_PER_MINUTE` for each user, whatever tokens these have, and
 * for each API key; and as much for bad credentials out of one client's network.
 */
@Injectable()
export class RequestLimits {
  private readonly limit: RateLimit;

  public constructor(
    @Inject(ENV) env: Pick<Env, 'RATE_LIMIT_PER_MINUTE'>,
    private readonly limiter: RateLimiter,
    private readonly addresses: ClientAddress,
  ) {
    this.limit = { most: env.RATE_LIMIT_PER_MINUTE, windowSeconds: 60 };
  }

  /**
   * Finds out who asks, and counts the request.
   * @throws what `identify` throws; ApiError 429 when there were too many requests in this minute
   */
  public async enter(request: IncomingMessage, identify: () => Promise<Identity>): Promise<Entry> {
    const identity = await identify().catch(async (refusal: unknown) => {
      const isBad = refusal instanceof HttpException && refusal.getStatus() === 401;
      if (isBad) await this.countRefusal(this.addresses.networkOf(request));
      throw refusal;
    });
    const { signIn, userId } = identity;
    const headers = await this.spend(signIn.by === 'api_key' ? `key ${signIn.keyId}` : `user ${userId}`);
    return { identity, headers };
  }

  /**
   * Counts a credential that was no good.
   * @param client the network that sent it
   * @throws ApiError 429 when there were too many from there in this minute
   */
  public async countRefusal(client: string): Promise<void> {
    await this.spend(`refused ${client}`);
  }

  /**
   * Counts a request of a user that comes with another credential than usual.
   * @throws ApiError 429 when there were too many requests of that user in this minute
   */
  public async countUse(userId: string): Promise<void> {
    await this.spend(`user ${userId}`);
  }

  private async spend(key: string): Promise<Record<string, string>> {
    const standing = await this.limiter.spend(key, this.limit);
    const headers = headersOf(standing);
    if (standing.isWithin) return headers;
    throw new ApiError(429, `Too many requests; try again in ${standing.resetSeconds} seconds`, null, {
      headers: { ...headers, 'Retry-After': String(standing.resetSeconds) },
    });
  }
}

function headersOf({ limit, remaining, resetSeconds }: Standing): Record<string, string> {
  return {
    'X-RateLimit-Limit': String(limit),
    'X-RateLimit-Remaining': String(remaining),
    'X-RateLimit-Reset': String(resetSeconds),
  };
}
