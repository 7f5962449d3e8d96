import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsNotEmptyObject,
  IsObject,
  IsString,
  Length,
  Matches,
  ValidateNested,
} from 'class-validator';
import { examplePage, PageDto } from '../http/page';
import { IfPresent } from '../http/optional';
import { exampleUser, NewAccountDto, toUser, UserDto } from '../users/user.dto';
import type { UserEntity } from '../users/user.entity';
import type { TenantEntity } from './tenant.entity';

const exampleAdmin = { email: 'ada@example.com', password: 'correct horse battery staple', name: 'Ada Lovelace' };
const prefix = /^[a-z0-9][a-z0-9._-]*(:\d{1,5})?(\/[a-z0-9][a-z0-9._-]*)*$/;

function RegistryPrefixes(): PropertyDecorator {
  return (target, property) => {
    for (const decorate of [
      ApiPropertyOptional({
        type: 'array',
        maxItems: 100,
        items: { type: 'string', minLength: 1, maxLength: 255 },
        example: ['registry.example.com/team'],
        description:
          "Repository prefixes for which this tenant's builds may use the operator's registry credentials; none by default",
      }),
      IfPresent(),
      IsArray({ message: 'must be a list' }),
      ArrayMaxSize(100, { message: 'must have at most 100 entries' }),
      IsString({ each: true, message: 'must be a list of strings' }),
      Matches(prefix, { each: true, message: 'must list repositories like registry.example.com/team' }),
      Length(1, 255, { each: true, message: 'must list strings of 1 to 255 characters' }),
    ]) {
      decorate(target, property);
    }
  };
}

@ApiSchema({ name: 'CreateTenantRequest' })
export class CreateTenantDto {
  @ApiProperty({ minLength: 1, maxLength: 200, example: 'Acme' })
  @IsString({ message: 'must be a string' })
  @Length(1, 200, { message: 'must have 1 to 200 characters' })
  public name!: string;

  @ApiProperty({ type: NewAccountDto, description: "The tenant's first admin", example: exampleAdmin })
  @IsObject({ message: 'must be an object with email, password and name' })
  @IsNotEmptyObject({}, { message: 'must have email, password and name' })
  @ValidateNested()
  @Type(() => NewAccountDto)
  public admin!: NewAccountDto;

  @RegistryPrefixes()
  public registry_prefixes?: string[];
}

@ApiSchema({ name: 'UpdateTenantRequest' })
export class UpdateTenantDto {
  @ApiPropertyOptional({ example: true, description: 'Nobody of a disabled tenant can sign in or refresh a token' })
  @IfPresent()
  @IsBoolean({ message: 'must be true or false' })
  public disabled?: boolean;

  @RegistryPrefixes()
  public registry_prefixes?: string[];
}

@ApiSchema({ name: 'Tenant' })
export class TenantDto {
  @ApiProperty({ format: 'uuid' })
  public id!: string;

  @ApiProperty()
  public name!: string;

  @ApiProperty({ type: [String] })
  public registry_prefixes!: string[];

  @ApiProperty()
  public disabled!: boolean;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public updated_at!: string;
}

@ApiSchema({ name: 'CreatedTenant' })
export class CreatedTenantDto extends TenantDto {
  @ApiProperty({ type: UserDto, description: "The tenant's first admin" })
  public admin!: UserDto;
}

@ApiSchema({ name: 'TenantList' })
export class TenantListDto extends PageDto {
  @ApiProperty({ type: [TenantDto] })
  public tenants!: TenantDto[];
}

/** What a document shows of a tenant. */
export const exampleTenant = {
  id: exampleUser.tenant_id,
  name: 'Acme',
  registry_prefixes: ['registry.example.com/acme'],
  disabled: false,
  created_at: '2024-01-15T10:30:00Z',
  updated_at: '2024-01-15T10:30:00Z',
};

export const exampleCreatedTenant: CreatedTenantDto = {
  ...exampleTenant,
  admin: exampleUser,
};

export const exampleTenantList: TenantListDto = {
  tenants: [exampleTenant],
  ...examplePage,
};

export function toCreatedTenant(tenant: TenantEntity, admin: UserEntity): CreatedTenantDto {
  return { ...fieldsOf(tenant), admin: toUser(admin) };
}

export function toTenant(tenant: TenantEntity): TenantDto {
  return fieldsOf(tenant);
}

function fieldsOf(tenant: TenantEntity) {
  return {
    id: tenant.id,
    name: tenant.name,
    registry_prefixes: tenant.registryPrefixes,
    disabled: tenant.disabledAt !== null,
    created_at: tenant.createdAt.toISOString(),
    updated_at: tenant.updatedAt.toISOString(),
  };
}
