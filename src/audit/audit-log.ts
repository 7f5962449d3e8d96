import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { type Actor, type AuditAction, type Details, nowhere, platformTenant, type Resource } from './audit-event';
import { AuditEventsRepository } from './audit-events.repository';
import type { TriedAccount } from './visit';
import { Visits } from './visits';

/** What was done, in the words of who did it. */
export interface Deed {
  readonly action: AuditAction;
  readonly resource: Resource;
  readonly details?: Details;
  /** Who, where the request itself does not show it, as a sign-in. */
  readonly by?: { readonly userId: string; readonly tenantId: string };
  /** The status of the answer, if the deed was to refuse. */
  readonly status?: number;
}

const system: Actor = { kind: 'system', tenantId: platformTenant, userId: null, name: null, apiKeyId: null };

/** Writes down what is done, by whom and from where: one statement in the transaction that does it. */
@Injectable()
export class AuditLog {
  public constructor(
    private readonly visits: Visits,
    private readonly events: AuditEventsRepository,
  ) {}

  /** @param manager of the transaction: the event is kept exactly when the deed is */
  public async record(manager: EntityManager, { action, resource, details = {}, by, status }: Deed): Promise<void> {
    const visit = this.visits.current;
    const actor: Actor = by === undefined ? (visit?.actor ?? system) : { ...system, kind: 'user', ...by };
    const origin = visit?.origin ?? nowhere;
    const event = { action, actor, resource, origin, details, status: status ?? null };
    await this.events.insert(manager, [{ event, count: 1, ageMs: 0 }]);
    if (visit !== undefined) visit.isRecorded = true;
  }

  /** The account that the request tries to get into. Should it be refused, the tenant of the account is told. */
  public tries(account: TriedAccount): void {
    this.visits.current?.tries(account);
  }
}
