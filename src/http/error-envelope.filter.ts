import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { Request, Response } from 'express';
import { isDatabaseUnavailable } from '../database/database-errors';
import { ApiError } from './api-error';
import { type ErrorBody, errorBody } from './error-body';

declare module 'express-serve-static-core' {
  interface Request {
    /** Told of the status of an error before the request is answered with it. */
    onRefusal?: (request: Request, status: number) => void;
  }
}

interface Refusal {
  readonly status: number;
  readonly message: string;
  readonly details: Readonly<Record<string, string>> | null;
  readonly headers: Readonly<Record<string, string>>;
}

/** What Express and its body parser throw (package http-errors). */
interface HttpLikeError {
  readonly status: number;
  readonly type?: unknown;
}

const ofParser: Readonly<Record<string, string>> = {
  'entity.parse.failed': 'The request body is not valid JSON',
  'entity.too.large': 'The request body is too large',
  'encoding.unsupported': 'The content encoding of the request body is not supported',
  'charset.unsupported': 'The character set of the request body is not supported; use UTF-8',
  'request.aborted': 'The request was aborted',
  'request.size.invalid': 'The request body does not have the length that Content-Length says',
};

function isHttpLike(error: unknown): error is HttpLikeError {
  return error instanceof Error && 'status' in error && typeof error.status === 'number';
}

function refusalOf(error: unknown): Refusal {
  const plain = { details: null, headers: {} };
  if (error instanceof ApiError) {
    return { status: error.getStatus(), message: error.message, details: error.details, headers: error.headers };
  }
  if (error instanceof HttpException) return { ...plain, status: error.getStatus(), message: error.message };
  if (isHttpLike(error) && error.status >= 400 && error.status < 500) {
    const known = typeof error.type === 'string' ? ofParser[error.type] : undefined;
    return { ...plain, status: error.status, message: known ?? 'The request is malformed' };
  }
  if (error instanceof URIError) return { ...plain, status: 400, message: 'The request path is malformed' };
  if (isDatabaseUnavailable(error)) {
    return {
      ...plain,
      status: 503,
      message: 'The database does not answer at the moment; try again',
      headers: { 'Retry-After': '2' },
    };
  }
  return { ...plain, status: 500, message: 'Internal server error' };
}

/** What an error means to a client, as headers and body. Used by HTTP and by refused WebSocket upgrades alike. */
export function envelopeOf(
  error: unknown,
  traceId: string,
): { status: number; headers: Record<string, string>; body: ErrorBody } {
  const { status, message, details, headers } = refusalOf(error);
  return {
    status,
    headers: { ...(status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}), ...headers },
    body: errorBody(status, message, traceId, details),
  };
}

/** Turns every error of every route into the envelope; what is our own fault goes to our log with its cause. */
@Catch()
export class ErrorEnvelopeFilter implements ExceptionFilter {
  private readonly logger = new Logger('http');

  public catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<Request>();
    const response = http.getResponse<Response>();
    const { status, headers, body } = envelopeOf(error, request.traceId);
    if (status >= 500) {
      this.logger.error({ err: error, trace_id: request.traceId }, `${request.method} ${request.path}: ${status}`);
    }
    request.onRefusal?.(request, status);
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.status(status).set(headers).json(body);
  }
}
