import { Inject, Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { forbidden } from '../access/access.guard';
import { Authenticator } from '../access/authenticator';
import type { Identity } from '../access/identity';
import { RequestLimits } from '../access/request-limits';
import { RefusalLog } from '../audit/refusal-log';
import { ENV, type Env } from '../config/env';
import { ApiError } from '../http/api-error';
import type { Admission, UpgradeDoor } from '../http/upgrade-door';
import { offeredProtocols } from '../http/upgrade-handshake';
import { isUuid } from '../http/uuid-param';
import { BuildLogsService } from './build-logs.service';

export const logStreamPath = '/api/v1/builds/:id/logs/stream';

/** The one subprotocol that is spoken; a browser, which can set no header, offers its token beside it. */
export const logStreamProtocol = 'imagefactory.logs.v1';

const pattern = /^\/api\/v1\/builds\/([^/]+)\/logs\/stream\/?$/;
const bearerPrefix = 'bearer.';
const retryAfterSeconds = '10';

/** What the gateway learns of a client that was let in. */
export interface LogStreamAdmission extends Admission {
  readonly identity: Identity;
  /** Looks at the client's credential again. @throws HttpException 401 or 403 when it would not be let in any more */
  readonly recheck: () => Promise<void>;
  readonly buildId: string;
  readonly offset: number;
}

/** Somebody who has shown a credential. */
interface Visitor {
  readonly request: IncomingMessage;
  readonly identity: Identity;
  readonly credential: string;
}

/** Decides who may follow a log live. */
@Injectable()
export class LogStreamDoor implements UpgradeDoor<Visitor, LogStreamAdmission> {
  public readonly path = logStreamPath;
  private readonly openByTenant = new Map<string, number>();

  public constructor(
    private readonly authenticator: Authenticator,
    private readonly limits: RequestLimits,
    private readonly logs: BuildLogsService,
    private readonly refusals: RefusalLog,
    @Inject(ENV) private readonly env: Pick<Env, 'ALLOWED_ORIGINS' | 'MAX_STREAMS_PER_TENANT'>,
  ) {}

  public match(pathname: string): { id: string } | null {
    const [, id] = pattern.exec(pathname) ?? [];
    return id === undefined ? null : { id };
  }

  /** A token in the query string would end up in logs and histories, and is never looked at. */
  public async identify(request: IncomingMessage): Promise<Visitor> {
    let credential = '';
    let identity: Identity | undefined;
    try {
      ({ identity } = await this.limits.enter(request, async () => {
        credential = this.credentialOf(request);
        return this.authenticator.identify(credential);
      }));
      const { origin, host } = request.headers;
      if (origin !== undefined && !this.isAllowed(origin, host)) {
        throw new ApiError(403, 'This origin may not open a log stream');
      }
      requireReader(identity);
      return { request, identity, credential };
    } catch (refusal) {
      this.refusals.heardAtDoor(request, identity, { route: logStreamPath, id: this.idOf(request) }, refusal);
      throw refusal;
    }
  }

  public async admit(
    { request, identity, credential }: Visitor,
    params: Readonly<Record<string, string>>,
    query: URLSearchParams,
  ): Promise<LogStreamAdmission> {
    const { buildId, offset } = wanted(params.id, query);
    try {
      await this.logs.requireReadable(buildId, identity.tenantId);
    } catch (refusal) {
      this.refusals.heardAtDoor(request, identity, { route: logStreamPath, id: buildId }, refusal);
      throw refusal;
    }
    const recheck = async (): Promise<void> => {
      requireReader(await this.authenticator.identify(credential));
    };
    return { identity, buildId, offset, recheck, release: this.takePlace(identity.tenantId) };
  }

  private idOf(request: IncomingMessage): string | undefined {
    return this.match((request.url ?? '').split('?', 1)[0] ?? '')?.id;
  }

  private credentialOf(request: IncomingMessage): string {
    const { authorization } = request.headers;
    const offered = offeredProtocols(request);
    if (authorization === undefined && offered.includes(logStreamProtocol)) {
      const token = offered.find((protocol) => protocol.startsWith(bearerPrefix));
      if (token !== undefined) return token.slice(bearerPrefix.length);
    }
    return this.authenticator.credentialOf(authorization);
  }

  /** A page of another site must not use its visitor's token; one of ours has the host that the request asks for. */
  private isAllowed(origin: string, host: string | undefined): boolean {
    if (this.env.ALLOWED_ORIGINS.includes(origin)) return true;
    return host !== undefined && URL.canParse(origin) && new URL(origin).host === host.toLowerCase();
  }

  private takePlace(tenantId: string): () => void {
    const open = this.openByTenant.get(tenantId) ?? 0;
    if (open >= this.env.MAX_STREAMS_PER_TENANT) {
      throw new ApiError(429, 'Too many open log streams', null, { headers: { 'Retry-After': retryAfterSeconds } });
    }
    this.openByTenant.set(tenantId, open + 1);
    return () => {
      const left = (this.openByTenant.get(tenantId) ?? 1) - 1;
      if (left === 0) this.openByTenant.delete(tenantId);
      else this.openByTenant.set(tenantId, left);
    };
  }
}

function requireReader({ permissions }: Identity): void {
  if (!permissions.has('build:read')) throw forbidden();
}

function wanted(id: string | undefined, query: URLSearchParams): { buildId: string; offset: number } {
  const problems: Record<string, string> = {};
  if (!isUuid(id)) problems.id = 'must be a UUID';
  const [given = '0', ...more] = query.getAll('offset');
  const offset = /^\d+$/.test(given) ? Number(given) : Number.NaN;
  if (more.length > 0 || !Number.isSafeInteger(offset)) problems.offset = 'must be a whole number of at least 0';
  if (id === undefined || Object.keys(problems).length > 0) throw ApiError.badFields(problems);
  return { buildId: id.toLowerCase(), offset };
}
