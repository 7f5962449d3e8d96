import { Controller, Delete, HttpCode } from '@nestjs/common';
import { ApiNoContentResponse, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { UuidParam } from '../http/uuid-param';
import { BuildsService } from './builds.service';

/** Stands here and not with the other routes of projects, which know nothing of builds: its builds go with a project. */
@ApiTags('Projects')
@Controller('projects')
export class ProjectDeletionController {
  public constructor(private readonly builds: BuildsService) {}

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('project:delete', {
    operationId: 'deleteProject',
    summary: 'Delete a project with all of its builds',
    description: 'It is gone at once; running builds are stopped.',
  })
  @ApiParam({ name: 'id', description: 'Project ID (UUID)', schema: { type: 'string', format: 'uuid' } })
  @ApiNoContentResponse({ description: 'Project deleted' })
  @ErrorResponses(400, [404, 'No such project in this tenant', 'Project not found'])
  public delete(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<void> {
    return this.builds.deleteProject(caller, id);
  }
}
