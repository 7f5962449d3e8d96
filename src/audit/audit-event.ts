import type { Identity } from '../access/identity';
import { bounded } from '../http/bounded';
import type { RequestOrigin } from '../http/request-origin';

/** Every action that an event can be about. */
export const auditActions = [
  'access.refused',
  'api_key.create',
  'api_key.revoke',
  'auth.login',
  'auth.login_failed',
  'auth.logout',
  'auth.refresh',
  'auth.refresh_failed',
  'auth.refresh_reused',
  'build.cancel',
  'build.create',
  'build.delete',
  'build.retry',
  'build.start',
  'project.create',
  'project.delete',
  'project.update',
  'secret.delete',
  'secret.put',
  'tenant.create',
  'tenant.update',
  'user.create',
  'user.update',
] as const;

export type AuditAction = (typeof auditActions)[number];

export const resourceTypes = ['api_key', 'audit_event', 'build', 'project', 'secret', 'tenant', 'user'] as const;

export type ResourceType = (typeof resourceTypes)[number];

export const actorKinds = ['user', 'outside', 'api_key', 'anonymous', 'system'] as const;

export const outcomes = ['allowed', 'refused'] as const;

/** Whose the events of nobody's tenant are: refused strangers. No tenant can have this id. */
export const platformTenant = '00000000-0000-0000-0000-000000000000';

/** Who did something, as far as was verified. */
export interface Actor {
  readonly kind: (typeof actorKinds)[number];
  readonly tenantId: string;
  readonly userId: string | null;
  /** At that time. Null for a user of ours: it is then looked up as the event is stored. */
  readonly name: string | null;
  readonly apiKeyId: string | null;
}

export interface Resource {
  readonly type: ResourceType;
  readonly id: string | null;
}

/** Small facts, never a secret. */
export type Details = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** An event that is to be stored. */
export interface NewAuditEvent {
  readonly action: AuditAction;
  readonly actor: Actor;
  readonly resource: Resource | null;
  readonly origin: RequestOrigin;
  readonly details: Details;
  /** The status of a refusal; null for what was done. */
  readonly status: number | null;
}

export const anonymous: Actor = {
  kind: 'anonymous',
  tenantId: platformTenant,
  userId: null,
  name: null,
  apiKeyId: null,
};

export function actorOf({ tenantId, userId, signIn }: Identity): Actor {
  const base = { tenantId, userId, name: null, apiKeyId: null };
  switch (signIn.by) {
    case 'password':
      return { ...base, kind: 'user' };
    case 'api_key':
      return { ...base, kind: 'api_key', apiKeyId: signIn.keyId };
    case 'oidc':
      return { ...base, kind: 'outside', name: bounded(signIn.email ?? signIn.name ?? signIn.subject) };
  }
}
