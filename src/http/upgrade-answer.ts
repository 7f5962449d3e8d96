import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { envelopeOf } from './error-envelope.filter';
import { answerLast } from './raw-answer';
import { requestIdOf, traceIdOf } from './trace-id';

/** Answers a refused upgrade as HTTP, in the error envelope, and closes the connection. Returns what was answered. */
export function refuseUpgrade(
  request: IncomingMessage,
  socket: Duplex,
  error: unknown,
): { status: number; traceId: string } {
  const traceId = traceIdOf(request.headers);
  const { status, headers, body } = envelopeOf(error, traceId);
  if (socket.destroyed) return { status, traceId };
  const more = {
    'X-Request-Id': requestIdOf(request.headers) ?? traceId,
    ...headers,
    ...('Upgrade' in headers ? { Connection: 'close, Upgrade' } : {}),
  };
  answerLast(socket, status, more, JSON.stringify(body), request.method !== 'HEAD');
  return { status, traceId };
}

/**
 * Lets the HTTP server answer a request that offers an upgrade which nobody here takes, such as `Upgrade: h2c`: a
 * server may ignore the offer (RFC 9110, section 7.8). Node gives such a request away with the connection and its body
 * unread, so its head is put back in front of the rest, without the offer, and the connection starts anew.
 */
export function answerWithoutUpgrade(server: Server, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  if (socket.destroyed) return;
  const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/${request.httpVersion}`];
  for (let index = 0; index + 1 < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] ?? '';
    const isKept = !['connection', 'keep-alive', 'upgrade'].includes(name.toLowerCase());
    if (isKept) lines.push(`${name}: ${request.rawHeaders[index + 1] ?? ''}`);
  }
  socket.unshift(Buffer.concat([Buffer.from([...lines, '', ''].join('\r\n'), 'latin1'), head]));
  server.emit('connection', socket);
}
