import { type Actor, anonymous, type NewAuditEvent, nowhere } from './audit-event';

/** Alike refusals within this time are one event with a count, besides the first, which is told at once. */
const windowMs = 60_000;
/** Different refusals of one actor in that time; more of them are one event. */
const mostOfActor = 20;
/** Of all actors of this process together; more of them are one event for each actor, and then one for all. */
const most = 1_000;

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
  private readonly perActor = new Map<string, number>();

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
    for (const { event, count, ageMs } of due) this.put(event, count, now - ageMs).isTold = false;
  }

  private put(event: NewAuditEvent, count: number, since: number): Pending {
    const key = keyOf(event);
    const known = this.pending.get(key);
    if (known !== undefined) {
      known.count += count;
      return known;
    }
    const added = { event, since, count, isTold: false };
    const actor = actorKeyOf(event);
    this.pending.set(key, added);
    this.perActor.set(actor, (this.perActor.get(actor) ?? 0) + 1);
    return added;
  }

  private forget(key: string, event: NewAuditEvent): void {
    const actor = actorKeyOf(event);
    const left = (this.perActor.get(actor) ?? 1) - 1;
    this.pending.delete(key);
    if (left === 0) this.perActor.delete(actor);
    else this.perActor.set(actor, left);
  }

  /** The event itself where there is room for it, else one that stands for many. */
  private placed(event: NewAuditEvent): NewAuditEvent {
    if (this.pending.has(keyOf(event))) return event;
    const ofActor = this.perActor.get(actorKeyOf(event)) ?? 0;
    if (ofActor < mostOfActor && this.pending.size < most) return event;
    const { origin, actor } = event;
    const one = folded(actor, actor.kind === 'anonymous' ? { ...nowhere, network: origin.network } : nowhere);
    if (this.pending.has(keyOf(one)) || this.pending.size < 2 * most) return one;
    return folded(anonymous, nowhere);
  }
}

function folded(actor: Actor, origin: NewAuditEvent['origin']): NewAuditEvent {
  return { action: 'access.refused', actor, resource: null, origin, details: { many: true }, status: 403 };
}

function actorKeyOf({ actor: { kind, tenantId, userId, apiKeyId }, origin }: NewAuditEvent): string {
  return JSON.stringify(kind === 'anonymous' ? [origin.network] : [kind, tenantId, userId, apiKeyId]);
}

function keyOf(event: NewAuditEvent): string {
  const { actor, action, resource, details, status, origin } = event;
  return JSON.stringify([actorKeyOf(event), actor.tenantId, origin.address, action, resource, details, status]);
}
