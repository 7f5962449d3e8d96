import type { JWTPayload, ProtectedHeaderParameters } from 'jose';
import { createHash } from 'node:crypto';
import type { Identity } from '../../access/identity';
import { type Permission, permissions } from '../../access/permission';
import { unauthorized } from '../../access/unauthorized';
import { isUuid } from '../../http/uuid-param';
import type { Issuer } from './issuer';

/** RFC 9068, section 2.1, and what issuers write that do not follow it. */
const types = new Set<unknown>([undefined, 'jwt', 'application/jwt', 'at+jwt', 'application/at+jwt']);
/** OpenID Connect Core 1.0, section 2. */
const longestSubject = 255;
/** The last moment that a `Date` can name. */
const endOfTime = 8.64e15;
/** RFC 9562, appendix A. */
const urlNamespace = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';

/** Platform permissions cannot come from outside: they reach into every tenant, and the issuer speaks for one. */
const grantable = permissions.filter((permission) => !permission.startsWith('tenant:'));

/**
 * Who a token is about, after its signature, issuer, audience and times were found good.
 * @throws ApiError 401 when it is no access token for us
 */
export function outsideIdentity(header: ProtectedHeaderParameters, claims: JWTPayload, issuer: Issuer): Identity {
  const { sub, exp, email, name } = claims;
  const tenantId = claims[issuer.tenantClaim];
  const type = typeof header.typ === 'string' ? header.typ.toLowerCase() : header.typ;
  // No extension of ours is critical (RFC 7515, section 4.1.11).
  if ('crit' in header || !types.has(type) || isIdToken(claims)) throw unauthorized();
  if (typeof sub !== 'string' || sub === '' || sub.length > longestSubject || !isUuid(tenantId)) throw unauthorized();
  // To the millisecond, as for our own.
  if (typeof exp !== 'number' || exp * 1000 <= Date.now() || !isOfClient(claims, issuer)) throw unauthorized();
  return {
    userId: nameUuid(nameUuid(urlNamespace, issuer.url), sub),
    tenantId: tenantId.toLowerCase(),
    permissions: new Set(permissionsIn(claims[issuer.permissionsClaim])),
    expiresAt: Math.min(exp * 1000, endOfTime),
    signIn: { by: 'oidc', subject: sub, email: textOf(email), name: textOf(name) },
  };
}

/** It tells a client who signed in, and gives nobody access (RFC 9068, section 5); Keycloak says so in `typ`. */
function isIdToken(claims: JWTPayload): boolean {
  return 'at_hash' in claims || 'c_hash' in claims || claims.typ === 'ID';
}

/** `azp` in OpenID Connect, `client_id` in RFC 9068; neither may be a stranger's. */
function isOfClient({ azp, client_id: clientId }: JWTPayload, { clients }: Issuer): boolean {
  const named = [azp, clientId].filter((client) => client !== undefined);
  if (!named.every((client) => typeof client === 'string')) return false;
  return clients.length === 0 || (named.length > 0 && named.every((client) => clients.includes(client)));
}

/** A list, or words as in `scope`. What is no permission here is somebody else's. */
function permissionsIn(claim: unknown): Permission[] {
  const granted: unknown = typeof claim === 'string' ? claim.split(' ') : (claim ?? []);
  if (!Array.isArray(granted) || !granted.every((item) => typeof item === 'string')) throw unauthorized();
  const words = new Set<string>(granted);
  return grantable.filter((permission) => words.has(permission));
}

function textOf(claim: unknown): string | null {
  return typeof claim === 'string' && claim !== '' && claim.length <= longestSubject ? claim : null;
}

/** A UUID of version 5 (RFC 9562, section 5.5). Users of ours have version 4, so none can be met by a name from outside. */
function nameUuid(namespace: string, name: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name)
    .digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
