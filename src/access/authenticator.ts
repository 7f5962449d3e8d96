import { Injectable } from '@nestjs/common';
import type { Identity } from './identity';
import { OwnTokens } from './own-tokens';
import { unauthorized } from './unauthorized';

/** A kind of credential that a room above verifies. */
export interface CredentialScheme {
  /** Whether the credential claims to be of this kind; nothing of it is believed yet. */
  recognises(credential: string): boolean;
  /** @throws ApiError 401 when it is not good; 503 when that cannot be told now */
  verify(credential: string): Promise<Identity>;
}

/** The one place that decides whether a bearer credential is good, for HTTP requests and WebSocket upgrades alike. */
@Injectable()
export class Authenticator {
  private readonly schemes: CredentialScheme[] = [];

  public constructor(private readonly ownTokens: OwnTokens) {}

  /** Rooms above tell at start what else than our own access tokens is accepted. This room asks no database. */
  public accept(scheme: CredentialScheme): void {
    this.schemes.push(scheme);
  }

  /**
   * The credential of an `Authorization` header, unverified.
   * @throws ApiError 401
   */
  public credentialOf(authorization: string | undefined): string {
    const [, credential] = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '') ?? [];
    if (credential === undefined) throw unauthorized();
    return credential;
  }

  /**
   * Whose credential it is. What no scheme recognises has to be an access token of ours.
   * @throws ApiError 401, 503
   */
  public async identify(credential: string): Promise<Identity> {
    const scheme = this.schemes.find((one) => one.recognises(credential));
    return scheme === undefined ? this.ownTokens.verify(credential) : scheme.verify(credential);
  }
}
