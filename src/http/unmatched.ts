import type { OpenAPIObject } from '@nestjs/swagger';
import type { ErrorRequestHandler, RequestHandler, Response } from 'express';
import { ApiError } from './api-error';
import { envelopeOf } from './error-envelope.filter';
import { isOutsidePrefix } from './openapi';

const methods = ['get', 'post', 'put', 'patch', 'delete'];

interface Route {
  readonly pattern: RegExp;
  readonly methods: readonly string[];
}

function routesOf(document: OpenAPIObject): Route[] {
  return Object.entries(document.paths).map(([path, operations]) => ({
    pattern: new RegExp(`^${isOutsidePrefix(path) ? '' : '/api/v1'}${path.replace(/\{\w+\}/g, '[^/]+')}/?$`),
    methods: methods.filter((method) => method in operations).map((method) => method.toUpperCase()),
  }));
}

function send(response: Response, error: unknown, traceId: string): void {
  const { status, headers, body } = envelopeOf(error, traceId);
  response.status(status).set(headers).json(body);
}

/** Answers what no route took: 405 where the document has the path with other methods, else 404. */
export function unmatched(document: OpenAPIObject): RequestHandler {
  const routes = routesOf(document);
  return (request, response) => {
    const allowed = routes.find(({ pattern }) => pattern.test(request.path))?.methods;
    const error =
      allowed === undefined
        ? new ApiError(404, `There is nothing at ${request.path}`)
        : new ApiError(405, `${request.method} is not allowed here; use ${allowed.join(', ')}`, null, {
            headers: { Allow: allowed.join(', ') },
          });
    send(response, error, request.traceId);
  };
}

/** Answers errors outside every route, such as a request without Host. */
export const failed: ErrorRequestHandler = (error: unknown, request, response, next) => {
  if (response.headersSent) next(error);
  else send(response, error, request.traceId);
};
