import { ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { type BuildStatus, buildStatuses } from '../builds/build-state';

export class BuildProgressDto {
  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'Steps finished; never falls' })
  public current_step!: number;

  @ApiPropertyOptional({ type: 'integer', minimum: 0, description: 'All steps; 0 until the worker knows' })
  public total_steps!: number;

  @ApiPropertyOptional({ type: 'number', minimum: 0, maximum: 100, description: '100 only for a successful build' })
  public percentage!: number;
}

@ApiSchema({ name: 'BuildStatus', description: 'Build status and progress information' })
export class BuildStatusDto {
  @ApiPropertyOptional({ type: 'string', format: 'uuid' })
  public build_id!: string;

  @ApiPropertyOptional({ type: 'string', enum: buildStatuses })
  public status!: BuildStatus;

  @ApiPropertyOptional({
    nullable: true,
    type: 'object',
    description: 'The checkout, each Dockerfile step and the publishing count as steps; null while queued',
    properties: {
      current_step: { type: 'integer', minimum: 0, description: 'Steps finished; never falls' },
      total_steps: { type: 'integer', minimum: 0, description: 'All steps; 0 until the worker knows' },
      percentage: { type: 'number', minimum: 0, maximum: 100, description: '100 only for a successful build' },
    },
  })
  public progress!: BuildProgressDto | null;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    nullable: true,
    description:
      'Place in the queue of all tenants while it waits for a worker, else null. Builds are claimed in this order as ' +
      'long as no running one ends: a build whose end leaves its tenant with fewer may move that tenant’s up, and the ' +
      'operator’s limits on running builds may hold some back',
  })
  public queue_position!: number | null;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', nullable: true })
  public started_at!: string | null;

  @ApiPropertyOptional({
    type: 'string',
    format: 'date-time',
    nullable: true,
    description: 'From the last ten successful builds of the project and the steps done; null without a history',
  })
  public estimated_completion!: string | null;

  @ApiPropertyOptional({ type: 'string', nullable: true })
  public error!: string | null;
}
