import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Caller } from '../access/caller';
import { type Actor, actorOf, anonymous, type AuditAction, type Details, type Resource } from './audit-event';
import { asParameter, AuditEventsRepository } from './audit-events.repository';
import type { DueRefusal } from './refusals';
import { Visit } from './visit';

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

/** Writes down what is done, by whom and from where: one statement in the transaction that does it. */
@Injectable()
export class AuditLog {
  public constructor(private readonly events: AuditEventsRepository) {}

  /**
   * @param manager of the transaction: the event is kept exactly when the deed is
   * @param who does it; a visit where nobody is signed in yet
   */
  public async record(manager: EntityManager, who: Caller | Visit, deed: Deed): Promise<void> {
    await this.events.insert(manager, [eventOf(who, deed)]);
    if (who instanceof Visit) who.isRecorded = true;
  }

  /** The event for a statement that does the deed as well (`recordingSql`). */
  public parameter(caller: Caller, deed: Deed): string {
    return asParameter([eventOf(caller, deed)]);
  }
}

function eventOf(who: Caller | Visit, { action, resource, details = {}, by, status }: Deed): DueRefusal {
  const actor = by === undefined ? actorBehind(who) : { ...anonymous, kind: 'user' as const, ...by };
  return {
    event: { action, actor, resource, origin: who.origin, details, status: status ?? null },
    count: 1,
    ageMs: 0,
  };
}

function actorBehind(who: Caller | Visit): Actor {
  return who instanceof Visit ? who.actor : actorOf(who);
}
