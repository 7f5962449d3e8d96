import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { UuidParam } from '../http/uuid-param';
import { BuildStatusDto } from './build-status.dto';
import { BuildStatusService } from './build-status.service';

@ApiTags('Build Status')
@Controller('builds')
export class BuildStatusController {
  public constructor(private readonly statuses: BuildStatusService) {}

  @Get(':id/status')
  @RequirePermission('build:read', {
    operationId: 'getBuildStatus',
    summary: 'Get build status',
    description: 'Retrieves current status and progress information for a build.',
  })
  @ApiParam({ name: 'id', description: 'Build ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiOkResponse({
    type: BuildStatusDto,
    description: 'Build status',
    example: {
      build_id: '660e8400-e29b-41d4-a716-446655440001',
      status: 'in_progress',
      progress: { current_step: 5, total_steps: 10, percentage: 50 },
      started_at: '2024-01-15T10:35:00Z',
      estimated_completion: '2024-01-15T11:05:00Z',
    },
  })
  @ErrorResponses(400, 404)
  public get(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<BuildStatusDto> {
    return this.statuses.get(caller, id);
  }
}
