import {
  createLocalJWKSet,
  type CryptoKey,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose';
import { ApiError } from '../../http/api-error';

/** Milliseconds. */
export interface KeyTimes {
  /** Between two looks at the issuer: how long a key that it has withdrawn may still be believed. */
  readonly refresh: number;
  /** How long no key is asked for after one that the issuer did not have either. */
  readonly cooldown: number;
  /** How long the issuer is left alone after it did not answer. */
  readonly retry: number;
  /** How long keys are believed while the issuer does not answer. */
  readonly stale: number;
}

export const keyTimes: KeyTimes = { refresh: 600_000, cooldown: 30_000, retry: 5_000, stale: 86_400_000 };

interface HeldKeys {
  readonly find: ReturnType<typeof createLocalJWKSet>;
  readonly since: number;
}

/**
 * The issuer's keys, kept here and asked for anew now and then, beside the requests. A token with a key that is not among
 * them makes us ask at once, as keys are rotated; but made-up key names cannot make us ask often.
 */
export class IssuerKeys {
  private held: HeldKeys | undefined;
  private asking: Promise<void> | undefined;
  private quietUntil = Number.NEGATIVE_INFINITY;
  private interval: NodeJS.Timeout | undefined;

  public constructor(
    private readonly fetchKeys: () => Promise<JSONWebKeySet>,
    /** Hears why the issuer could not be asked. */
    private readonly onFailure: (error: unknown) => void,
    private readonly times: KeyTimes = keyTimes,
    /** Milliseconds of a clock that only goes forward. */
    private readonly now: () => number = () => performance.now(),
  ) {}

  public start(): void {
    void this.ask();
    this.interval = setInterval(() => {
      void this.ask();
    }, this.times.refresh).unref();
  }

  public stop(): void {
    clearInterval(this.interval);
  }

  /**
   * The public key that a token names, for its algorithm.
   * @throws ApiError 503 when we have no keys; JOSEError when we have not that one
   */
  public async keyFor(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    const known = await this.find(header, token);
    if (known !== null) return known;
    const hasAsked = this.asking !== undefined || this.now() >= this.quietUntil;
    if (hasAsked) await this.ask();
    const found = await this.find(header, token);
    if (found !== null) return found;
    if (this.held === undefined) throw unreachable();
    if (hasAsked) this.beQuiet(this.times.cooldown);
    throw new errors.JWKSNoMatchingKey();
  }

  private async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey | null> {
    if (this.held !== undefined && this.now() - this.held.since > this.times.stale) this.held = undefined;
    try {
      return (await this.held?.find(header, token)) ?? null;
    } catch (error) {
      if (error instanceof errors.JWKSNoMatchingKey) return null;
      throw error;
    }
  }

  /** Those who ask at once wait for one answer. */
  private ask(): Promise<void> {
    this.asking ??= this.askOnce().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async askOnce(): Promise<void> {
    try {
      this.held = { find: createLocalJWKSet(await this.fetchKeys()), since: this.now() };
    } catch (error) {
      this.beQuiet(this.times.retry);
      this.onFailure(error);
    }
  }

  private beQuiet(milliseconds: number): void {
    this.quietUntil = Math.max(this.quietUntil, this.now() + milliseconds);
  }
}

/** Not 401: the token may be good, and a client that is told otherwise throws it away and asks its user to sign in. */
function unreachable(): ApiError {
  return new ApiError(503, 'The token issuer does not answer at the moment; try again', null, {
    headers: { 'Retry-After': '5' },
  });
}
