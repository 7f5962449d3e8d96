import { randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

// version "-" trace id "-" parent id "-" flags; neither id may be all zeros (W3C Trace Context, section 3.2).
const traceparent = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
const requestId = /^[\w.:/+=@-]{1,128}$/;

/** The client's own request id, when it sent one that is safe to echo. */
export function requestIdOf(headers: IncomingHttpHeaders): string | undefined {
  const given = headers['x-request-id'];
  return typeof given === 'string' && requestId.test(given) ? given : undefined;
}

const made = new WeakMap<IncomingHttpHeaders, string>();

/**
 * The trace id of a request: of its `traceparent`, else its `X-Request-Id`, else a new one of 32 hex digits, which is the same
 * whoever asks.
 */
export function traceIdOf(headers: IncomingHttpHeaders): string {
  const parent = headers.traceparent;
  const traced = typeof parent === 'string' ? traceparent.exec(parent)?.[1] : undefined;
  const given = traced ?? requestIdOf(headers);
  if (given !== undefined) return given;
  const ours = made.get(headers) ?? randomBytes(16).toString('hex');
  made.set(headers, ours);
  return ours;
}
