import { nowhere, type RequestOrigin } from '../http/request-origin';
import { type Actor, anonymous, type NewAuditEvent, platformTenant } from './audit-event';

/** Alike refusals within this time are one event with a count, besides the first, which is told at once. */
const windowMs = 60_000;
/** Different refusals of one actor in that time; more of them are one event for each action and status. */
const mostOfActor = 20;
/** Of all actors of one tenant, and of strangers who belong to none; more are one event for each actor, and then for all. */
const mostOfTenant = 200;
const mostOfStrangers = 1_000;
/** Of all tenants in this process. */
const most = 5_000;

/** An event that is due. */
export interface DueRefusal {
  readonly event: NewAuditEvent;
  /** How many it stands for. */
  readonly count: number;
  /** How long ago the first of them was (milliseconds). */
  readonly ageMs: number;
}

interface Pending {
  readonly event: NewAuditEvent;
  readonly since: number;
  /** Those that are not stored yet. */
  count: number;
  isTold: boolean;
}

/** Refused accesses on their way to the database: in bounded memory, and as a bounded number of events a minute. */
export class Refusals {
  private readonly pending = new Map<string, Pending>();
  private readonly perActor = new Tally();
  private readonly perTenant = new Tally();

  /** @param now milliseconds of a clock that only goes forward */
  public add(event: NewAuditEvent, now: number): void {
    this.put(this.placed(event), 1, now);
  }

  /**
   * Takes what is to be stored now: what was not told yet, and the repetitions of those whose minute is over.
   * @param isLast at the end of the process: all that there is
   */
  public take(now: number, isLast = false): DueRefusal[] {
    const due: DueRefusal[] = [];
    for (const [key, one] of this.pending) {
      const isOver = isLast || now - one.since >= windowMs;
      if (one.count > 0 && (isOver || !one.isTold)) {
        due.push({ event: one.event, count: one.count, ageMs: now - one.since });
        one.count = 0;
        one.isTold = true;
      }
      if (isOver) this.forget(key, one.event);
    }
    return due;
  }

  /** Puts back what could not be stored. */
  public giveBack(due: readonly DueRefusal[], now: number): void {
    for (const { event, count, ageMs } of due) this.put(this.placed(event), count, now - ageMs).isTold = false;
  }

  private put(event: NewAuditEvent, count: number, since: number): Pending {
    const key = keyOf(event);
    const known = this.pending.get(key);
    if (known !== undefined) {
      known.count += count;
      return known;
    }
    const added = { event, since, count, isTold: false };
    this.pending.set(key, added);
    this.perActor.add(actorKeyOf(event), 1);
    this.perTenant.add(event.actor.tenantId, 1);
    return added;
  }

  private forget(key: string, event: NewAuditEvent): void {
    this.pending.delete(key);
    this.perActor.add(actorKeyOf(event), -1);
    this.perTenant.add(event.actor.tenantId, -1);
  }

  /**
   * The event itself where there is room for it, else one that stands for many. Whatever others do, what was refused to a
   * tenant's own, or at its accounts, is told to that tenant.
   */
  private placed(event: NewAuditEvent): NewAuditEvent {
    if (this.pending.has(keyOf(event))) return event;
    if (this.perActor.of(actorKeyOf(event)) < mostOfActor && this.hasRoom(event, 1)) return event;
    const { actor, origin } = event;
    // One network may be told as its address; one actor may have come from several.
    const ofActor = folded(event, actor, actor.kind === 'anonymous' ? { ...nowhere, ...oneNetwork(origin) } : nowhere);
    if (this.pending.has(keyOf(ofActor)) || this.hasRoom(event, 2)) return ofActor;
    return folded(event, { ...anonymous, tenantId: actor.tenantId }, nowhere);
  }

  private hasRoom({ actor: { tenantId } }: NewAuditEvent, times: number): boolean {
    const own = tenantId === platformTenant ? mostOfStrangers : mostOfTenant;
    return this.perTenant.of(tenantId) < own * times && this.pending.size < most * times;
  }
}

/** How many there are of each. */
class Tally {
  private readonly counts = new Map<string, number>();

  public of(key: string): number {
    return this.counts.get(key) ?? 0;
  }

  public add(key: string, change: number): void {
    const count = this.of(key) + change;
    if (count === 0) this.counts.delete(key);
    else this.counts.set(key, count);
  }
}

function folded({ action, status }: NewAuditEvent, actor: Actor, origin: RequestOrigin): NewAuditEvent {
  return { action, actor, resource: null, origin, details: { many: true }, status };
}

function oneNetwork({ network }: RequestOrigin): Pick<RequestOrigin, 'address' | 'network'> {
  return { address: network, network };
}

/** Of a stranger, the network, for each tenant whose accounts are tried and each way of trying. */
function actorKeyOf({ action, actor: { kind, tenantId, userId, apiKeyId }, origin }: NewAuditEvent): string {
  return JSON.stringify(kind === 'anonymous' ? [origin.network, tenantId, action] : [kind, tenantId, userId, apiKeyId]);
}

function keyOf(event: NewAuditEvent): string {
  const { actor, action, resource, details, status, origin } = event;
  return JSON.stringify([actorKeyOf(event), actor.tenantId, origin.address, action, resource, details, status]);
}
