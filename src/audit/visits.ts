import { Injectable } from '@nestjs/common';
import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage } from 'node:http';
import type { Identity } from '../access/identity';
import { ClientAddress } from '../http/client-address';
import { traceIdOf } from '../http/trace-id';
import { bounded, type Origin } from './audit-event';
import { Visit } from './visit';

/** Knows, wherever a request is being answered, which one that is. */
@Injectable()
export class Visits {
  private readonly storage = new AsyncLocalStorage<Visit>();

  public constructor(private readonly addresses: ClientAddress) {}

  /** The request that is being answered here; undefined for what nobody asked for. */
  public get current(): Visit | undefined {
    return this.storage.getStore();
  }

  /**
   * Stands before all routes.
   * @param onRefusal hears of each error that is answered, with its status, before the answer goes out
   */
  public middleware(onRefusal: (visit: Visit, request: Request, status: number) => void): RequestHandler {
    return (request: Request, _: Response, next: NextFunction): void => {
      const visit = this.of(request, () => request.identity);
      request.onRefusal = (status) => {
        onRefusal(visit, request, status);
      };
      this.storage.run(visit, next);
    };
  }

  public of(request: IncomingMessage, identityOf: () => Identity | undefined): Visit {
    return new Visit(this.originOf(request), identityOf);
  }

  private originOf(request: IncomingMessage): Origin {
    const agent = request.headers['user-agent'];
    return {
      address: this.addresses.of(request),
      network: this.addresses.networkOf(request),
      userAgent: agent === undefined ? null : bounded(agent),
      traceId: traceIdOf(request.headers),
    };
  }
}
