import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { json, type Request, type Response } from 'express';
import { ApiError } from './api-error';

const bodyLimit = '1mb';
const deepest = 32;
const methodsWithBody = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);
const parser = json({ limit: bodyLimit, strict: false, type: () => true });
/** Some clients announce a body of unknown length and send none. */
const parserOfNothing = json({
  limit: bodyLimit,
  type: () => true,
  verify: (_, __, bytes) => {
    if (bytes.length > 0) throw notJson();
  },
});

function notJson(): ApiError {
  return new ApiError(415, 'The request body must be sent as application/json');
}

function hasBody(request: Request): boolean {
  const length = request.headers['content-length'];
  return request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
}

/** Names by which libraries could reach a prototype; the framework would drop them in silence. */
const reserved = new Set(['__proto__', 'constructor', 'prototype']);

/** What no text column and no JSON column of the database can hold, and what no request of ours needs. */
function problemOf(value: unknown, depth: number): string | null {
  if (typeof value === 'string') {
    if (value.includes('\0')) return 'must not contain a NUL character';
    return value.isWellFormed() ? null : 'must be well-formed Unicode';
  }
  if (typeof value !== 'object' || value === null) return null;
  if (depth === deepest) return `must not be nested deeper than ${deepest} levels`;
  for (const [key, item] of Object.entries(value)) {
    if (reserved.has(key)) return `must not use the name ${key}`;
    const problem = problemOf(key, depth) ?? problemOf(item, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

function check(name: string, value: unknown): void {
  const problem = reserved.has(name) ? 'is a name that must not be used' : problemOf(value, 1);
  if (problem !== null) throw ApiError.badFields({ [name]: problem });
}

async function parse(request: Request, response: Response): Promise<void> {
  const type = request.headers['content-type'];
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type)) throw notJson();
  const read = type === undefined ? parserOfNothing : parser;
  await new Promise<void>((resolve, reject) => {
    read(request, response, (error?: unknown) => {
      if (error === undefined) resolve();
      else reject(error instanceof Error ? error : new Error('The body could not be read', { cause: error }));
    });
  });
  const body: unknown = request.body;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new ApiError(400, 'The request body must be a JSON object');
  }
}

/**
 * Reads the body as the last of the guards, before the pipes: so a request without a valid token or permission is answered
 * 401 or 403 whatever it carries, and nothing that an unknown client sends is parsed. An interceptor would do as well, but
 * one alone sends every request through rxjs.
 */
@Injectable()
export class JsonBodyGuard implements CanActivate {
  public canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    if (methodsWithBody.has(request.method) && hasBody(request)) return readBody(request, http.getResponse<Response>());
    checkQuery(request);
    return true;
  }
}

async function readBody(request: Request, response: Response): Promise<true> {
  await parse(request, response);
  for (const [name, value] of Object.entries(request.body as object)) check(name, value);
  checkQuery(request);
  return true;
}

function checkQuery({ query }: Request): void {
  for (const [name, value] of Object.entries(query)) check(name, value);
}
