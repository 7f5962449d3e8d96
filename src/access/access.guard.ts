import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request, Response } from 'express';
import { ApiError } from '../http/api-error';
import { ClientAddress } from '../http/client-address';
import { Authenticator } from './authenticator';
import { Caller } from './caller';
import { RequestLimits } from './request-limits';

declare module 'express-serve-static-core' {
  interface Request {
    /** Set by the guard on every route that is not public. */
    caller?: Caller;
  }
}

/** What a route asks of its caller: nothing, a credential, or a credential with a permission. */
export const Access = Reflector.createDecorator<'public' | 'authenticated' | { readonly permission: string }>();

export function forbidden(): ApiError {
  return new ApiError(403, 'You do not have permission to access this resource');
}

/** Stands before every route. One that declares no access at all is a mistake of ours, and stays shut. */
@Injectable()
export class AccessGuard implements CanActivate {
  public constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
    private readonly limits: RequestLimits,
    private readonly addresses: ClientAddress,
  ) {}

  public async canActivate(context: ExecutionContext): Promise<boolean> {
    const access = this.reflector.getAllAndOverride(Access, [context.getHandler(), context.getClass()]) as
      'public' | 'authenticated' | { readonly permission: string } | undefined;
    if (access === 'public') return true;
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const { identity, headers } = await this.limits.enter(request, async () =>
      this.authenticator.identify(this.authenticator.credentialOf(request.headers.authorization)),
    );
    http.getResponse<Response>().set(headers);
    request.caller = new Caller(identity, request, this.addresses);
    if (access === 'authenticated') return true;
    if (access === undefined || !identity.permissions.has(access.permission)) throw forbidden();
    return true;
  }
}
