import type { NextFunction, Request, Response } from 'express';
import { ApiError } from './api-error';

/** HTTP/1.1 wants a Host in every request (RFC 9112, section 3.2). */
export function requireHost(request: Request, _: Response, next: NextFunction): void {
  const isMissing = request.headers.host === undefined && request.httpVersion === '1.1';
  if (isMissing) next(new ApiError(400, 'The request has no Host header'));
  else next();
}
