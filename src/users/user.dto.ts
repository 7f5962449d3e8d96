import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsBoolean, IsEmail, IsIn, IsString, Length, MaxLength } from 'class-validator';
import { examplePage, PageDto } from '../http/page';
import { permissionsOf, type Role, roles } from '../access/permission';
import { IfPresent } from '../http/optional';
import type { UserEntity } from './user.entity';

/** What every new account needs. */
export class NewAccountDto {
  @ApiProperty({ format: 'email', maxLength: 254, example: 'ada@example.com' })
  @IsEmail({}, { message: 'must be an e-mail address' })
  @MaxLength(254, { message: 'must have at most 254 characters' })
  public email!: string;

  @ApiProperty({ minLength: 12, maxLength: 256, example: 'correct horse battery staple' })
  @IsString({ message: 'must be a string' })
  @Length(12, 256, { message: 'must have 12 to 256 characters' })
  public password!: string;

  @ApiProperty({ minLength: 1, maxLength: 200, example: 'Ada Lovelace' })
  @IsString({ message: 'must be a string' })
  @Length(1, 200, { message: 'must have 1 to 200 characters' })
  public name!: string;
}

@ApiSchema({ name: 'CreateUserRequest' })
export class CreateUserDto extends NewAccountDto {
  @ApiProperty({ enum: roles, example: 'developer' })
  @IsIn(roles, { message: `must be one of ${roles.join(', ')}` })
  public role!: Role;
}

@ApiSchema({ name: 'UpdateUserRequest' })
export class UpdateUserDto {
  @ApiPropertyOptional({ enum: roles, example: 'admin' })
  @IfPresent()
  @IsIn(roles, { message: `must be one of ${roles.join(', ')}` })
  public role?: Role;

  @ApiPropertyOptional({ example: false, description: 'A disabled user cannot sign in or refresh a token' })
  @IfPresent()
  @IsBoolean({ message: 'must be true or false' })
  public disabled?: boolean;
}

@ApiSchema({ name: 'User' })
export class UserDto {
  @ApiProperty({ format: 'uuid' })
  public id!: string;

  @ApiProperty({ format: 'uuid' })
  public tenant_id!: string;

  @ApiProperty({ format: 'email' })
  public email!: string;

  @ApiProperty()
  public name!: string;

  @ApiProperty({ enum: roles })
  public role!: Role;

  @ApiProperty({ description: 'May manage tenants as well' })
  public platform_admin!: boolean;

  @ApiProperty({ type: [String], example: ['build:list', 'build:read'] })
  public permissions!: string[];

  @ApiProperty()
  public disabled!: boolean;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public updated_at!: string;
}

@ApiSchema({ name: 'UserList' })
export class UserListDto extends PageDto {
  @ApiProperty({ type: [UserDto] })
  public users!: UserDto[];
}

/** What a document shows of a user. */
export const exampleUser: UserDto = {
  id: '770e8400-e29b-41d4-a716-446655440002',
  tenant_id: '880e8400-e29b-41d4-a716-446655440003',
  email: 'ada@example.com',
  name: 'Ada Lovelace',
  role: 'developer',
  platform_admin: false,
  permissions: permissionsOf('developer', false),
  disabled: false,
  created_at: '2024-01-15T10:30:00Z',
  updated_at: '2024-01-15T10:30:00Z',
};

export const exampleUserList: UserListDto = {
  users: [exampleUser],
  ...examplePage,
};

export function toUser(user: UserEntity): UserDto {
  return {
    id: user.id,
    tenant_id: user.tenantId,
    email: user.email,
    name: user.name,
    role: user.role,
    platform_admin: user.platformAdmin,
    permissions: permissionsOf(user.role, user.platformAdmin),
    disabled: user.disabledAt !== null,
    created_at: user.createdAt.toISOString(),
    updated_at: user.updatedAt.toISOString(),
  };
}
