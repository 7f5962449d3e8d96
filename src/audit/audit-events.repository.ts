import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { query } from '../database/query';
import type { Actor, AuditAction, Details, NewAuditEvent, outcomes, Resource } from './audit-event';
import type { DueRefusal } from './refusals';

/** An event as it is stored. */
export interface AuditEventRow {
  readonly id: string;
  readonly occurredAt: Date;
  /** The same to the microsecond, since the epoch. */
  readonly occurredMicros: string;
  readonly action: AuditAction;
  readonly outcome: 'allowed' | 'refused';
  readonly status: number | null;
  readonly count: number;
  readonly actorKind: Actor['kind'];
  readonly actorId: string | null;
  readonly actorName: string | null;
  readonly apiKeyId: string | null;
  readonly resourceType: Resource['type'] | null;
  readonly resourceId: string | null;
  readonly address: string | null;
  readonly userAgent: string | null;
  readonly traceId: string | null;
  readonly details: Details;
}

/** The place of an event in the order of all. */
export type Place = Pick<AuditEventRow, 'id' | 'occurredMicros'>;

/** Which events of a tenant are asked for; undefined: whatever it is. */
export interface AuditFilter {
  readonly tenantId: string;
  readonly action: string | undefined;
  readonly actorId: string | undefined;
  readonly resourceId: string | undefined;
  readonly outcome: (typeof outcomes)[number] | undefined;
  readonly from: Date | undefined;
  readonly to: Date | undefined;
  /** Only older ones than this. */
  readonly before: Place | undefined;
}

const columns = `id, occurred_at AS "occurredAt", (extract(epoch FROM occurred_at) * 1000000)::bigint::text AS "occurredMicros",
  action, outcome, status, count, actor_kind AS "actorKind", actor_id AS "actorId", actor_name AS "actorName",
  api_key_id AS "apiKeyId", resource_type AS "resourceType", resource_id AS "resourceId", address,
  user_agent AS "userAgent", trace_id AS "traceId", details`;

/** Each event as JSON, the name of a user of ours as it is now, and the time by the database's clock. */
const insertSql = recordingSql('$1');

/**
 * The same for statements that do a deed and record it at once: stores the events of a JSON parameter.
 * @param condition on which they are stored
 */
export function recordingSql(parameter: string, condition = 'true'): string {
  return `
  INSERT INTO audit_events (tenant_id, occurred_at, action, outcome, status, count, actor_kind, actor_id, actor_name,
                            api_key_id, resource_type, resource_id, address, user_agent, trace_id, details)
  SELECT e.tenant_id, now() - e.age_ms * interval '1 millisecond', e.action,
         CASE WHEN e.status IS NULL THEN 'allowed' ELSE 'refused' END, e.status, e.count, e.actor_kind, e.actor_id,
         coalesce(e.actor_name, (SELECT u.email FROM users u WHERE u.id = e.actor_id AND u.tenant_id = e.tenant_id)),
         e.api_key_id, e.resource_type, e.resource_id, e.address, e.user_agent, e.trace_id, e.details
  FROM jsonb_to_recordset(${parameter}::jsonb) AS e (
    tenant_id uuid, age_ms double precision, action text, status smallint, count integer, actor_kind text, actor_id uuid,
    actor_name text, api_key_id uuid, resource_type text, resource_id text, address text, user_agent text, trace_id text,
    details jsonb)
  WHERE ${condition}`;
}

const removedAtOnce = 1_000;

@Injectable()
export class AuditEventsRepository {
  public constructor(@InjectDataSource() private readonly dataSource: DataSource) {}

  public async insert(database: DataSource | EntityManager, events: readonly DueRefusal[]): Promise<void> {
    await query(database, insertSql, [asParameter(events)]);
  }

  /** Beside every request. */
  public insertRefusals(events: readonly DueRefusal[]): Promise<void> {
    return this.insert(this.dataSource, events);
  }

  /** The newest first. */
  public list(filter: AuditFilter, limit: number): Promise<AuditEventRow[]> {
    const values: unknown[] = [filter.tenantId, limit];
    const conditions = ['tenant_id = $1'];
    const add = (value: unknown, condition: (parameter: string) => string): void => {
      if (value !== undefined) conditions.push(condition(`$${values.push(value)}`));
    };
    add(filter.action, (it) => `action = ${it}`);
    add(filter.actorId, (it) => `actor_id = ${it}`);
    add(filter.resourceId, (it) => `resource_id = ${it}`);
    add(filter.outcome, (it) => `outcome = ${it}`);
    add(filter.from, (it) => `occurred_at >= ${it}`);
    add(filter.to, (it) => `occurred_at < ${it}`);
    if (filter.before !== undefined) {
      const time = `timestamptz 'epoch' + $${values.push(filter.before.occurredMicros)}::bigint * interval '1 microsecond'`;
      conditions.push(`(occurred_at, id) < (${time}, $${values.push(filter.before.id)})`);
    }
    return query(
      this.dataSource,
      `SELECT ${columns} FROM audit_events WHERE ${conditions.join(' AND ')} ORDER BY occurred_at DESC, id DESC LIMIT $2`,
      values,
    );
  }

  /**
   * Removes a batch of events that are older. The table lets nothing else go, and nothing younger than 30 days.
   * @returns true when there may be more
   */
  public async expire(manager: EntityManager, days: number): Promise<boolean> {
    await query(manager, `SELECT set_config('image_factory.audit_retention_days', $1, true)`, [String(days)]);
    const gone = await query(
      manager,
      `DELETE FROM audit_events WHERE ctid = ANY (ARRAY(
         SELECT ctid FROM audit_events WHERE occurred_at < now() - make_interval(days => $1)
         ORDER BY occurred_at LIMIT ${removedAtOnce}))
       RETURNING id`,
      [days],
    );
    return gone.length === removedAtOnce;
  }
}

/** Events as `recordingSql` takes them. */
export function asParameter(events: readonly DueRefusal[]): string {
  return JSON.stringify(events.map(recordOf));
}

function recordOf({ event, count, ageMs }: DueRefusal): object {
  const { action, actor, resource, origin, details, status }: NewAuditEvent = event;
  return {
    tenant_id: actor.tenantId,
    age_ms: ageMs,
    action,
    status,
    count,
    actor_kind: actor.kind,
    actor_id: actor.userId,
    actor_name: actor.name,
    api_key_id: actor.apiKeyId,
    resource_type: resource?.type ?? null,
    resource_id: resource?.id ?? null,
    address: origin.address,
    user_agent: origin.userAgent,
    trace_id: origin.traceId,
    details,
  };
}
