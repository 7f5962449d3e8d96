import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsBoolean, IsInt, IsString, Length, Max, Min, ValidateBy, type ValidationOptions } from 'class-validator';
import { examplePage, PageDto } from '../http/page';
import { IfNotNull, IfPresent } from '../http/optional';
import { BuildArgs } from './build-args';
import { refNameProblem, withoutCredentials } from './git-policy';
import { imageRepositoryProblem } from './image-repository';
import type { ProjectEntity } from './project.entity';
import { repositoryPathProblem } from './repository-path';

/** A check that says in words what is wrong. */
export function Checked(problemOf: (value: string) => string | null, options?: ValidationOptions): PropertyDecorator {
  const problem = (value: unknown): string | null => (typeof value === 'string' ? problemOf(value) : null);
  return ValidateBy(
    {
      name: 'checked',
      validator: {
        validate: (value: unknown) => problem(value) === null,
        defaultMessage: (validated) => problem(validated?.value) ?? '',
      },
    },
    options,
  );
}

function Text(least: number, most: number): PropertyDecorator {
  return applyDecorators(
    IsString({ message: 'must be a string' }),
    Length(least, most, { message: `must have ${least} to ${most} characters` }),
  );
}

/** What may be given on creation and changed later; `undefined` keeps the value, or takes the default. */
class ProjectSettingsDto {
  @ApiPropertyOptional({
    minLength: 1,
    maxLength: 500,
    example: 'Dockerfile',
    default: 'Dockerfile',
    description: 'Path of the Dockerfile',
  })
  @IfPresent()
  @Checked(repositoryPathProblem)
  @Text(1, 500)
  public dockerfile_path?: string;

  @ApiPropertyOptional({
    minLength: 1,
    maxLength: 500,
    example: '.',
    default: '.',
    description: 'Directory of the repository that is the context',
  })
  @IfPresent()
  @Checked(repositoryPathProblem)
  @Text(1, 500)
  public context_path?: string;

  @ApiPropertyOptional({
    type: 'string',
    nullable: true,
    minLength: 1,
    maxLength: 255,
    example: 'registry.example.com/team/app',
    description: 'Where to push the image, without a tag; null: it is kept as an OCI archive',
  })
  @IfNotNull()
  @Checked(imageRepositoryProblem)
  @IsString({ message: 'must be a string or null' })
  public image_repository?: string | null;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: 86_400, default: 3600 })
  @IfPresent()
  @IsInt({ message: 'must be a whole number of seconds' })
  @Min(1, { message: 'must be at least 1' })
  @Max(86_400, { message: 'must be at most 86400' })
  public build_timeout_seconds?: number;

  @ApiPropertyOptional({ default: false, description: 'Start each build when it is created' })
  @IfPresent()
  @IsBoolean({ message: 'must be true or false' })
  public auto_start?: boolean;

  @BuildArgs({ description: 'Default build arguments; a build can override each', nullable: false })
  public build_args?: Record<string, string>;
}

@ApiSchema({ name: 'CreateProjectRequest' })
export class CreateProjectDto extends ProjectSettingsDto {
  @ApiProperty({ minLength: 1, maxLength: 100, example: 'hello' })
  @Text(1, 100)
  public name!: string;

  @ApiProperty({ minLength: 1, maxLength: 2048, example: 'https://github.com/example/hello.git' })
  @Text(1, 2048)
  public repository_url!: string;

  @ApiPropertyOptional({ minLength: 1, maxLength: 255, default: 'main', example: 'main' })
  @IfPresent()
  @Checked(refNameProblem)
  @Text(1, 255)
  public default_branch?: string;
}

@ApiSchema({ name: 'UpdateProjectRequest' })
export class UpdateProjectDto extends ProjectSettingsDto {
  @ApiPropertyOptional({ minLength: 1, maxLength: 100 })
  @IfPresent()
  @Text(1, 100)
  public name?: string;

  @ApiPropertyOptional({ minLength: 1, maxLength: 2048 })
  @IfPresent()
  @Text(1, 2048)
  public repository_url?: string;

  @ApiPropertyOptional({ minLength: 1, maxLength: 255 })
  @IfPresent()
  @Checked(refNameProblem)
  @Text(1, 255)
  public default_branch?: string;
}

@ApiSchema({ name: 'Project' })
export class ProjectDto {
  @ApiProperty({ format: 'uuid' })
  public id!: string;

  @ApiProperty()
  public name!: string;

  @ApiProperty({ description: 'Credentials in it are shown as `***`' })
  public repository_url!: string;

  @ApiProperty()
  public default_branch!: string;

  @ApiProperty()
  public dockerfile_path!: string;

  @ApiProperty()
  public context_path!: string;

  @ApiProperty({ type: 'string', nullable: true })
  public image_repository!: string | null;

  @ApiProperty({ type: 'integer' })
  public build_timeout_seconds!: number;

  @ApiProperty()
  public auto_start!: boolean;

  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  public build_args!: Record<string, string>;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public created_at!: string;

  @ApiProperty({ type: 'string', format: 'date-time' })
  public updated_at!: string;
}

@ApiSchema({ name: 'ProjectList' })
export class ProjectListDto extends PageDto {
  @ApiProperty({ type: [ProjectDto] })
  public projects!: ProjectDto[];
}

/** What a document shows of a project. */
export const exampleProject: ProjectDto = {
  id: '550e8400-e29b-41d4-a716-446655440000',
  name: 'hello',
  repository_url: 'https://github.com/example/hello.git',
  default_branch: 'main',
  dockerfile_path: 'Dockerfile',
  context_path: '.',
  image_repository: null,
  build_timeout_seconds: 3600,
  auto_start: false,
  build_args: { GREETING: 'hello' },
  created_at: '2024-01-15T10:00:00Z',
  updated_at: '2024-01-15T10:00:00Z',
};

export const exampleProjectList: ProjectListDto = {
  projects: [exampleProject],
  ...examplePage,
};

export function toProject(project: ProjectEntity): ProjectDto {
  return {
    id: project.id,
    name: project.name,
    repository_url: withoutCredentials(project.repositoryUrl),
    default_branch: project.defaultBranch,
    dockerfile_path: project.dockerfilePath,
    context_path: project.contextPath,
    image_repository: project.imageRepository,
    build_timeout_seconds: project.buildTimeoutSeconds,
    auto_start: project.autoStart,
    build_args: project.buildArgs,
    created_at: project.createdAt.toISOString(),
    updated_at: project.updatedAt.toISOString(),
  };
}
