import { ApiProperty, ApiSchema } from '@nestjs/swagger';
import type { Identity } from '../access/identity';
import { type Role, roles } from '../access/permission';
import { exampleUser, toUser } from '../users/user.dto';
import type { UserEntity } from '../users/user.entity';

const signInKinds = ['password', 'oidc', 'api_key'] as const;

@ApiSchema({ name: 'Me' })
export class MeDto {
  @ApiProperty({ format: 'uuid', description: 'Of a user of the outside issuer: UUIDv5 of its URL and the `sub`' })
  public id!: string;

  @ApiProperty({ format: 'uuid' })
  public tenant_id!: string;

  @ApiProperty({ type: 'string', format: 'email', nullable: true })
  public email!: string | null;

  @ApiProperty()
  public name!: string;

  @ApiProperty({ type: 'string', enum: roles, nullable: true, description: 'null for a user of the outside issuer' })
  public role!: Role | null;

  @ApiProperty({ description: 'May manage tenants as well' })
  public platform_admin!: boolean;

  @ApiProperty({
    type: [String],
    example: ['build:list', 'build:read'],
    description: 'What the credential of this request may do',
  })
  public permissions!: string[];

  @ApiProperty({ enum: signInKinds, description: 'By what the caller is signed in' })
  public signed_in_by!: (typeof signInKinds)[number];

  @ApiProperty({
    type: 'string',
    format: 'uuid',
    nullable: true,
    description: 'The API key, when the caller is one; all else is about its owner',
  })
  public api_key_id!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'When this credential ends' })
  public expires_at!: string;

  @ApiProperty()
  public disabled!: boolean;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  public created_at!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true })
  public updated_at!: string | null;
}

/** What a document shows of oneself. */
export const exampleMe: MeDto = {
  id: exampleUser.id,
  tenant_id: exampleUser.tenant_id,
  email: exampleUser.email,
  name: exampleUser.name,
  role: exampleUser.role,
  platform_admin: false,
  permissions: exampleUser.permissions,
  signed_in_by: 'password',
  api_key_id: null,
  expires_at: '2024-01-15T10:45:00Z',
  disabled: false,
  created_at: exampleUser.created_at,
  updated_at: exampleUser.updated_at,
};

/** A user of ours, signed in by whichever credential. */
export function toMe(user: UserEntity, identity: Identity): MeDto {
  const { id, tenant_id, email, name, role, platform_admin, disabled, created_at, updated_at } = toUser(user);
  const account = { id, tenant_id, email, name, role, platform_admin, disabled, created_at, updated_at };
  return { ...account, ...credentialOf(identity) };
}

/** A user whom we know from the issuer's token alone. */
export function toOutsideMe(identity: Identity, person: { email: string | null; name: string }): MeDto {
  return {
    id: identity.userId,
    tenant_id: identity.tenantId,
    email: person.email,
    name: person.name,
    role: null,
    platform_admin: false,
    disabled: false,
    created_at: null,
    updated_at: null,
    ...credentialOf(identity),
  };
}

function credentialOf({ permissions: granted, signIn, expiresAt }: Identity) {
  return {
    permissions: [...granted],
    signed_in_by: signIn.by,
    api_key_id: signIn.by === 'api_key' ? signIn.keyId : null,
    expires_at: new Date(expiresAt).toISOString(),
  };
}
