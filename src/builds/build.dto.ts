import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { type BuildStatus, buildStatuses } from './build-state';
import type { BuildEntity } from './build.entity';

@ApiSchema({ name: 'Build', description: 'Build execution resource' })
export class BuildDto {
  @ApiProperty({ type: 'string', format: 'uuid', description: 'Unique build identifier' })
  public id!: string;

  @ApiProperty({ type: 'string', format: 'uuid', description: 'Associated project identifier' })
  public project_id!: string;

  @ApiProperty({ type: 'integer', minimum: 0, description: 'Sequential build number within project' })
  public build_number!: number;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Git branch name', example: 'main' })
  public git_branch!: string | null;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Git commit hash', example: 'abc123def456...' })
  public git_commit!: string | null;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Git commit author name' })
  public git_author_name!: string | null;

  @ApiPropertyOptional({ type: 'string', format: 'email', nullable: true, description: 'Git commit author email' })
  public git_author_email!: string | null;

  @ApiProperty({ type: 'string', enum: buildStatuses, description: 'Current build status' })
  public status!: BuildStatus;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Error message if build failed' })
  public error_message!: string | null;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', nullable: true, description: 'Build start timestamp' })
  public started_at!: string | null;

  @ApiPropertyOptional({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'Build completion timestamp',
  })
  public completed_at!: string | null;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'Resource creation timestamp' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'Last update timestamp' })
  public updated_at!: string;

  @ApiPropertyOptional({ enum: ['api', 'retry'], description: 'What made this build' })
  public trigger!: 'api' | 'retry';

  @ApiPropertyOptional({ type: 'string', format: 'uuid', nullable: true, description: 'The failed build it retries' })
  public retry_of!: string | null;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'string' },
    description: "Its build arguments: the project's defaults, overridden by the request's",
  })
  public build_args!: Record<string, string>;

  @ApiPropertyOptional({ type: 'string', nullable: true, description: 'Digest of the image manifest: `sha256:…`' })
  public image_digest!: string | null;

  @ApiPropertyOptional({
    type: 'string',
    nullable: true,
    description: 'Where the image was pushed, `repository@digest`; null when it is kept as an archive',
  })
  public image_reference!: string | null;
}

@ApiSchema({ name: 'BuildList' })
export class BuildListDto {
  @ApiPropertyOptional({ type: [BuildDto] })
  public builds!: BuildDto[];

  @ApiPropertyOptional({ type: 'integer', description: 'Total number of builds' })
  public total_count!: number;

  @ApiPropertyOptional({ type: 'integer', description: 'Current page number' })
  public page!: number;

  @ApiPropertyOptional({ type: 'integer', description: 'Items per page' })
  public limit!: number;

  @ApiPropertyOptional({ type: 'boolean', description: 'Whether more pages exist' })
  public has_more!: boolean;
}

/** What a document shows of a build that was just created. */
export const exampleBuild = {
  id: '660e8400-e29b-41d4-a716-446655440001',
  project_id: '550e8400-e29b-41d4-a716-446655440000',
  build_number: 42,
  git_branch: 'main',
  status: 'queued',
  created_at: '2024-01-15T10:30:00Z',
  updated_at: '2024-01-15T10:30:00Z',
};

const started = { ...exampleBuild, started_at: '2024-01-15T10:35:00Z', updated_at: '2024-01-15T10:35:00Z' };
const completed = { ...started, completed_at: '2024-01-15T10:40:00Z', updated_at: '2024-01-15T10:40:00Z' };

/** What a document shows of builds further on their way. */
export const exampleBuilds = {
  started: { ...started, status: 'in_progress' },
  cancelled: { ...completed, status: 'cancelled', error_message: 'User requested cancellation' },
  successful: {
    ...completed,
    status: 'success',
    git_commit: '8f14e45fceea167a5a36dedd4bea2543f14e45fc',
    git_author_name: 'Ada Lovelace',
    git_author_email: 'ada@example.com',
    image_digest: `sha256:${'0123456789abcdef'.repeat(4)}`,
  },
  retry: {
    ...exampleBuild,
    id: '660e8400-e29b-41d4-a716-446655440004',
    build_number: 43,
    trigger: 'retry',
    retry_of: exampleBuild.id,
  },
};

export const exampleBuildList = { builds: [exampleBuild], total_count: 1, page: 1, limit: 20, has_more: false };

export function toBuild(build: BuildEntity): BuildDto {
  return {
    id: build.id,
    project_id: build.projectId,
    build_number: build.buildNumber,
    git_branch: build.gitBranch,
    git_commit: build.gitCommit,
    git_author_name: build.gitAuthorName,
    git_author_email: build.gitAuthorEmail,
    status: build.status,
    error_message: build.errorMessage,
    started_at: build.startedAt?.toISOString() ?? null,
    completed_at: build.completedAt?.toISOString() ?? null,
    created_at: build.createdAt.toISOString(),
    updated_at: build.updatedAt.toISOString(),
    trigger: build.trigger,
    retry_of: build.retryOf,
    build_args: build.buildArgs,
    image_digest: build.imageDigest,
    image_reference: build.imageReference,
  };
}
