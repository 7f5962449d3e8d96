/** Every permission that a token can carry. Those of API keys are over the keys of others: one's own are one's own. */
export const permissions = [
  'build:create',
  'build:list',
  'build:read',
  'build:cancel',
  'build:delete',
  'project:create',
  'project:list',
  'project:read',
  'project:update',
  'project:delete',
  'secret:list',
  'secret:update',
  'secret:delete',
  'user:create',
  'user:list',
  'user:update',
  'api-key:list',
  'api-key:delete',
  'audit:read',
  'tenant:create',
  'tenant:list',
  'tenant:update',
] as const;

export type Permission = (typeof permissions)[number];

export const roles = ['viewer', 'developer', 'admin'] as const;

export type Role = (typeof roles)[number];

const viewer: readonly Permission[] = ['build:list', 'build:read', 'project:list', 'project:read'];
const developer: readonly Permission[] = [...viewer, 'build:create', 'build:cancel', 'secret:list'];
const admin: readonly Permission[] = [
  ...developer,
  'build:delete',
  'project:create',
  'project:update',
  'project:delete',
  'secret:update',
  'secret:delete',
  'user:create',
  'user:list',
  'user:update',
  'api-key:list',
  'api-key:delete',
  'audit:read',
];

const ofRole: Readonly<Record<Role, readonly Permission[]>> = { viewer, developer, admin };

/** What a user of this role may do; a platform admin may manage tenants as well. */
export function permissionsOf(role: Role, platformAdmin: boolean): Permission[] {
  const tenants = permissions.filter((permission) => permission.startsWith('tenant:'));
  return [...ofRole[role], ...(platformAdmin ? tenants : [])];
}
