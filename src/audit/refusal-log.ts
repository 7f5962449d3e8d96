import { HttpException, Injectable } from '@nestjs/common';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import type { IncomingMessage } from 'node:http';
import type { Identity } from '../access/identity';
import { isUuid } from '../http/uuid-param';
import type { AuditAction, Resource, ResourceType } from './audit-event';
import { Refusals } from './refusals';
import type { Visit } from './visit';
import { Visits } from './visits';

/** What a refusal means; a limit of requests or a bad body refuses nobody access. */
const refusedStatuses = new Set([401, 403, 404]);

/** What is refused at the doors that are open to everybody. */
const attempts: Readonly<Record<string, { readonly action: AuditAction; readonly statuses: readonly number[] }>> = {
  'POST /api/v1/auth/login': { action: 'auth.login_failed', statuses: [401, 429] },
  'POST /api/v1/auth/refresh': { action: 'auth.refresh_failed', statuses: [401] },
};

const typeOfPath: Readonly<Record<string, ResourceType>> = {
  'api-keys': 'api_key',
  'audit-events': 'audit_event',
  builds: 'build',
  projects: 'project',
  tenants: 'tenant',
  users: 'user',
};

/** A request that was refused. */
interface Refused {
  readonly method: string;
  /** With the names of its parameters in place of their values. */
  readonly route: string;
  readonly id: unknown;
  readonly status: number;
  readonly hasCredential: boolean;
}

/**
 * Writes down refused accesses beside the requests, which it never holds up and never fails: they gather in bounded memory and
 * are stored once a second. A crash loses those of the last second, and the counts of the last minute.
 */
@Injectable()
export class RefusalLog {
  /** What is not stored yet. */
  public readonly refusals = new Refusals();

  public constructor(private readonly visits: Visits) {}

  /** Stands before all routes, to hear of each request that is answered with an error. */
  public middleware(): RequestHandler {
    const heard = (request: Request, status: number): void => {
      this.heard(request, status);
    };
    return (request: Request, _: Response, next: NextFunction): void => {
      request.onRefusal = heard;
      next();
    };
  }

  private heard(request: Request, status: number): void {
    const route = routeOf(request);
    if (route === null) return;
    const { method, params, headers } = request;
    this.note(this.visits.of(request), {
      method,
      route,
      id: params.id,
      status,
      hasCredential: headers.authorization !== undefined,
    });
  }

  /** The same of a WebSocket that was refused, by what its door threw. */
  public heardAtDoor(
    request: IncomingMessage,
    identity: Identity | undefined,
    { route, id }: Pick<Refused, 'route' | 'id'>,
    error: unknown,
  ): void {
    if (!(error instanceof HttpException)) return;
    const { authorization, 'sec-websocket-protocol': offered = '' } = request.headers;
    const hasCredential = authorization !== undefined || offered.includes('bearer.');
    const refused = { method: 'GET', route, id, status: error.getStatus(), hasCredential };
    this.note(
      this.visits.atDoor(request, () => identity),
      refused,
    );
  }

  private note(visit: Visit, { method, route, id, status, hasCredential }: Refused): void {
    if (visit.isRecorded) return;
    const operation = `${method} ${route}`;
    const attempt = attempts[operation];
    const isRefusal = attempt === undefined ? refusedStatuses.has(status) : attempt.statuses.includes(status);
    // Who shows no credential at all tries nothing.
    if (!isRefusal || (attempt === undefined && !hasCredential)) return;
    this.refusals.add(
      {
        action: attempt?.action ?? 'access.refused',
        actor: visit.actor,
        resource: visit.triedResource ?? resourceOf(route, id),
        origin: visit.origin,
        details: { operation },
        status,
      },
      performance.now(),
    );
  }
}

/** Null where no route took the request. */
function routeOf(request: Request): string | null {
  const route: unknown = request.route;
  if (typeof route !== 'object' || route === null || !('path' in route)) return null;
  return typeof route.path === 'string' ? route.path : null;
}

function resourceOf(route: string, id: unknown): Resource | null {
  const [, , , kind = ''] = route.split('/');
  const type = typeOfPath[kind];
  if (type === undefined) return null;
  return { type, id: isUuid(id) ? id.toLowerCase() : null };
}
