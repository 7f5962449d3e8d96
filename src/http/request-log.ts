import type { Request, RequestHandler, Response } from 'express';
import type { Logger } from 'pino';

/** One line for each finished request: method, path without its query, status, duration, trace id. No headers. */
export function requestLog(logger: Logger): RequestHandler {
  return (request, response, next) => {
    const begunAt = performance.now();
    response.once('close', () => {
      const isFault = response.statusCode >= 500;
      // Most are not told at all.
      if (!isFault && !logger.isLevelEnabled('debug')) return;
      const facts = factsOf(request, response, begunAt);
      if (!response.writableFinished) logger.debug(facts, 'request aborted');
      else if (isFault) logger.warn(facts, 'request failed');
      else logger.debug(facts, 'request completed');
    });
    next();
  };
}

function factsOf({ traceId, method, originalUrl }: Request, { statusCode }: Response, begunAt: number): object {
  const [path] = originalUrl.split('?', 1);
  return {
    req: { trace_id: traceId, method, path },
    res: { status: statusCode },
    responseTime: Math.round(performance.now() - begunAt),
  };
}
