import type { RequestHandler } from 'express';
import type { Logger } from 'pino';
import { pinoHttp } from 'pino-http';

/** One line for each finished request: method, path without its query, status, duration, trace id. No headers. */
export function requestLog(logger: Logger): RequestHandler {
  return pinoHttp({
    logger,
    genReqId: (request) => ('traceId' in request && typeof request.traceId === 'string' ? request.traceId : ''),
    customLogLevel: (_, response, error) => {
      if (error !== undefined || response.statusCode >= 500) return 'warn';
      return 'debug';
    },
    serializers: {
      req: (request: { id: string; method: string; url: string }) => ({
        trace_id: request.id,
        method: request.method,
        path: request.url.split('?', 1)[0],
      }),
      res: (response: { statusCode: number }) => ({ status: response.statusCode }),
    },
  });
}
