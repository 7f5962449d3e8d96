import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { ApiError } from '../http/api-error';
import { normalEmail } from '../users/normal-email';
import { RateLimiter } from '../rate-limits/rate-limiter';
import { KnownClientsRepository } from './known-clients.repository';

/** Attempts at one account from everywhere. After them only clients that the account knows get in for the window. */
const perAccount = { most: 10, windowSeconds: 300 };
/** Failures of one client at whatever accounts: a whole office may share its address. */
const perClient = { most: 50, windowSeconds: 300 };

/** Sign-ins of one account: each is kept for 30 days. A machine that needs more has an API key. */
const perUser = { most: 100, windowSeconds: 300 };

/** One attempt to sign in. */
export interface LoginAttempt {
  readonly email: string;
  /** The client's network. */
  readonly client: string;
}

/**
 * Keeps passwords from being guessed (OWASP Authentication Cheat Sheet, "Login throttling"): attempts are counted before the
 * password is looked at, over all replicas, for each client and for each account, whether there is such an account or not. A
 * client from which an account signed in before has a count of its own, so that a stranger's attempts lock nobody out.
 */
@Injectable()
export class LoginLimits {
  public constructor(
    private readonly limiter: RateLimiter,
    private readonly known: KnownClientsRepository,
  ) {}

  /** @throws ApiError 429 when there were too many attempts of late */
  public async admit(attempt: LoginAttempt): Promise<void> {
    const ofClient = await this.limiter.attempt(clientKey(attempt), perClient);
    const wait = ofClient ?? (await this.limiter.attempt(await this.accountKey(attempt), perAccount));
    if (wait !== null) throw tooMany(wait);
  }

  /**
   * The password was right: that was no guess, and from now on the account knows this client.
   * @throws ApiError 429 when the user signed in too often of late
   */
  public async succeeded(attempt: LoginAttempt, userId: string): Promise<void> {
    const wait = await this.limiter.attempt(`login user ${userId}`, perUser);
    if (wait !== null) throw tooMany(wait);
    await this.limiter.giveBack(clientKey(attempt));
    await this.limiter.forget(await this.accountKey(attempt));
    await this.known.remember(accountOf(attempt), attempt.client);
  }

  private async accountKey(attempt: LoginAttempt): Promise<string> {
    const account = accountOf(attempt);
    const isKnown = await this.known.has(account, attempt.client);
    return isKnown ? `login known ${account} ${attempt.client}` : `login account ${account}`;
  }
}

function tooMany(wait: number): ApiError {
  const message = `Too many attempts to sign in; try again in ${wait} seconds`;
  return new ApiError(429, message, null, { headers: { 'Retry-After': String(wait) } });
}

const clientKey = ({ client }: LoginAttempt): string => `login client ${client}`;

/** An address may be anything, of any length; what is kept of it is short. */
function accountOf({ email }: LoginAttempt): string {
  return createHash('sha256').update(normalEmail(email.trim())).digest('base64url');
}
