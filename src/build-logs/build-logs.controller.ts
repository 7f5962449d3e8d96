import { Controller, Get, Header, Query } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiQuery, ApiResponse, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ApiError } from '../http/api-error';
import { ErrorResponses } from '../http/error-responses.decorator';
import { UuidParam } from '../http/uuid-param';
import { BuildLogsDto, BuildLogsQuery } from './build-logs.dto';
import { BuildLogsService } from './build-logs.service';

const idParam = { name: 'id', description: 'Build ID (UUID)', schema: { type: 'string', format: 'uuid' } } as const;

const streamSummary = 'Stream build logs (WebSocket)';

const streamDescription = `Opens a WebSocket connection to stream real-time build logs.

**Upgrade:** This endpoint requires HTTP upgrade to WebSocket

**Permissions Required:** \`build:read\`

**WebSocket Message Format:**
\`\`\`json
{
  "build_id": "660e8400-e29b-41d4-a716-446655440001",
  "timestamp": "2024-01-15T10:35:00Z",
  "level": "INFO|WARN|ERROR|DEBUG",
  "message": "Log message content",
  "metadata": {
    "step": "build",
    "container": "builder"
  }
}
\`\`\`

**Authentication:** \`Authorization: Bearer <token>\`, or for browsers the subprotocols \`imagefactory.logs.v1, bearer.<token>\`.

**Close codes:** 1000 after the last line of a finished build, with its status as the reason; 1001 the server shuts down;
1009 the client sent more than 4 KiB; 1013 the client reads too slowly; 4401 the token expired; 4404 the build was deleted.
After any other end than 1000 and 4404, continue with \`offset\` = the first offset + the lines received.`;

@ApiTags('Build Logs')
@Controller('builds')
export class BuildLogsController {
  public constructor(private readonly logs: BuildLogsService) {}

  @Get(':id/logs')
  @RequirePermission('build:read', {
    operationId: 'getBuildLogs',
    summary: 'Get build logs',
    description: 'Retrieves complete build logs for a finished build.',
  })
  @ApiParam(idParam)
  @ApiOkResponse({
    description: 'Build logs',
    type: BuildLogsDto,
    example: {
      build_id: '660e8400-e29b-41d4-a716-446655440001',
      logs: [
        { timestamp: '2024-01-15T10:35:00Z', level: 'INFO', message: 'Build started' },
        { timestamp: '2024-01-15T10:36:00Z', level: 'INFO', message: 'Pulling base image...' },
      ],
      total_lines: 245,
      offset: 0,
      limit: 100,
    },
  })
  @ErrorResponses(400, 404)
  @Header('Content-Type', 'application/json; charset=utf-8')
  public page(
    @UuidParam('id') id: string,
    @Query() { offset, limit }: BuildLogsQuery,
    @CurrentCaller() { tenantId }: Caller,
  ): Promise<string> {
    return this.logs.page(id, tenantId, offset, limit);
  }

  /** Requests with an upgrade are answered by the log stream's door; what comes here has none. */
  @Get(':id/logs/stream')
  @ApiOperation({ summary: streamSummary, description: streamDescription })
  @RequirePermission('build:read', { operationId: 'streamBuildLogs', summary: streamSummary })
  @ApiParam(idParam)
  @ApiQuery({
    name: 'offset',
    required: false,
    description: 'First line to send; lines before it are skipped',
    schema: { type: 'integer', default: 0, minimum: 0 },
  })
  @ApiResponse({ status: 101, description: 'WebSocket upgrade accepted' })
  @ErrorResponses(
    400,
    404,
    [426, 'The WebSocket version is not 13', 'Only version 13 of the WebSocket protocol is spoken here'],
    [429, 'Too many open log streams; Retry-After says when to try again', 'Too many open log streams'],
  )
  public stream(@UuidParam('id') id: string): never {
    throw new ApiError(400, `The log of build ${id} is streamed over a WebSocket: this request has no upgrade`);
  }
}
