import { Injectable } from '@nestjs/common';
import { forbidden } from '../access/access.guard';
import type { Identity } from '../access/identity';
import { type AuditEventListDto, type ListAuditEventsQuery, toAuditEvent } from './audit-event.dto';
import { platformTenant } from './audit-event';
import { AuditEventsRepository } from './audit-events.repository';
import { cursorOf, placeOf } from './cursor';

const timeOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

@Injectable()
export class AuditEventsService {
  public constructor(private readonly events: AuditEventsRepository) {}

  /**
   * By a cursor and without a total: the log grows for ever, so that counting it, or skipping pages of it, would take longer
   * each day, and what is new would move the pages.
   */
  public async list(identity: Identity, request: ListAuditEventsQuery): Promise<AuditEventListDto> {
    const { limit, cursor, scope } = request;
    if (scope === 'platform' && !identity.permissions.has('tenant:list')) throw forbidden();
    const filter = {
      tenantId: scope === 'platform' ? platformTenant : identity.tenantId,
      action: request.action,
      actorId: request.actor_id,
      resourceId: request.resource_id,
      outcome: request.outcome,
      from: timeOf(request.from),
      to: timeOf(request.to),
      before: cursor === undefined ? undefined : (placeOf(cursor) ?? undefined),
    };
    const rows = await this.events.list(filter, limit + 1);
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const hasMore = rows.length > limit;
    return {
      audit_events: page.map(toAuditEvent),
      limit,
      has_more: hasMore,
      next_cursor: hasMore && last !== undefined ? cursorOf(last) : null,
    };
  }
}
