import { Inject, Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { decodeJwt, jwtVerify, type JWTVerifyResult } from 'jose';
import { Authenticator, type CredentialScheme } from '../../access/authenticator';
import type { Identity } from '../../access/identity';
import { unauthorized } from '../../access/unauthorized';
import { ENV, type Env } from '../../config/env';
import { ApiError } from '../../http/api-error';
import { EnabledTenants } from './enabled-tenants';
import { fetchKeys } from './fetch-keys';
import { type Issuer, issuerOf } from './issuer';
import { IssuerKeys } from './issuer-keys';
import { outsideIdentity } from './outside-identity';

/** How much the issuer's clock may be ahead of ours (seconds): its newest tokens must not come too early. */
const clockSkew = 10;

/**
 * Verifies the access tokens of the outside issuer, if one is set. They are signed with its private keys, ours with our
 * secret; which of both a token claims to be is told by its `iss`, and no key of the one is ever tried on the other.
 */
@Injectable()
export class OidcScheme implements CredentialScheme, OnModuleInit, OnApplicationShutdown {
  private readonly logger = new Logger(OidcScheme.name);
  private readonly issuer: Issuer | null;
  private readonly keys: IssuerKeys | null;

  public constructor(
    private readonly authenticator: Authenticator,
    private readonly tenants: EnabledTenants,
    @Inject(ENV) env: Env,
  ) {
    const issuer = issuerOf(env);
    this.issuer = issuer;
    this.keys = issuer === null ? null : this.keysOf(issuer);
  }

  public onModuleInit(): void {
    if (this.keys === null) return;
    this.keys.start();
    this.authenticator.accept(this);
  }

  public onApplicationShutdown(): void {
    this.keys?.stop();
  }

  public recognises(credential: string): boolean {
    try {
      return decodeJwt(credential).iss === this.issuer?.url;
    } catch {
      return false;
    }
  }

  public async verify(credential: string): Promise<Identity> {
    const { issuer, keys } = this;
    if (issuer === null || keys === null) throw unauthorized();
    const { protectedHeader, payload } = await open(credential, issuer, keys);
    const identity = outsideIdentity(protectedHeader, payload, issuer);
    if (!(await this.tenants.has(identity.tenantId))) throw unauthorized();
    return identity;
  }

  private keysOf({ url }: Issuer): IssuerKeys {
    return new IssuerKeys(
      () => fetchKeys(url),
      (error) => {
        this.logger.warn({ err: error }, `The keys of the token issuer ${url} could not be fetched`);
      },
    );
  }
}

async function open(credential: string, { url, audience }: Issuer, keys: IssuerKeys): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(credential, (header, token) => keys.keyFor(header, token), {
      algorithms: ['RS256', 'ES256'],
      issuer: url,
      audience,
      requiredClaims: ['exp', 'sub'],
      clockTolerance: clockSkew,
    });
  } catch (error) {
    throw error instanceof ApiError ? error : unauthorized(error);
  }
}
