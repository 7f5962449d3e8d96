import type { NextFunction, Request, Response } from 'express';
import { requestIdOf, traceIdOf } from './trace-id';

declare module 'express-serve-static-core' {
  interface Request {
    /** Names this request in its error answers and in our log. */
    traceId: string;
  }
}

/** Gives every request its trace id and echoes it as `X-Request-Id`. */
export function trace(request: Request, response: Response, next: NextFunction): void {
  request.traceId = traceIdOf(request.headers);
  response.setHeader('X-Request-Id', requestIdOf(request.headers) ?? request.traceId);
  next();
}
