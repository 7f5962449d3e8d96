import type { Env } from '../../config/env';

/** The outside issuer whose access tokens are accepted, and what is read of them. */
export interface Issuer {
  /** As it names itself: the `iss` of its tokens, and where its discovery document is. */
  readonly url: string;
  readonly audience: string;
  /** Who may have asked for a token; empty: any client of the issuer. */
  readonly clients: readonly string[];
  readonly tenantClaim: string;
  readonly permissionsClaim: string;
}

/** Null when none is set. */
export function issuerOf(env: Env): Issuer | null {
  const { OIDC_ISSUER: url, OIDC_AUDIENCE: audience } = env;
  if (url === undefined || audience === undefined) return null;
  return {
    url,
    audience,
    clients: env.OIDC_CLIENTS,
    tenantClaim: env.OIDC_TENANT_CLAIM,
    permissionsClaim: env.OIDC_PERMISSIONS_CLAIM,
  };
}
