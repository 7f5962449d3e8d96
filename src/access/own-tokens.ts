import { Inject, Injectable } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { ENV, type Env } from '../config/env';
import { isUuid } from '../http/uuid-param';
import type { Identity } from './identity';
import { unauthorized } from './unauthorized';

interface Token {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Tokens that were good a moment ago; the oldest make room. */
const mostRemembered = 10_000;

/** Verifies the access tokens that we sign ourselves. Asks nobody: what a token says holds until it ends. */
@Injectable()
export class OwnTokens {
  private readonly good = new Map<string, Identity>();

  public constructor(
    private readonly jwt: JwtService,
    @Inject(ENV) private readonly env: Env,
  ) {}

  /**
   * Accepts HS256 by our own key only, with our issuer and audience, an expiry, and the claims that guards read. What was
   * found good stays so until it expires.
   * @throws ApiError 401
   */
  public verify(token: string): Identity {
    const known = this.good.get(token);
    if (known !== undefined && Date.now() < known.expiresAt) return known;
    this.good.delete(token);
    const identity = this.verifyAnew(token);
    const [oldest] = this.good.size >= mostRemembered ? this.good.keys() : [];
    if (oldest !== undefined) this.good.delete(oldest);
    this.good.set(token, identity);
    return identity;
  }

  private verifyAnew(token: string): Identity {
    const { header, payload } = this.open(token);
    const { sub, tenant_id: tenantId, permissions, exp, aud } = payload;
    const isStringList = Array.isArray(permissions) && permissions.every((item) => typeof item === 'string');
    // No extension of ours is critical, so a token that has one must be refused (RFC 7515, section 4.1.11).
    if ('crit' in header || !isUuid(sub) || !isUuid(tenantId) || !isStringList) throw unauthorized();
    if (typeof exp !== 'number' || aud !== this.env.JWT_AUDIENCE) throw unauthorized();
    const signIn = { by: 'password' } as const;
    return { userId: sub, tenantId, permissions: new Set<string>(permissions), expiresAt: exp * 1000, signIn };
  }

  private open(token: string): Token {
    try {
      return this.jwt.verify<Token & object>(token, {
        algorithms: ['HS256'],
        issuer: this.env.JWT_ISSUER,
        audience: this.env.JWT_AUDIENCE,
        complete: true,
      });
    } catch (error) {
      throw unauthorized(error);
    }
  }
}
