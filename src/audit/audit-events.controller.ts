import { Controller, Get, Query } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import type { Caller } from '../access/caller';
import { CurrentCaller } from '../access/current-caller.decorator';
import { RequirePermission } from '../access/require-permission.decorator';
import { ErrorResponses } from '../http/error-responses.decorator';
import { AuditEventListDto, exampleAuditEventList, ListAuditEventsQuery } from './audit-event.dto';
import { AuditEventsService } from './audit-events.service';

@ApiTags('Audit')
@Controller('audit-events')
export class AuditEventsController {
  public constructor(private readonly events: AuditEventsService) {}

  @Get()
  @RequirePermission('audit:read', {
    operationId: 'listAuditEvents',
    summary: 'List who did what in this tenant',
    description:
      'Each write and each refused access, the newest first. Alike refusals of a minute are one event with a count. It ' +
      'pages by a cursor: `cursor` of a request is `next_cursor` of the answer before.',
  })
  @ApiOkResponse({ type: AuditEventListDto, description: 'Events', example: exampleAuditEventList })
  @ErrorResponses(400)
  public list(@CurrentCaller() caller: Caller, @Query() request: ListAuditEventsQuery): Promise<AuditEventListDto> {
    return this.events.list(caller, request);
  }
}
