import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import type { IncomingMessage } from 'node:http';
import type { Identity } from '../access/identity';
import { ClientAddress } from '../http/client-address';
import { originOf } from '../http/request-origin';
import { Visit } from './visit';

declare module 'express-serve-static-core' {
  interface Request {
    /** Made when it is asked for. */
    visit?: Visit;
  }
}

/** Knows the visit that a request is. */
@Injectable()
export class Visits {
  public constructor(private readonly addresses: ClientAddress) {}

  /** The same one each time. */
  public of(request: Request): Visit {
    request.visit ??= this.atDoor(request, () => request.caller);
    return request.visit;
  }

  /** Of a request that no route takes. */
  public atDoor(request: IncomingMessage, identityOf: () => Identity | undefined): Visit {
    return new Visit(originOf(request, this.addresses), identityOf);
  }
}
