import { Body, Controller, Delete, Get, HttpCode, Post, Query } from '@nestjs/common';
import {
  ApiBody,
  ApiCreatedResponse,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { IdempotencyKey } from '../http/idempotency';
import { UuidParam } from '../http/uuid-param';
import { CancelBuildDto, CreateBuildDto, ListBuildsQuery } from './build-requests.dto';
import { BuildDto, BuildListDto, exampleBuild, exampleBuildList, exampleBuilds } from './build.dto';
import { BuildsService } from './builds.service';

const idParam = (description = 'Build ID (UUID)') =>
  ({ name: 'id', description, required: true, schema: { type: 'string', format: 'uuid' } }) as const;
const idempotencyKey = {
  name: 'Idempotency-Key',
  required: false,
  description: 'Send the same key to repeat a request safely: for 24 hours it is answered as the first time',
  schema: { type: 'string', minLength: 1, maxLength: 255 },
} as const;

@ApiTags('Builds')
@Controller('builds')
export class BuildsController {
  public constructor(private readonly builds: BuildsService) {}

  @Post()
  @RequirePermission('build:create', {
    operationId: 'createBuild',
    summary: 'Create a new build',
    description:
      'Creates a new build for a project. The request must include a valid project ID\nand Git reference (branch, tag, or commit).',
  })
  @ApiHeader(idempotencyKey)
  @ApiBody({
    type: CreateBuildDto,
    required: true,
    examples: {
      basic: {
        summary: 'Basic build request',
        value: { project_id: exampleBuild.project_id, git_branch: 'main' },
      },
      with_commit: {
        summary: 'Build specific commit',
        value: { project_id: exampleBuild.project_id, git_branch: 'feature/api', git_commit: 'abc123def456' },
      },
    },
  })
  @ApiCreatedResponse({ type: BuildDto, description: 'Build created successfully', example: exampleBuild })
  @ErrorResponses(400, [409, 'The Idempotency-Key was used before with another request'])
  public create(
    @CurrentCaller() caller: Caller,
    @IdempotencyKey() key: string | null,
    @Body() request: CreateBuildDto,
  ): Promise<BuildDto> {
    return this.builds.create(caller, request, key);
  }

  @Get()
  @RequirePermission('build:list', {
    operationId: 'listBuilds',
    summary: 'List all builds',
    description: 'Retrieves a paginated list of builds for the current tenant.',
  })
  @ApiOkResponse({ type: BuildListDto, description: 'List of builds', example: exampleBuildList })
  @ErrorResponses(400)
  public list(@CurrentCaller() caller: Caller, @Query() request: ListBuildsQuery): Promise<BuildListDto> {
    return this.builds.list(caller, request);
  }

  @Get(':id')
  @RequirePermission('build:read', {
    operationId: 'getBuild',
    summary: 'Get build details',
    description: 'Retrieves detailed information about a specific build.',
  })
  @ApiParam(idParam())
  @ApiOkResponse({ type: BuildDto, description: 'Build details', example: exampleBuilds.successful })
  @ErrorResponses(400, 404)
  public get(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<BuildDto> {
    return this.builds.get(caller, id);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('build:delete', {
    operationId: 'deleteBuild',
    summary: 'Delete a build',
    description:
      'Deletes a build and its associated resources. It is gone at once; a running build is stopped. Its log, image and workspace are purged in the background.',
  })
  @ApiParam(idParam())
  @ApiNoContentResponse({ description: 'Build deleted successfully' })
  @ErrorResponses(400, 404, [501, 'Not implemented: documented by the contract, never answered by this service'])
  public delete(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<void> {
    return this.builds.delete(caller, id);
  }

  @Post(':id/start')
  @HttpCode(200)
  @RequirePermission('build:create', {
    operationId: 'startBuild',
    summary: 'Start a build',
    description: "Transitions a build from 'queued' to 'in_progress' status.",
  })
  @ApiParam(idParam())
  @ApiOkResponse({ type: BuildDto, description: 'Build started successfully', example: exampleBuilds.started })
  @ErrorResponses(400, 404, [409, 'Build cannot be started from current status'])
  public start(@CurrentCaller() caller: Caller, @UuidParam('id') id: string): Promise<BuildDto> {
    return this.builds.start(caller, id);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @RequirePermission('build:cancel', {
    operationId: 'cancelBuild',
    summary: 'Cancel a build',
    description: "Cancels an in-progress build. The build must be in 'in_progress' status.",
  })
  @ApiParam(idParam())
  @ApiBody({ type: CancelBuildDto, required: false })
  @ApiOkResponse({ type: BuildDto, description: 'Build cancelled successfully', example: exampleBuilds.cancelled })
  @ErrorResponses(400, 404, [409, 'Build cannot be cancelled from current status'])
  public cancel(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') id: string,
    @Body() request: CancelBuildDto,
  ): Promise<BuildDto> {
    return this.builds.cancel(caller, id, request);
  }

  @Post(':id/retry')
  @HttpCode(200)
  @RequirePermission('build:create', {
    operationId: 'retryBuild',
    summary: 'Retry a failed build',
    description: 'Creates a new build with the same configuration as a failed build.',
  })
  @ApiHeader(idempotencyKey)
  @ApiParam(idParam('Build ID (UUID) of the failed build'))
  @ApiOkResponse({ type: BuildDto, description: 'New build created for retry', example: exampleBuilds.retry })
  @ErrorResponses(400, 404, [409, 'Build cannot be retried from current status'])
  public retry(
    @CurrentCaller() caller: Caller,
    @UuidParam('id') id: string,
    @IdempotencyKey() key: string | null,
  ): Promise<BuildDto> {
    return this.builds.retry(caller, id, key);
  }
}
