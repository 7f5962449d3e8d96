import { ApiProperty, ApiPropertyOptional, ApiSchema } from '@nestjs/swagger';
import { IsIn, ValidateBy } from 'class-validator';
import { IntegerParam } from '../http/integer-param';
import { IfPresent } from '../http/optional';
import { isUuid } from '../http/uuid-param';
import {
  type Actor,
  type AuditAction,
  auditActions,
  actorKinds,
  type Details,
  outcomes,
  type Resource,
  resourceTypes,
} from './audit-event';
import type { AuditEventRow } from './audit-events.repository';
import { placeOf } from './cursor';

const instant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/i;

/** An id in lower case as all that we give, with the name of a secret behind it. */
const resource = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(\/[A-Za-z0-9_.-]{1,64})?$/;

function Checked(name: string, isGood: (value: unknown) => boolean, wish: string): PropertyDecorator {
  return ValidateBy({ name, validator: { validate: isGood, defaultMessage: () => wish } });
}

const Instant = (): PropertyDecorator =>
  Checked(
    'instant',
    (value) => typeof value === 'string' && instant.test(value) && !Number.isNaN(Date.parse(value)),
    'must be a time like 2024-01-15T10:30:00Z',
  );

export class ListAuditEventsQuery {
  @IntegerParam({ min: 1, max: 100, default: 20, description: 'Number of events' })
  public limit = 20;

  @ApiPropertyOptional({
    type: 'string',
    maxLength: 60,
    description: '`next_cursor` of the page before, whose filters must be the same',
  })
  @IfPresent()
  @Checked('cursor', (value) => typeof value === 'string' && placeOf(value) !== null, 'must be a next_cursor of ours')
  public cursor?: string;

  @ApiPropertyOptional({ type: 'string', enum: auditActions, description: 'Filter by action' })
  @IfPresent()
  @IsIn(auditActions, { message: 'must be an action, such as build.create' })
  public action?: AuditAction;

  @ApiPropertyOptional({
    type: 'string',
    format: 'uuid',
    description: 'Filter by user, also as the owner of an API key',
  })
  @IfPresent()
  @Checked('uuid', isUuid, 'must be a UUID')
  public actor_id?: string;

  @ApiPropertyOptional({
    type: 'string',
    maxLength: 101,
    pattern: resource.source,
    description: 'Filter by resource: its id; of a secret, the id of its project, / and its name',
  })
  @IfPresent()
  @Checked('resource', (value) => typeof value === 'string' && resource.test(value), 'must be an id of a resource')
  public resource_id?: string;

  @ApiPropertyOptional({ type: 'string', enum: outcomes, description: 'Filter by outcome' })
  @IfPresent()
  @IsIn(outcomes, { message: `must be one of ${outcomes.join(', ')}` })
  public outcome?: (typeof outcomes)[number];

  @ApiPropertyOptional({ type: 'string', format: 'date-time', maxLength: 35, description: 'Not before this time' })
  @IfPresent()
  @Instant()
  public from?: string;

  @ApiPropertyOptional({ type: 'string', format: 'date-time', maxLength: 35, description: 'Before this time' })
  @IfPresent()
  @Instant()
  public to?: string;

  @ApiPropertyOptional({
    type: 'string',
    enum: ['tenant', 'platform'],
    default: 'tenant',
    description: 'platform: what was refused to strangers, whose tenant nobody knows; needs `tenant:list` as well',
  })
  @IsIn(['tenant', 'platform'], { message: 'must be tenant or platform' })
  public scope: 'tenant' | 'platform' = 'tenant';
}

@ApiSchema({ name: 'AuditEvent' })
export class AuditEventDto {
  @ApiProperty({ format: 'uuid' })
  public id!: string;

  @ApiProperty({ type: 'string', format: 'date-time', description: 'When it happened; of several, the first' })
  public occurred_at!: string;

  @ApiProperty({ enum: auditActions })
  public action!: AuditAction;

  @ApiProperty({ enum: outcomes })
  public outcome!: (typeof outcomes)[number];

  @ApiProperty({ type: 'integer', nullable: true, description: 'The HTTP status of a refusal' })
  public status!: number | null;

  @ApiProperty({ type: 'integer', minimum: 1, description: 'How many alike happened within a minute' })
  public count!: number;

  @ApiProperty({ enum: actorKinds, description: 'outside: a user of the outside issuer' })
  public actor_kind!: Actor['kind'];

  @ApiProperty({ type: 'string', format: 'uuid', nullable: true, description: 'The user; of an API key, its owner' })
  public actor_id!: string | null;

  @ApiProperty({ type: 'string', nullable: true, description: "The user's e-mail address at that time" })
  public actor_name!: string | null;

  @ApiProperty({ type: 'string', format: 'uuid', nullable: true, description: 'The API key that was used' })
  public api_key_id!: string | null;

  @ApiProperty({ type: 'string', enum: resourceTypes, nullable: true })
  public resource_type!: Resource['type'] | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'Its id; of a secret, the id of its project, / and its name',
  })
  public resource_id!: string | null;

  @ApiProperty({ type: 'string', nullable: true, description: 'The IP address that it came from' })
  public address!: string | null;

  @ApiProperty({
    type: 'string',
    nullable: true,
    description: 'What the client said of itself, at most 256 characters',
  })
  public user_agent!: string | null;

  @ApiProperty({ type: 'string', nullable: true })
  public trace_id!: string | null;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'Such as the names of the `fields` that changed, or the `operation` that was refused; never a secret',
  })
  public details!: Details;
}

@ApiSchema({ name: 'AuditEventList' })
export class AuditEventListDto {
  @ApiProperty({ type: [AuditEventDto] })
  public audit_events!: AuditEventDto[];

  @ApiProperty({ type: 'integer', description: 'Events per page' })
  public limit!: number;

  @ApiProperty({ description: 'Whether older ones exist' })
  public has_more!: boolean;

  @ApiProperty({ type: 'string', nullable: true, description: 'Leads to the next page, as `cursor`' })
  public next_cursor!: string | null;
}

/** What a document shows of the log. */
export const exampleAuditEventList: AuditEventListDto = {
  audit_events: [
    {
      id: 'aa0e8400-e29b-41d4-a716-446655440005',
      occurred_at: '2024-01-15T10:30:00Z',
      action: 'build.start',
      outcome: 'allowed',
      status: null,
      count: 1,
      actor_kind: 'user',
      actor_id: '770e8400-e29b-41d4-a716-446655440002',
      actor_name: 'ada@example.com',
      api_key_id: null,
      resource_type: 'build',
      resource_id: '550e8400-e29b-41d4-a716-446655440000',
      address: '203.0.113.7',
      user_agent: 'curl/8.11.0',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
      details: {},
    },
  ],
  limit: 20,
  has_more: false,
  next_cursor: null,
};

export function toAuditEvent(row: AuditEventRow): AuditEventDto {
  return {
    id: row.id,
    occurred_at: row.occurredAt.toISOString(),
    action: row.action,
    outcome: row.outcome,
    status: row.status,
    count: row.count,
    actor_kind: row.actorKind,
    actor_id: row.actorId,
    actor_name: row.actorName,
    api_key_id: row.apiKeyId,
    resource_type: row.resourceType,
    resource_id: row.resourceId,
    address: row.address,
    user_agent: row.userAgent,
    trace_id: row.traceId,
    details: row.details,
  };
}
