import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { rawSecurityHeaders } from './security-headers';

const lingerMs = 5_000;

/**
 * Writes a last answer on a connection that Express does not have, and closes it. What the client still sends is read and
 * dropped: unread bytes would turn the close into a reset that can swallow the answer. A client that does not hang up is
 * cut off after 5 s.
 * @param withBody false: only the length of the body is told, as to HEAD
 */
export function answerLast(
  socket: Duplex,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
  withBody = true,
): void {
  const head = {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    Date: new Date().toUTCString(),
    ...rawSecurityHeaders,
    Connection: 'close',
    ...headers,
  };
  const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`);
  const start = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`;
  socket.end([start, ...lines, '', withBody ? body : ''].join('\r\n'));
  socket.resume();
  const timer = setTimeout(() => socket.destroy(), lingerMs).unref();
  socket.once('close', () => {
    clearTimeout(timer);
  });
}
