import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsIn, IsString, Length, Matches, MaxLength, ValidateBy } from 'class-validator';
import { IfNotNull, IfPresent } from '../http/optional';
import { PageQuery } from '../http/page';
import { isUuid } from '../http/uuid-param';
import { BuildArgs } from '../projects/build-args';
import { refNameProblem } from '../projects/git-policy';
import { Checked } from '../projects/project.dto';
import { type BuildStatus, buildStatuses } from './build-state';

const Uuid = (): PropertyDecorator =>
  ValidateBy({ name: 'uuid', validator: { validate: isUuid, defaultMessage: () => 'must be a UUID' } });

@ApiSchema({ name: 'CreateBuildRequest' })
export class CreateBuildDto {
  @ApiProperty({ type: 'string', format: 'uuid', description: 'Project ID' })
  @Uuid()
  public project_id!: string;

  @ApiProperty({ type: 'string', minLength: 1, maxLength: 255, description: 'Git branch to build' })
  @Checked(refNameProblem)
  @Length(1, 255, { message: 'must have 1 to 255 characters' })
  @IsString({ message: 'must be a string' })
  public git_branch!: string;

  @ApiPropertyOptional({
    type: 'string',
    nullable: true,
    minLength: 7,
    maxLength: 40,
    description: 'Optional specific commit hash',
  })
  @IfNotNull()
  @Matches(/^[0-9a-f]{7,40}$/i, { message: 'must be 7 to 40 hexadecimal digits' })
  public git_commit?: string | null;

  @BuildArgs({ description: 'Build configuration arguments', nullable: true })
  public build_args?: Record<string, string> | null;
}

@ApiSchema({ name: 'CancelBuildRequest' })
export class CancelBuildDto {
  @ApiPropertyOptional({
    type: 'string',
    maxLength: 500,
    description: 'Reason for cancellation',
    example: 'User requested cancellation',
  })
  @IfPresent()
  @MaxLength(500, { message: 'must have at most 500 characters' })
  @IsString({ message: 'must be a string' })
  public reason?: string;
}

export const sortFields = ['created_at', 'updated_at', 'build_number'] as const;

export class ListBuildsQuery extends PageQuery {
  @ApiPropertyOptional({ type: 'string', enum: buildStatuses, description: 'Filter by build status' })
  @IfPresent()
  @IsIn(buildStatuses, { message: `must be one of ${buildStatuses.join(', ')}` })
  public status?: BuildStatus;

  @ApiPropertyOptional({ type: 'string', format: 'uuid', description: 'Filter by project ID' })
  @IfPresent()
  @Uuid()
  public project_id?: string;

  @ApiPropertyOptional({ type: 'string', enum: sortFields, default: 'created_at', description: 'Sort field' })
  @IsIn(sortFields, { message: `must be one of ${sortFields.join(', ')}` })
  public sort_by: (typeof sortFields)[number] = 'created_at';

  @ApiPropertyOptional({ type: 'string', enum: ['asc', 'desc'], default: 'desc', description: 'Sort order' })
  @IsIn(['asc', 'desc'], { message: 'must be asc or desc' })
  public sort_order: 'asc' | 'desc' = 'desc';
}
