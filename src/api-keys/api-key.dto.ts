import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsString,
  Length,
  Max,
  Min,
} from 'class-validator';
import { type Permission, permissions } from '../access/permission';
import { IfPresent } from '../http/optional';
import { examplePage, PageDto } from '../http/page';
import type { ApiKeyEntity } from './api-key.entity';

const mostDays = 365;

@ApiSchema({ name: 'CreateApiKeyRequest' })
export class CreateApiKeyDto {
  @ApiProperty({ minLength: 1, maxLength: 100, example: 'nightly builds', description: 'What the key is for' })
  @IsString({ message: 'must be a string' })
  @Length(1, 100, { message: 'must have 1 to 100 characters' })
  public name!: string;

  @ApiProperty({
    type: 'array',
    items: { type: 'string', enum: [...permissions] },
    minItems: 1,
    maxItems: permissions.length,
    uniqueItems: true,
    example: ['build:create', 'build:read'],
    description: 'What the key may do: at most what you may',
  })
  @IsArray({ message: 'must be a list' })
  @ArrayMinSize(1, { message: 'must name at least one permission' })
  @ArrayMaxSize(permissions.length, { message: `must have at most ${permissions.length} entries` })
  @ArrayUnique({ message: 'must name each permission once' })
  @IsIn(permissions, { each: true, message: `must list some of ${permissions.join(', ')}` })
  public permissions!: Permission[];

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: mostDays,
    default: 90,
    example: 90,
    description: 'After how many days the key ends',
  })
  @IfPresent()
  @IsInt({ message: 'must be a whole number' })
  @Min(1, { message: `must be from 1 to ${mostDays}` })
  @Max(mostDays, { message: `must be from 1 to ${mostDays}` })
  public expires_in_days = 90;
}

@ApiSchema({ name: 'ApiKey' })
export class ApiKeyDto {
  @ApiProperty({ format: 'uuid' })
  public id!: string;

  @ApiProperty({ format: 'uuid' })
  public tenant_id!: string;

  @ApiProperty()
  public name!: string;

  @ApiProperty({ description: 'The beginning of the key, to recognise it by', example: 'imgf_4fQz81LmXw0c' })
  public prefix!: string;

  @ApiProperty({
    type: 'array',
    items: { type: 'string', enum: [...permissions] },
    description: 'What the key may do, as far as its owner still may',
  })
  public permissions!: Permission[];

  @ApiProperty({ format: 'uuid', description: 'The user whose key it is' })
  public created_by!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'When it ends, or has ended' })
  public expires_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', nullable: true, description: 'Exact to a minute' })
  public last_used_at!: string | null;
}

@ApiSchema({ name: 'CreatedApiKey' })
export class CreatedApiKeyDto extends ApiKeyDto {
  @ApiProperty({
    description: 'The key itself; send it as `Authorization: Bearer <key>`. It is shown only now and stored nowhere.',
  })
  public key!: string;
}

@ApiSchema({ name: 'ApiKeyList' })
export class ApiKeyListDto extends PageDto {
  @ApiProperty({ type: [ApiKeyDto] })
  public api_keys!: ApiKeyDto[];
}

/** What a document shows of a key. */
const exampleApiKey = {
  id: '990e8400-e29b-41d4-a716-446655440004',
  tenant_id: '880e8400-e29b-41d4-a716-446655440003',
  name: 'nightly builds',
  prefix: 'imgf_4fQz81LmXw0c',
  permissions: ['build:create', 'build:read'] satisfies Permission[],
  created_by: '770e8400-e29b-41d4-a716-446655440002',
  created_at: '2024-01-15T10:30:00Z',
  expires_at: '2024-04-14T10:30:00Z',
  last_used_at: null,
};

export const exampleCreatedApiKey: CreatedApiKeyDto = {
  ...exampleApiKey,
  key: 'imgf_4fQz81LmXw0c…',
};

export const exampleApiKeyList: ApiKeyListDto = {
  api_keys: [exampleApiKey],
  ...examplePage,
};

export function toApiKey(key: ApiKeyEntity): ApiKeyDto {
  return fieldsOf(key);
}

/** @param secret the key itself */
export function toCreatedApiKey(key: ApiKeyEntity, secret: string): CreatedApiKeyDto {
  return { ...fieldsOf(key), key: secret };
}

function fieldsOf(key: ApiKeyEntity) {
  return {
    id: key.id,
    tenant_id: key.tenantId,
    name: key.name,
    prefix: key.prefix,
    permissions: key.permissions,
    created_by: key.userId,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt.toISOString(),
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}
