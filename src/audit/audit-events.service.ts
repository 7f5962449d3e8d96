import { Injectable } from '@nestjs/common';
import { forbidden } from '../access/access.guard';
import type { Identity } from '../access/identity';
import { ApiError } from '../http/api-error';
import { type AuditEventListDto, type ListAuditEventsQuery, toAuditEvent } from './audit-event.dto';
import { platformTenant } from './audit-event';
import { AuditEventsRepository } from './audit-events.repository';
import { cursorOf, placeOf } from './cursor';

const timeOf = (text: string | undefined): Date | undefined => (text === undefined ? undefined : new Date(text));

/** Of one tenant: filters that find little read much, and one tenant's must not keep all connections to the database. */
const mostAtOnce = 4;

@Injectable()
export class AuditEventsService {
  private readonly reading = new Map<string, number>();

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
    const rows = await this.inTurn(filter.tenantId, () => this.events.list(filter, limit + 1));
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

  /** @throws ApiError 429 while as many of the tenant's lists are being read as may be */
  private async inTurn<Result>(tenantId: string, read: () => Promise<Result>): Promise<Result> {
    const before = this.reading.get(tenantId) ?? 0;
    if (before >= mostAtOnce) {
      const message = 'Too many lists of audit events at once; give `from` where filters find little';
      throw new ApiError(429, message, null, { headers: { 'Retry-After': '1' } });
    }
    this.reading.set(tenantId, before + 1);
    try {
      return await read();
    } finally {
      const left = (this.reading.get(tenantId) ?? 1) - 1;
      if (left === 0) this.reading.delete(tenantId);
      else this.reading.set(tenantId, left);
    }
  }
}
