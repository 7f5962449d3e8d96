import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsIn, IsString } from 'class-validator';
import { IfPresent } from '../http/optional';
import { Checked } from '../projects/project.dto';
import { longestValue, mostLines, type SecretKind, secretKinds } from './secret';
import { registryProblem } from './registry-scope';
import type { SecretRow } from './secrets.repository';

const longestUsername = 256;

function valueProblem(value: string): string | null {
  if (value === '') return 'must not be empty';
  if (Buffer.byteLength(value) > longestValue) return `must have at most ${longestValue} bytes`;
  return value.trim().split('\n').length > mostLines ? `must have at most ${mostLines} lines` : null;
}

function usernameProblem(value: string): string | null {
  if (value === '' || value.length > longestUsername) return `must have 1 to ${longestUsername} characters`;
  return /[:\p{Cc}]/u.test(value) ? 'must not contain a colon or control characters' : null;
}

@ApiSchema({ name: 'PutSecretRequest' })
export class PutSecretDto {
  @ApiPropertyOptional({
    enum: [...secretKinds],
    default: 'build',
    example: 'build',
    description:
      '`build`: a file for `RUN --mount=type=secret,id=<name>`. `git`: the password or token for the repository, over ' +
      'https. `registry`: the password or token for images of a registry, to pull and to push',
  })
  @IfPresent()
  @IsIn(secretKinds, { message: `must be one of ${secretKinds.join(', ')}` })
  public kind: SecretKind = 'build';

  @ApiProperty({
    minLength: 1,
    maxLength: longestValue,
    example: 'npm_4fQz81LmXw0c',
    description:
      'At most 64 KiB of UTF-8 and 1024 lines. It is never shown again; in logs it is masked, if it has 8 characters or ' +
      'more, and so is each of its lines, and each string of a JSON document, that has as many',
  })
  @Checked(valueProblem)
  @IsString({ message: 'must be a string' })
  public value!: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: longestUsername,
    description: 'For the kinds `git` and `registry`, which need it: the user name that goes with the value',
  })
  @IfPresent()
  @Checked(usernameProblem)
  @IsString({ message: 'must be a string' })
  public username?: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: 255,
    description:
      'For the kind `registry`, which needs it: the registry, such as `registry.example.com:5000`, or a part of it, such ' +
      'as `registry.example.com/team`. The value is sent nowhere else',
  })
  @IfPresent()
  @Checked(registryProblem)
  @IsString({ message: 'must be a string' })
  public registry?: string;
}

@ApiSchema({ name: 'Secret' })
export class SecretDto {
  @ApiProperty()
  public name!: string;

  @ApiProperty({ enum: [...secretKinds] })
  public kind!: SecretKind;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description:
      'The only place that the value is sent to: the registry or the part of it, or the origin of the git server that ' +
      'the project had when the secret was stored',
  })
  public scope!: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  public username!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'When its value was stored' })
  public updated_at!: string;
}

@ApiSchema({ name: 'SecretList' })
export class SecretListDto {
  @ApiProperty({ type: [SecretDto], description: 'By name; all of them, as a project has at most 100' })
  public secrets!: SecretDto[];
}

/** What a document shows of secrets. */
export const exampleSecretList: SecretListDto = {
  secrets: [
    {
      name: 'NPM_TOKEN',
      kind: 'build',
      scope: null,
      username: null,
      created_at: '2024-01-15T10:30:00Z',
      updated_at: '2024-01-15T10:30:00Z',
    },
    {
      name: 'registry',
      kind: 'registry',
      scope: 'registry.example.com/team',
      username: 'ci',
      created_at: '2024-01-15T10:30:00Z',
      updated_at: '2024-02-01T08:00:00Z',
    },
  ],
};

export function toSecret({ name, kind, scope, username, createdAt, updatedAt }: SecretRow): SecretDto {
  return {
    name,
    kind,
    scope,
    username,
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
  };
}
